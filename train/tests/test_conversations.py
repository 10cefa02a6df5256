"""trl exports: pieces of the program's rendering become ids and masks; what goes wrong on the way is said."""

import json
import stat
import sys
import tempfile
import unittest
from pathlib import Path

import kit  # noqa: F401 (finds the package)
import tokenizers
from seedbed_train import conversations
from seedbed_train.errors import TrainError

MARKERS = ["<s>", "</s>", "<user>", "<agent>", "<think>"]

# Stands in for `seedbed chat encode --jsonl`: a marker, then the message; what an assistant says ends with </s>.
PROGRAM = """#!{python}
import json, sys
assert sys.argv[1:4] == ["chat", "encode", "--jsonl"], sys.argv
thinking = "--thinking" in sys.argv
for line in sys.stdin:
    row = json.loads(line)
    pieces = [["<s>", True, "system", -1]]
    for i, m in enumerate(row["messages"]):
        assert set(m) <= {{"role", "content"}}, m
        if m["role"] == "system":
            pieces.append([m["content"] + json.dumps(row["tools"]), False, "system", i])
        elif m["role"] == "user":
            pieces += [["<user>", True, "given", i], [m["content"], False, "given", i], ["<agent>", True, "given", i]]
        else:
            said = [["<think>", True, "said", i]] if thinking else []
            pieces += said + [[m["content"], False, "said", i], ["<none>", True, "said", i], ["</s>", True, "said", i]]
    bad = any("unreadable" in m["content"] for m in row["messages"])
    print(json.dumps({{"error": "it is unreadable"}} if bad else {{"sequences": [pieces]}}), flush=True)
    if any("die" in m["content"] for m in row["messages"]):
        sys.exit("died of it")
"""


def conversation(*said, system="You work.", asked="Do it <user>."):
    messages = [{"role": "system", "content": system}, {"role": "user", "content": asked}]
    return messages + [{"role": "assistant", "content": s} if isinstance(s, str) else {"role": "assistant", **s} for s in said]


class Conversations(unittest.TestCase):
    def setUp(self):
        self.held = tempfile.TemporaryDirectory()
        self.folder = Path(self.held.name)
        self.program = self.folder / "program"
        self.program.write_text(PROGRAM.format(python=sys.executable))
        self.program.chmod(self.program.stat().st_mode | stat.S_IXUSR)
        alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
        core = tokenizers.Tokenizer(tokenizers.models.BPE(vocab={t: i for i, t in enumerate(alphabet)}, merges=[]))
        core.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        core.add_special_tokens(MARKERS)
        self.tokenizer = self.folder / "tokenizer.json"
        core.save(str(self.tokenizer))
        self.core = core

    def tearDown(self):
        self.held.cleanup()

    def write(self, *rows):
        (self.folder / "x/data").mkdir(parents=True, exist_ok=True)
        lines = [json.dumps({"id": "i", "solved": True, "tools": [], **(row if isinstance(row, dict) else {"messages": row})}) for row in rows]
        (self.folder / "x/data/train-00000.jsonl").write_text("".join(line + "\n" for line in lines))

    def read(self, **options):
        settings = {"vocab_size": 400, "program": self.program, "thinking": False, **options}
        return conversations.read([self.folder / "x"], self.tokenizer, **settings)

    def text(self, ids):
        """Every id by itself, so that markers are told from text that spells them."""
        return "".join(self.core.id_to_token(i) for i in ids).replace("Ġ", " ")

    def refused(self, part, **options):
        with self.assertRaises(TrainError) as caught:
            self.read(**options)
        self.assertIn(part, str(caught.exception))

    def test_what_the_assistant_says_is_under_loss(self):
        self.write(conversation("One.", "Two."))
        records = self.read()
        ids, learn = records.sequence(0)
        self.assertEqual(self.text(records.prefixes[0]), "<s>You work.[]")
        self.assertEqual(self.text(ids), "<user>Do it <user>.<agent>One.<none></s>Two.<none></s>")
        self.assertEqual(self.text(i for i, l in zip(ids, learn) if l), "One.<none></s>Two.<none></s>")
        markers = {self.core.token_to_id(m) for m in MARKERS}
        self.assertEqual(sum(i in markers for i in ids), 4)  # the user's <user> is text, and so is <none>

    def test_turns_that_are_not_to_be_learnt_are_masked(self):
        for no in ({"train": False}, {"weight": 0}):
            self.write(conversation({"content": "Wrong.", **no}, "Right."))
            ids, learn = self.read().sequence(0)
            self.assertEqual(self.text(i for i, l in zip(ids, learn) if l), "Right.<none></s>")
        self.write(conversation({"content": "a", "train": True}, {"content": "b", "weight": 1}))
        ids, learn = self.read().sequence(0)
        self.assertEqual(self.text(i for i, l in zip(ids, learn) if l), "a<none></s>b<none></s>")

    def test_both_forms_alternate(self):
        self.write(conversation("One."), conversation("Two."))
        records = self.read(thinking=None)
        said = [self.text(i for i, l in zip(*records.sequence(n)) if l) for n in range(len(records))]
        self.assertEqual(said, ["<think>One.<none></s>", "One.<none></s>", "<think>Two.<none></s>", "Two.<none></s>"])
        self.assertEqual(len(records.prefixes), 1)
        self.assertNotEqual(records.digest, self.read(thinking=True).digest)

    def test_an_environments_tasks_share_how_their_system_turns_begin(self):
        tools = lambda form: [{"name": "find"}, {"name": "submit", "form": form}]
        rows = [{"messages": conversation("a"), "tools": tools(form), "environment_id": env} for env in "xy" for form in ("id", "list")]
        self.write(*rows)
        records = self.read()
        self.assertEqual([self.text(p) for p in records.prefixes], ['<s>You work.[{"name": "find"}, {"name": "submit", "form": "'])
        self.assertEqual(self.text(records.sequence(0)[0])[:4], 'id"}')
        self.write(*({**row, "environment_id": None} for row in rows))
        self.assertEqual(len(self.read().prefixes), 2)

    def test_what_is_left_out(self):
        self.write({"messages": conversation("No."), "solved": False}, conversation("unreadable"), conversation("x" * 300), conversation("Yes."))
        records = self.read(longest=200)
        self.assertEqual(len(records), 1)
        self.assertEqual(len(self.read(longest=200, solved=False)), 2)

    def test_where_nothing_is_left_the_first_reason_is_told(self):
        self.write(conversation("unreadable"), conversation())
        self.refused("2 left out, the first because of: it is unreadable")
        self.write()
        self.refused("no trajectory to learn from")

    def test_a_program_that_fails_is_named_with_what_it_said(self):
        self.write(conversation("One."), conversation("die"), conversation("Three."))
        self.refused("exit code 1 of chat encode: died of it")
        self.refused("No such file", program=self.folder / "none")
        self.refused("Permission denied", program=self.tokenizer)

    def test_lines_and_tokenizers_that_are_none(self):
        self.write(conversation("One."))
        file = self.folder / "x/data/train-00000.jsonl"
        whole = file.read_text()
        for bad in ("{", "[]", "3", '{"token_ids": [1]}', '{"messages": 3}', '{"messages": [3]}'):
            file.write_text(whole + bad + "\n")
            self.refused("train-00000.jsonl:2")
        file.write_text(whole)
        self.refused("of a vocabulary of 100", vocab_size=100)
        good = self.tokenizer.read_text()
        for bad in ("", "{}", "[]", good[: len(good) // 2]):
            self.tokenizer.write_text(bad)
            self.refused("cannot be read")
        self.assertTrue(conversations.is_conversation_export([self.folder / "x"], "train"))


if __name__ == "__main__":
    unittest.main()
