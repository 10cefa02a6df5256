"""Hints: where the names and values of calls stand in the prompt and the request, and the loss of a head that should look there."""

import json
import tempfile
import unittest
from pathlib import Path
from unittest.mock import patch

import kit
import torch
from seedbed_train import data, hints
from seedbed_train.attention import Mode
from seedbed_train.errors import TrainError
from seedbed_train.loop import Run
from seedbed_train.model import Model
from seedbed_train.packs import PackBuilder

NAMES = (("list", "bonds", "Lists"), ("void", "lamp", "Strike"), ("void", "bond", "Strike"))  # tools: two words, and one that tells of each
PROMPT = [piece for first, second, told in NAMES for piece in ('{"name": "', first, "_", second, '", "description": "', told, '."')]
ASKED = ["<｜User｜>", "void", " ", "the", " ", "bond", " ", "Ada", "<｜Assistant｜>"]
CALL = ['invoke name="', "%", '">', 'parameter name="', "who", '" string="true">', "Ada", "</", "."]
RESULT = ['{"id":"', "KX", "-7", '","', "state", '":"', "void", '"}']
SECOND = ['invoke name="', "void", "_", "bond", '">', 'parameter name="', "who", '" string="false">', "KX", "-7", "</", "."]

THOUGHT = ["bond", ": ", "list", "_", "bonds", ". ", "</think>"]
PAGE = ['{"id":"', "KX", "-7", '","', "state", '":"', "void", '"},{"id":"', "KX", "-8", '","', "state", '":"', "open", '"}']
PLAN, ORDER = ["Plan: "], ["; ", "Order: "]
MORE = ["for", " for ", '"properties": {"', '": {"type": "string"}}']
FIT = ["Fit", ": ", "KX", "-7"]
SCANNED = ["void", " ", "state", ": ", "KX", "-7", " ", "void", " ", "yes", ", ", "KX", "-8", " ", "open", " ", "no", ". ", *FIT, ". ", "</think>"]


class Hints(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        first = [*CALL[:1], "list", "_", "bonds", *CALL[2:]]
        pieces = list(dict.fromkeys(PROMPT + ASKED + first + RESULT + SECOND + THOUGHT + PAGE + SCANNED + PLAN + ORDER + MORE))
        self.ids = ids = {piece: i for i, piece in enumerate(pieces)}
        added = [{"content": piece, "id": ids[piece]} for piece in ASKED if "｜" in piece]
        spelled = {piece.replace(" ", "Ġ"): i for piece, i in ids.items() if "｜" not in piece}
        self.file = self.folder / "tokenizer.json"
        self.file.write_text(json.dumps({"model": {"vocab": spelled}, "added_tokens": added}), encoding="utf-8")
        self.pack = self.laid_out(ASKED, first, RESULT, SECOND)

    def laid_out(self, *stretches):
        """A pack of one sequence: stretches that the agent did not say and those it said, by turns."""
        self.whole = PROMPT + sum(stretches, [])
        said = [number % 2 == 1 for number, stretch in enumerate(stretches) for _ in stretch]
        builder = PackBuilder(0.5)
        builder.add([self.ids[p] for p in PROMPT], [([self.ids[p] for p in self.whole[len(PROMPT) :]], said)])
        return builder.build()

    def places(self, taught):
        """{row's next token, in order: the tokens it should look at}"""
        begin = len(PROMPT)
        return [(self.whole[begin + row + 1], [i for i, there in enumerate(mask) if there]) for row, mask in zip(taught.rows.tolist(), taught.places.tolist())]

    def test_names_point_to_their_definition_and_values_to_where_they_were_read(self):
        found, (asked, meant) = hints.Hinter(self.file, 64).of(self.pack)
        self.assertEqual(list(found), [0, 1])
        told = list(zip(found[0][2].rows.tolist(), found[0][2].places.int().argmax(-1).tolist()))
        self.assertEqual(told, [(3, 1), (10, 8), (12, 8), (17, 15), (19, 15)])  # "lamp" and "Strike" bring "void" along
        self.assertEqual([part for part in found[0] if part], [found[0][2]])
        pointer, reason, fields, reader = (self.places(taught) for taught in found[1][:4])
        self.assertIsNone(found[1][4])  # nothing is gone through
        ada, kx = self.whole.index("Ada"), self.whole.index("KX")
        wanted = [("list", [1]), ("_", [2]), ("bonds", [3]), ("Ada", [ada]), ("void", [8, 15]), ("_", [9, 16]), ("bond", [17]), ("KX", [kx]), ("-7", [kx + 1])]
        self.assertEqual(pointer, wanted)
        void, bond = len(PROMPT) + 1, len(PROMPT) + 5
        self.assertEqual([places for _, places in reason], [[bond]] * 3 + [[void], [void, bond], [bond]])  # "bonds" is a form of "bond"
        self.assertEqual([places for _, places in fields], [[kx + 1]] * 3)  # of "state", "void" and what ends the record
        record = self.whole.index('{"id":"')
        self.assertEqual(reader, [("-7", [record + 6, record + 7])])  # the request says "void"
        self.assertEqual((asked.rows.tolist(), asked.wanted.tolist()), ([record + 4, record + 6], [0.0, 1.0]))
        self.assertEqual((meant.rows.tolist(), meant.wanted.tolist()), ([record + 7], [1.0]))  # its id is said

    def test_reasoning_is_taught_where_what_it_goes_through_was_read(self):
        first = [*CALL[:1], "list", "_", "bonds", *CALL[2:]]
        found, _ = hints.Hinter(self.file, 64).of(self.laid_out(ASKED, THOUGHT + first, PAGE, SCANNED + SECOND))
        pointer, reason, fields, reader, scan = (self.places(taught) if taught else [] for taught in found[1])
        thought = len(PROMPT + ASKED)
        self.assertEqual(pointer[:3], [("list", [1]), ("_", [2]), ("bonds", [3])])  # the plan: as it is defined
        self.assertEqual(pointer[3:6], [("list", [thought + 2]), ("_", [thought + 3]), ("bonds", [thought + 4])])  # the call: as it was planned
        self.assertEqual([row for row, _ in reason], ["list", "_", "bonds", "void", "_", "bond"])  # the first time alone
        page = thought + len(THOUGHT + first)
        one, other = page + 1, page + 8
        wanted = [("KX", [one]), ("-7", [one + 1]), ("void", [one + 5]), ("KX", [other]), ("-8", [other + 1]), ("open", [other + 5])]
        self.assertEqual(scan, wanted)
        yes = page + len(PAGE) + SCANNED.index("yes")
        self.assertEqual(reader, [("-7", [yes])])  # the call says what the reasoning found
        self.assertEqual(len(fields), 7)
        self.assertIn((", ", [yes - 4]), fields)  # "yes" brings its id along

    def test_a_verb_that_the_request_does_not_have_is_found_by_what_tells_of_its_tool(self):
        asked = ["<｜User｜>", "Strike", " ", "the", " ", "bond", "<｜Assistant｜>"]
        plan = [*PLAN, "Strike", " ", "bond", ": ", "void", "_", "bond", ". ", "</think>"]
        found, _ = hints.Hinter(self.file, 64).of(self.laid_out(asked, plan, RESULT, SECOND))
        strike, bond, planned = len(PROMPT) + 1, len(PROMPT) + 5, len(PROMPT + asked) + 1
        self.assertEqual(self.places(found[1][3])[0], ("void", [17, 19]))
        self.assertEqual(self.places(found[1][0])[:3], [("void", [8, 15]), ("_", [9, 16]), ("bond", [17])])  # no words of the request in this order
        wanted = [("void", [strike, bond, planned, planned + 2]), *((word, [bond, planned + 2]) for word in ("_", "bond"))]
        self.assertEqual(self.places(found[1][1])[:3], wanted)

    def test_words_of_a_plan_are_where_the_request_has_them(self):
        asked = ["<｜User｜>", "bond", " ", "Strike", " ", "bond", "<｜Assistant｜>"]
        plan = [*PLAN, "Strike", " ", "bond", ": ", "void", "_", "bond", "; ", "bond", ": ", "list", "_", "bonds", ". ", ORDER[1], "</think>"]
        found, _ = hints.Hinter(self.file, 64).of(self.laid_out(asked, plan))
        at = len(PROMPT)
        told = self.places(found[1][0])
        self.assertEqual(told[:3], [("Strike", [at + 3]), (" ", [at + 4]), ("bond", [at + 5])])
        self.assertEqual(told[6], ("bond", [at + 1, at + 5]))

    def test_what_a_plan_gives_to_a_call_is_where_the_request_has_it(self):
        asked = ["<｜User｜>", "open", " ", "bond", "<｜Assistant｜>"]
        plan = [*PLAN, "bond", ": ", "list", "_", "bonds", ", ", "open", " ", "for", " ", "state", "; ", ORDER[1], "</think>"]
        found, _ = hints.Hinter(self.file, 64).of(self.laid_out(asked, plan))
        self.assertIn(("open", [len(PROMPT) + 1]), self.places(found[1][0]))

    def test_what_a_call_is_given_under_is_where_its_tool_says_so(self):
        tool = lambda verb, name: ['{"name": "', verb, "_", "bonds", '", "description": "', "Strike", '."', '"properties": {"', name, '": {"type": "string"}}']
        prompt = [*tool("list", "state"), *tool("void", "open")]
        asked = ["<｜User｜>", "open", " ", "bond", "<｜Assistant｜>"]
        call = [*CALL[:1], "list", "_", "bonds", '">', 'parameter name="', "state", '" string="true">', "open", "</", "."]
        plan = [*PLAN, "bond", ": ", "list", "_", "bonds", ", ", "open", " for ", "state", ". ", ORDER[1], "open", " for ", "state", ". ", "</think>", *call]
        at, said = prompt.index("state"), len(prompt + asked)
        with patch(f"{__name__}.PROMPT", prompt):
            found, _ = hints.Hinter(self.file, 64).of(self.laid_out(asked, plan))
            pointer, reason = (self.places(found[1][part]) for part in (0, 1))
            self.assertEqual([places for name, places in pointer if name == "state"], [[at]] * 3)
            verbs = [said + i for i, piece in enumerate(plan) if piece == "list"]  # which no other name has
            self.assertEqual([places for name, places in reason if name == "state"], [verbs[:1], verbs[:1], verbs[1:]])
            bring = list(zip(found[0][2].rows.tolist(), found[0][2].places.int().argmax(-1).tolist()))
            self.assertIn((at, prompt.index("list")), bring)

    def test_the_loss_is_that_of_attention_on_the_places(self):
        taught = hints.Taught(torch.tensor([1, 2]), torch.tensor([[1, 0, 0, 0, 0, 0], [0, 1, 0, 1, 0, 0]], dtype=torch.bool))
        q, keys = torch.randn(4, 5), torch.randn(6, 5)
        weights = (q @ keys.T * 0.3).masked_fill(torch.ones(4, 6).triu(3).bool(), float("-inf")).softmax(-1)  # a context of two
        wanted = -(weights[1, 0].log() + (weights[2, 1] + weights[2, 3]).log())
        torch.testing.assert_close(hints.loss(q, keys, None, taught, 2, 0.3), wanted)
        torch.testing.assert_close(hints.loss(q[1:], keys, torch.tensor([1, 2, 3]), taught, 2, 0.3), wanted)

    def test_a_model_learns_to_look_there_and_to_mark(self):
        model = Model(kit.tiny(num_attention_heads=3)).initialise(1)
        found, marked = hints.Hinter(self.file, 64).of(self.pack)
        marks = [(1 + i, each, hints.mark_direction(model.config, i, "cpu")) for i, each in enumerate(marked)]
        optimizer, seen = torch.optim.AdamW(model.parameters(), 0.01), []
        for _ in range(40):
            mode = Mode(hints=[(*hints.head_of(part, 3), {1: taught}) for part, taught in zip(hints.PARTS, found[1]) if taught], marks=marks)
            out = model.losses(self.pack, mode)
            self.assertEqual((int(out["hint"][1]), int(out["marks"][1])), (4, 2))
            optimizer.zero_grad()
            (out["hint"][0] / out["hint"][1] + out["marks"][0] / 2).backward()
            optimizer.step()
            seen.append([float(out[key][0].detach()) for key in ("hint", "marks")])
        for first, last in zip(seen[0], seen[-1]):
            self.assertLess(last, 0.3 * first)

    def test_a_run_needs_the_tokenizer_for_hints_and_says_so(self):
        recipe = kit.recipe({"stage": "dense", "hint_weight": 0.5}, model={**kit.TINY, "num_attention_heads": 3})
        records = data.read([kit.export(self.folder / "x")], 96)
        with self.assertRaises(TrainError) as caught:
            Run(recipe, records, self.folder / "run", quiet=True).train()
        self.assertIn("hint_weight", str(caught.exception))
        Run(recipe, records, self.folder / "run", quiet=True, tokenizer=self.file).train()  # no calls in it: nothing is taught
        self.assertTrue((self.folder / "run/state.pt").exists())


if __name__ == "__main__":
    unittest.main()
