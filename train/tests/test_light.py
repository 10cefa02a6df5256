"""What holds without torch: the files' form, recipes, exports read and ordered, the plot."""

import ast
import copy
import json
import tempfile
import unittest
from array import array
from pathlib import Path

import kit
from seedbed_train import data, phrases, plot, recipe, renaming, words
from seedbed_train.errors import TrainError

TRAIN = Path(__file__).resolve().parents[1]
FILES = sorted(TRAIN.rglob("*.py"))


class Form(unittest.TestCase):
    def test_every_file_compiles_and_keeps_the_form(self):
        self.assertGreater(len(FILES), 12)
        for file in FILES:
            text = file.read_text(encoding="utf-8")
            tree = ast.parse(text, str(file))
            compile(tree, str(file), "exec")
            self.assertIsNotNone(ast.get_docstring(tree), f"{file} says nothing of what it is for")
            self.assertLessEqual(len(text.splitlines()), 400, file)
            for number, line in enumerate(text.splitlines(), 1):
                self.assertLessEqual(len(line), 160, f"{file}:{number}")
                self.assertEqual(line, line.rstrip(), f"{file}:{number}: spaces at the end")
                self.assertNotIn("\t", line, f"{file}:{number}")

    def test_no_name_is_imported_and_unused(self):
        for file in FILES:
            text = file.read_text(encoding="utf-8")
            tree = ast.parse(text)
            used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
            for node in ast.walk(tree):
                if isinstance(node, (ast.Import, ast.ImportFrom)) and "noqa: F401" not in text.splitlines()[node.lineno - 1]:
                    for name in node.names:
                        self.assertIn((name.asname or name.name).split(".")[0], used, f"{file}:{node.lineno}")

    def test_what_is_read_without_torch_imports_none(self):
        for name in ("config", "conversations", "data", "errors", "phrases", "plot", "recipe", "renaming", "words"):
            tree = ast.parse((TRAIN / f"seedbed_train/{name}.py").read_text(encoding="utf-8"))
            for node in tree.body:
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    self.assertNotIn("torch", ast.unparse(node).split(), name)


class Recipes(unittest.TestCase):
    def setUp(self):
        self.good = kit.recipe({"stage": "dense"}, {"stage": "warmup"}, {"stage": "sparse", "mtp_weight": 0.3})

    def refused(self, part, raw):
        with self.assertRaises(TrainError) as caught:
            recipe.check(raw, "r.json")
        self.assertIn(part, str(caught.exception))
        self.assertTrue(caught.exception.todo)

    def test_hints_need_a_dense_stage_and_heads_to_teach(self):
        self.good["model"] = {**self.good["model"], "num_attention_heads": 3}
        recipe.check(self.with_stage(0, hint_weight=0.3), "r.json")
        self.refused("hint_weight", self.with_stage(2, hint_weight=0.3))
        self.good["model"]["num_attention_heads"] = 2
        self.refused("hint_weight", self.with_stage(0, hint_weight=0.3))

    def with_stage(self, i, **changes):
        raw = copy.deepcopy(self.good)
        raw["stages"][i].update(changes)
        return raw

    def test_the_tests_own_and_all_that_are_shipped_hold(self):
        self.assertIs(recipe.check(self.good, "r"), self.good)
        shipped = [f for f in (TRAIN / "recipes").glob("*.json") if '"stages"' in f.read_text(encoding="utf-8")]  # beside mixes for gen
        self.assertGreater(len(shipped), 0)
        for file in shipped:
            recipe.read_recipe(file)

    def test_an_unknown_key_names_the_nearest(self):
        self.refused("unknown key 'seeds'", {**self.good, "seeds": 1})
        self.refused("did you mean 'seed'?", {**self.good, "seeds": 1})
        self.refused("did you mean 'mtp_weight'?", self.with_stage(0, mtp_wieght=0.1))
        self.refused("remove it", self.with_stage(0, zzz=0.1))
        raw = self.with_stage(1, lr={"indexr": 0.1})
        self.refused("did you mean 'indexer'?", raw)

    def test_what_is_missing_is_named(self):
        for key in ("model", "seed", "stages"):
            self.refused(f"has no '{key}'", {k: v for k, v in self.good.items() if k != key})
        for key in ("stage", "steps", "rows", "packs", "lr", "warmup", "decay"):
            raw = copy.deepcopy(self.good)
            del raw["stages"][1][key]
            self.refused(f"stage 1: has no '{key}'", raw)
        self.refused("has no 'matrix', which the stage dense learns with", self.with_stage(0, lr={"other": 0.1}))
        self.refused("has no 'indexer'", self.with_stage(2, lr={"other": 0.1, "matrix": 0.1}))
        recipe.check(self.with_stage(0, lr={"other": 0.1}, optimizer="adamw"), "r")
        recipe.check(self.with_stage(1, lr={"indexer": 0.1}), "r")

    def test_values_keep_their_kinds_and_bounds(self):
        counts = [("steps", bad) for bad in (0, 1.5, True, "9")] + [("rows", 15), ("packs", 0), ("warmup", -1)]
        for key, bad in (*counts, ("prompt_weight", 1.1), ("prompt_weight", None)):
            self.refused(f"stage 0: {key}: found {bad!r}", self.with_stage(0, **{key: bad}))
        for key, bad in (("clip", float("nan")), ("optimizer", "sgd"), ("stage", "sparser"), ("lr", 0.1), ("balance", float("inf"))):
            self.refused(f"{key}: found", self.with_stage(0, **{key: bad}))
        for key, bad in (("seed", -1), ("seed", True), ("bf16", 1), ("thinking", "on"), ("thinking", 1), ("longest", 2), ("model", [])):
            self.refused(f"{key}: found", {**self.good, key: bad})
        self.refused("lr: matrix: found -0.1", self.with_stage(0, lr={"matrix": -0.1, "other": 0.1}))
        self.refused("found []", {**self.good, "stages": []})
        self.refused("wanted an object", {**self.good, "stages": [3]})
        self.refused("wanted an object", [])

    def test_a_file_that_is_none_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "r.json"
            for text in (None, "", "{", "[]", "\x00"):
                if text is not None:
                    file.write_text(text)
                with self.assertRaises(TrainError):
                    recipe.read_recipe(file)
            file.write_text(json.dumps(self.good))
            self.assertEqual(recipe.read_recipe(file), self.good)

    def test_model_sizes_are_checked(self):
        self.refused("unknown key 'hiden_size'", {**self.good, "model": {**kit.TINY, "hiden_size": 3}})
        self.refused("hidden_size: found 0", {**self.good, "model": {**kit.TINY, "hidden_size": 0}})
        self.refused("power of two", {**self.good, "model": {**kit.TINY, "index_head_dim": 24}})


class Files(unittest.TestCase):
    def setUp(self):
        self.held = tempfile.TemporaryDirectory()
        self.folder = Path(self.held.name)

    def tearDown(self):
        self.held.cleanup()


class Exports(Files):
    def test_records_share_their_prompts(self):
        records = data.read([kit.export(self.folder / "x", environments=2, tasks=3)], 96)
        self.assertEqual((len(records), len(records.prefixes)), (6, 2))
        lines = [json.loads(line) for line in (self.folder / "x/data/train-00000.jsonl").read_text().splitlines()]
        for i, line in enumerate(lines):
            ids, learn = records.sequence(i)
            self.assertEqual(records.prefixes[records.prefix_of[i]].tolist() + ids, line["token_ids"])
            self.assertEqual([False] * 20 + learn, line["mask"])

    def test_what_is_left_out(self):
        kit.export(self.folder / "x", environments=1, tasks=4)
        file = self.folder / "x/data/train-00000.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        lines[0]["solved"], lines[1]["thinking"] = False, True
        lines[2]["mask"] = [False] * len(lines[2]["mask"])
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        count = lambda **options: len(data.read([self.folder / "x"], 96, **options))
        self.assertEqual(count(), 2)
        self.assertEqual(count(solved=False), 3)
        self.assertEqual(count(thinking=True), 1)
        self.assertEqual(count(thinking=False), 1)
        with self.assertRaises(TrainError) as caught:
            count(longest=20)
        self.assertIn("4 left out", str(caught.exception))

    def test_a_part_has_the_first_environments_and_of_each_the_first_sequences(self):
        records = data.read([kit.export(self.folder / "x", environments=3, tasks=4)], 96)
        part = data.part(records, 2, 3)
        self.assertEqual((len(part), len(part.prefixes)), (6, 2))
        kept = [i for i in range(12) if records.prefix_of[i] < 2 and i % 4 < 3]
        self.assertEqual([part.sequence(j) for j in range(6)], [records.sequence(i) for i in kept])
        self.assertNotEqual(part.digest, records.digest)
        self.assertEqual(len(data.part(records, 99, 99)), 12)

    def test_the_digest_is_of_what_was_read(self):
        a, b = kit.export(self.folder / "a"), kit.export(self.folder / "b", seed=2)
        digest = lambda *paths: data.read(paths, 96).digest
        self.assertEqual(digest(a), digest(a))
        self.assertNotEqual(digest(a), digest(b))
        self.assertNotEqual(digest(a), digest(a, b))

    def test_packs_hold_no_more_rows_than_they_may(self):
        records = data.read([kit.export(self.folder / "x", environments=4, tasks=9)], 96)
        for prefix, members in data.plan(records, 80, 1, 0):
            rows = len(records.prefixes[prefix]) + sum(length for _, length in members)
            self.assertTrue(rows <= 80 or len(members) == 1)

    def test_no_pack_mixes_prompts_and_an_epoch_has_all(self):
        records = data.read([kit.export(self.folder / "x", environments=4, tasks=9)], 96)
        packs = data.plan(records, 80, 1, 3)
        self.assertEqual(sorted(i for _, members in packs for i, _ in members), list(range(36)))
        self.assertTrue(all(records.prefix_of[i] == prefix for prefix, members in packs for i, _ in members))
        self.assertNotEqual(packs, data.plan(records, 80, 2, 3))


    def test_beginnings_end_with_what_the_agent_says_first(self):
        collector = data.Collector(96, 100)
        for i in range(40):
            mask = bytearray([0] * 8 + [1] * (2 + i % 3) + [0] * 4 + [1] * 3)
            collector.add(array("i", [i // 10] * 5 + list(range(i, i + len(mask) - 5))), mask, 5, "here", b"%d" % i)
        collector.name_tokenizer("t", "here")
        records = collector.finish(["here"])
        cuts = []
        for epoch in (0, 0, 1):
            packs = data.plan(records, 60, 1, epoch, beginnings=0.5)
            self.assertEqual(sorted(i for _, members in packs for i, _ in members), list(range(40)))
            cut = {i: n for _, members in packs for i, n in members if n < records.length(i)}
            self.assertTrue(10 < len(cut) < 30, len(cut))
            self.assertEqual(cut, {i: 3 + 2 + i % 3 for i in cut})
            for i, n in cut.items():
                self.assertEqual(records.sequence(i, n), (records.sequence(i)[0][:n], [False] * 3 + [True] * (n - 3)))
            self.assertTrue(all(5 + sum(n for _, n in members) <= 60 for _, members in packs))
            cuts.append(cut)
        self.assertEqual(cuts[0], cuts[1])
        self.assertNotEqual(cuts[0], cuts[2])

    def test_windows_are_one_stretch_of_each_sequence_drawn_anew_each_epoch(self):
        records = data.read([kit.export(self.folder / "x", environments=4, tasks=9)], 96)
        epochs = [data.plan_windows(records, 64, 16, 1, epoch) for epoch in (0, 0, 1)]
        self.assertEqual(epochs[0], epochs[1])
        self.assertNotEqual(epochs[0], epochs[2])
        for packs in epochs:
            stretches = [stretch for _, pack in packs for stretch in pack]
            self.assertEqual(sorted(i for i, _ in stretches), list(range(36)))
            self.assertTrue(all(len(pack) <= 4 for _, pack in packs))
            self.assertTrue(all(0 <= first <= 20 + records.length(i) - 16 for i, first in stretches))
        longer = data.plan_windows(records, 64, 1000, 1, 0)  # than any sequence: all of it
        self.assertTrue(all(first == 0 for _, pack in longer for _, first in pack))


class Renamings(Files):
    def renaming(self, **changes):
        records = data.read([kit.export(self.folder / "x", environments=12, tasks=3)], 96)
        return renaming.Renaming(records, kit.tokenizer(self.folder), 96, 5, **{"common": 0.5, **changes}), records

    def test_words_that_few_environments_have_stand_for_one_another(self):
        made, records = self.renaming()
        counts, environments = words.environments_with(records)
        known = words.plain_words(self.folder / "tokenizer.json")
        self.assertEqual((environments, len(known)), (12, 60))
        table = made.table(0, 1)
        self.assertEqual(sorted(table), list(range(96)))  # one to one
        for token, other in enumerate(table):
            if token not in known or counts.get(token, 0) > 6:
                self.assertEqual(token, other)
            else:
                self.assertEqual(known[token][0].isupper(), known[other][0].isupper())
        self.assertGreater(sum(a != b for a, b in enumerate(table)), 10)

    def test_each_pack_has_an_exchange_of_its_own_that_can_be_had_again(self):
        made, _ = self.renaming()
        self.assertEqual(made.table(2, 7), made.table(2, 7))
        self.assertNotEqual(made.table(2, 7), made.table(2, 8))
        self.assertNotEqual(made.table(2, 7), made.table(3, 7))
        half, _ = self.renaming(share=0.5)
        kept = sum(half.table(0, i) is None for i in range(200))
        self.assertTrue(60 < kept < 140, kept)

    def test_a_file_that_is_no_tokenizer_is_refused(self):
        for text in ("", "{}", '{"model": 3}'):
            (self.folder / "t.json").write_text(text)
            with self.assertRaises(TrainError):
                words.plain_words(self.folder / "t.json")

    def test_forms_of_a_word_are_known_where_it_is_a_word_itself(self):
        texts = ("bond", "bonds", "Bond", "bus", "entry", "entries", "move", "moving", "rating", "AB", "boxes")
        made = words.forms(dict(enumerate(texts)))
        self.assertEqual([made[i][0] for i in range(len(texts))], ["bond"] * 2 + ["bond", "bus", "entry", "entry", "move", "move", "rating", "ab", "boxes"])
        self.assertEqual(len({made[i] for i in range(3)}), 3)

    def test_forms_are_exchanged_together(self):
        file = self.folder / "forms.json"
        texts = ["bond", "bonds", "kite", "kites", "lamp", "lamps", "fern", "Fern", "moss", "Moss", "twig"]
        file.write_text(json.dumps({"model": {"vocab": {text: i for i, text in enumerate(texts)}}}))
        records = data.read([kit.export(self.folder / "x", environments=12, tasks=3)], 96)
        made = renaming.Renaming(records, file, len(texts), 5, common=1.0)
        self.assertEqual(sorted(len(group) for group in made.groups), [2, 3])
        moved = 0
        for index in range(20):
            said = [texts[i] for i in made.table(0, index)]
            self.assertEqual([said[1], said[3], said[5]], [said[0] + "s", said[2] + "s", said[4] + "s"])
            self.assertEqual([said[7], said[9]], [said[6].capitalize(), said[8].capitalize()])
            self.assertEqual(said[10], "twig")  # none is like it
            moved += said[0] != "bond"
        self.assertGreater(moved, 5)


class Phrases(Files):
    SCHEMA = '{"name": "%s_list", "parameters": {"type": "object", "properties": {"%s_id": {"type": "string"}}}}\n'
    NOUNS = ("kite", "lamp", "fern", "moss", "twig", "pond", "reed", "crow", "dune", "reef", "vale", "glen")

    def texts(self):
        return [
            "You work here, and nowhere else at all.\n" + "".join(self.SCHEMA % (noun, other) for other in (self.NOUNS * 2)[i : i + 3])
            + f'<｜User｜>Mend the {noun}.<｜Assistant｜></think>{{"id":"KI-0004","{noun}_id":"KX-0007","day":"2030-02-1{i % 9}"}}'
            for i, noun in enumerate(self.NOUNS)
        ]

    def test_what_all_spell_alike_is_a_phrase_and_names_are_none(self):
        made = phrases.mine(self.texts(), 40)
        for phrase in ('": {"type": "string"}}}}\n{"name": "', "-0004", "-0007"):
            self.assertTrue(any(phrase in one for one in made), (phrase, made))
        for noun in self.NOUNS:
            self.assertFalse(any(noun in one for one in made), noun)
        self.assertFalse(any(one.endswith("_") or "list" in one for one in made), made)
        self.assertEqual(made, phrases.mine(self.texts(), 40))
        self.assertEqual(len(phrases.mine(self.texts(), 3)), 3)

    def test_pieces_are_the_text(self):
        text = 'listKites {"KI-0004": "2030-02-11"} naïve 12345678 __x'
        self.assertEqual("".join(phrases.pieces_of(text)[0]), text)
        self.assertEqual(len(phrases.pieces_of("a<think>b｜DSML｜c")), 3)

    def test_files_without_conversations_are_refused(self):
        (self.folder / "t.txt").write_text("no conversation")
        for file in ("t.txt", "none.txt"):
            for write in (phrases.write, words.write):
                with self.assertRaises(TrainError):
                    write([self.folder / file], 9, self.folder / "p.json")
        self.assertFalse((self.folder / "p.json").exists())

    def test_words_of_names_come_in_all_their_forms(self):
        nouns = ("kite", "oven", "pass", "agency")
        texts = [
            f'Mind {noun}, {noun}. {{"name": "list{noun.capitalize()}"}} {{"{noun}_id": 1}} two {more}. Anna, 7.'
            for noun, more in zip(nouns * 2, ("kites", "Ovens", "passes", "agencies") * 2)
        ]
        made = words.of_names(texts, 99)
        for form in (*nouns, "kites", "Ovens", "passes", "agencies", "Kite", "Oven"):
            self.assertIn(form, made)
        self.assertNotIn("Anna", made)  # in no name
        self.assertNotIn("list", made)  # in most texts: merges make it anyway
        self.assertEqual(words.of_names(texts, 3), made[:3])
        self.assertEqual({word.lower()[:4] for word in made[:3]}, {made[0].lower()[:4]}, "a word's forms stand together")
        self.assertEqual([word for word in words.of_names(texts[:1] + ["none"] * 9, 99)], [], "what one text has is no token")


class Plot(unittest.TestCase):
    LINE = {"tokens": 100, "stage": "dense", "agent_loss": 2.0}

    def test_a_run_is_drawn_in_panels(self):
        lines = [{**self.LINE, "tokens": 100 * i, "agent_loss": 2.0 / i} for i in range(1, 50)]
        lines += [{"tokens": 5000 + i, "stage": "sparse", "agent_loss": 0.1, "index": 0.2} for i in range(9)]
        lines[10]["held_out"] = {"agent_loss": 1.0, "agent_right": 0.5, "turns_right": 0.25, "episodes_right": 0.0}
        text = plot.svg(lines)
        for part in ("loss of the agent", "held out", "indexer: KL", "sparse", "</svg>"):
            self.assertIn(part, text)
        self.assertNotIn("nan", text)

    def test_metrics_that_are_none_are_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "metrics.jsonl"
            for text in (None, "", "{"):
                if text is not None:
                    file.write_text(text)
                with self.assertRaises(TrainError):
                    plot.read_metrics(file)
            file.write_text(json.dumps(self.LINE) + "\n")
            self.assertEqual(plot.read_metrics(file), [self.LINE])


if __name__ == "__main__":
    unittest.main()
