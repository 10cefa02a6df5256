"""Hints: where the names and values of calls stand in the prompt and the request, and the loss of a head that should look there."""

import json
import tempfile
import unittest
from pathlib import Path

import kit
import torch
from seedbed_train import data, hints
from seedbed_train.attention import Mode
from seedbed_train.errors import TrainError
from seedbed_train.loop import Run
from seedbed_train.model import Model
from seedbed_train.packs import PackBuilder

PROMPT = ['{"name": "', "list", "_", "bonds", '", "description"', '{"name": "', "void", "_", "bond", '", "description"']
ASKED = ["<｜User｜>", "void", " ", "the", " ", "bond", " ", "Ada", "<｜Assistant｜>"]
CALL = ['invoke name="', "%", '">', 'parameter name="', "who", '" string="true">', "Ada", "</", "."]
RESULT = ['{"id":"', "KX", "-7", '","', "state", '":"', "void", '"}']
SECOND = ['invoke name="', "void", "_", "bond", '">', 'parameter name="', "who", '" string="false">', "KX", "-7", "</", "."]


class Hints(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        first = [*CALL[:1], "list", "_", "bonds", *CALL[2:]]
        pieces = list(dict.fromkeys(PROMPT + ASKED + first + RESULT + SECOND))
        ids = {piece: i for i, piece in enumerate(pieces)}
        added = [{"content": piece, "id": ids[piece]} for piece in ASKED if "｜" in piece]
        spelled = {piece.replace(" ", "Ġ"): i for piece, i in ids.items() if "｜" not in piece}
        self.file = self.folder / "tokenizer.json"
        self.file.write_text(json.dumps({"model": {"vocab": spelled}, "added_tokens": added}), encoding="utf-8")
        self.whole = PROMPT + ASKED + first + RESULT + SECOND
        said = [False] * len(ASKED) + [True] * len(first) + [False] * len(RESULT) + [True] * len(SECOND)
        builder = PackBuilder(0.5)
        builder.add([ids[p] for p in PROMPT], [([ids[p] for p in self.whole[len(PROMPT) :]], said)])
        self.pack = builder.build()

    def places(self, taught):
        """{row's next token, in order: the tokens it should look at}"""
        begin = len(PROMPT)
        return [(self.whole[begin + row + 1], [i for i, there in enumerate(mask) if there]) for row, mask in zip(taught.rows.tolist(), taught.places.tolist())]

    def test_names_point_to_their_definition_and_values_to_where_they_were_read(self):
        found = hints.Hinter(self.file, 64).of(self.pack)
        self.assertEqual(list(found), [1])
        pointer, bringer, reader = (self.places(taught) for taught in found[1])
        ada, kx = self.whole.index("Ada"), self.whole.index("KX")
        wanted = [("list", [1]), ("_", [2]), ("bonds", [3]), ("Ada", [ada]), ("void", [6]), ("_", [7]), ("bond", [8]), ("KX", [kx]), ("-7", [kx + 1])]
        self.assertEqual(pointer, wanted)
        void, bond = len(PROMPT) + 1, len(PROMPT) + 5
        fields = [[kx + 1]] * 2  # of "state" and "void"
        self.assertEqual([places for _, places in bringer], [[bond]] * 3 + fields + [[void, bond]] * 3)  # "bonds" is a form of "bond"
        self.assertEqual(reader, [("-7", [self.whole.index('{"id":"') + 6])])  # the request says "void"

    def test_the_loss_is_that_of_attention_on_the_places(self):
        taught = hints.Taught(torch.tensor([1, 2]), torch.tensor([[1, 0, 0, 0, 0, 0], [0, 1, 0, 1, 0, 0]], dtype=torch.bool))
        q, keys = torch.randn(4, 5), torch.randn(6, 5)
        weights = (q @ keys.T * 0.3).masked_fill(torch.ones(4, 6).triu(3).bool(), float("-inf")).softmax(-1)  # a context of two
        wanted = -(weights[1, 0].log() + (weights[2, 1] + weights[2, 3]).log())
        torch.testing.assert_close(hints.loss(q, keys, None, taught, 2, 0.3), wanted)
        torch.testing.assert_close(hints.loss(q[1:], keys, torch.tensor([1, 2, 3]), taught, 2, 0.3), wanted)

    def test_a_model_learns_to_look_there(self):
        model = Model(kit.tiny(num_attention_heads=3)).initialise(1)
        found = hints.Hinter(self.file, 64).of(self.pack)
        optimizer, seen = torch.optim.AdamW(model.parameters(), 0.01), []
        for _ in range(40):
            heads = ((2, hints.POINTER_HEAD), (1, hints.BRINGER_HEAD), (2, hints.READER_HEAD))
            mode = Mode(hints=[(*at, {1: taught}) for at, taught in zip(heads, found[1])])
            out = model.losses(self.pack, mode)["hint"]
            self.assertEqual(int(out[1]), 3)
            optimizer.zero_grad()
            (out[0] / out[1]).backward()
            optimizer.step()
            seen.append(float((out[0] / out[1]).detach()))
        self.assertLess(seen[-1], 0.3 * seen[0])

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
