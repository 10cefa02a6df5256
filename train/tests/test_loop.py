"""Runs: loss falls, a killed run goes on exactly, what is wrong is refused and overwrites nothing."""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import kit  # first: it puts train/ on the path
import grid
import torch
from seedbed_train import data, renaming
from seedbed_train.errors import TrainError
from seedbed_train.loop import Run


class Base(unittest.TestCase):
    def setUp(self):
        self.held = tempfile.TemporaryDirectory()
        self.folder = Path(self.held.name)
        torch.set_num_threads(1)

    def tearDown(self):
        self.held.cleanup()

    def records(self, **changes):
        return data.read([kit.export(self.folder / "x", **changes)], 96)


class Learning(Base):
    def test_the_loss_falls_and_the_task_is_learnt(self):
        recipe = kit.recipe({"stage": "dense", "steps": 150, "packs": 2, "rows": 200}, {"stage": "warmup", "steps": 40}, {"stage": "sparse", "steps": 20})
        run = Run(recipe, self.records(environments=20, tasks=8), self.folder / "run", quiet=True)
        self.assertTrue(run.train())
        lines = [json.loads(l) for l in (self.folder / "run/metrics.jsonl").read_text().splitlines()]
        self.assertEqual([l["step"] for l in lines], list(range(1, 211)))
        self.assertLess(lines[149]["agent_loss"], 0.6 * lines[0]["agent_loss"])
        kl = [l["index"] for l in lines if l["stage"] == "warmup"]
        self.assertLess(sum(kl[-5:]), 0.9 * sum(kl[:5]))

    def test_warmup_moves_the_indexer_alone(self):
        recipe = kit.recipe({"stage": "warmup", "steps": 3})
        run = Run(recipe, self.records(), self.folder / "run", quiet=True)
        before = {n: t.clone() for n, t in run.model.state_dict().items()}
        run.train()
        for name, tensor in run.model.state_dict().items():
            moved = not torch.equal(tensor, before[name])
            self.assertTrue(not moved or "indexer." in name, name)
        self.assertTrue(any(not torch.equal(t, before[n]) for n, t in run.model.state_dict().items()))


class SideBySide(Base):
    def test_packs_on_threads_of_their_own_give_what_one_after_the_other_gives(self):
        recipe = kit.recipe({"stage": "dense", "steps": 6, "packs": 3, "rows": 120})
        records = self.records(environments=8, tasks=4)
        ends = {}
        for name, threads in (("one", 1), ("two", 2), ("again", 2)):
            torch.set_num_threads(threads)
            run = Run(recipe, records, self.folder / name, quiet=True)
            run.train()
            ends[name] = run.model.state_dict()
            self.assertEqual(torch.get_num_threads(), threads)
        for name, tensor in ends["two"].items():
            self.assertTrue(torch.equal(tensor, ends["again"][name]), name)
            torch.testing.assert_close(tensor, ends["one"][name], rtol=0.02, atol=0.002, msg=name)


class Resuming(Base):
    def test_legs_end_where_one_run_ends(self):
        recipe = kit.recipe({"stage": "dense", "steps": 5}, {"stage": "warmup", "steps": 3}, {"stage": "sparse", "steps": 4, "mtp_weight": 0.3})
        records = self.records()
        whole = Run(recipe, records, self.folder / "whole", quiet=True)
        whole.train()
        for _ in range(40):  # a leg of no minutes makes no step; each of these makes one
            leg = Run(recipe, records, self.folder / "legs", quiet=True)
            if leg.stage < 3:
                stage = recipe["stages"][leg.stage]
                if leg.stage_step < stage["steps"]:
                    leg._one(stage)
                    leg.save()
                    continue
            if leg.train(0):
                break
        for name, tensor in whole.model.state_dict().items():
            self.assertTrue(torch.equal(tensor, leg.model.state_dict()[name]), name)
        read = lambda d: [{k: v for k, v in json.loads(l).items() if k != "seconds"} for l in (self.folder / d / "metrics.jsonl").read_text().splitlines()]
        self.assertEqual(read("whole"), read("legs"))

    def test_more_of_the_same_goes_on_as_one_stage(self):
        records = self.records()
        level = {"stage": "dense", "warmup": 0, "decay": 0}
        one = Run(kit.recipe({**level, "steps": 6}), records, self.folder / "one", quiet=True)
        two = Run(kit.recipe({**level, "steps": 2}, {**level, "steps": 4}), records, self.folder / "two", quiet=True)
        one.train()
        two.train()
        for name, tensor in one.model.state_dict().items():
            self.assertTrue(torch.equal(tensor, two.model.state_dict()[name]), name)

    def test_killed_at_any_moment_it_goes_on_exactly(self):
        kit.export(self.folder / "x", environments=6)
        recipe = kit.recipe({"stage": "dense", "steps": 40}, {"stage": "sparse", "steps": 10})
        (self.folder / "r.json").write_text(json.dumps(recipe))
        code = (
            "import sys; sys.path.insert(0, sys.argv[1]); import torch; torch.set_num_threads(1)\n"
            "from seedbed_train import data, loop\n"
            "r = loop.Run(loop.read_recipe(sys.argv[2]), data.read([sys.argv[3]], 96), sys.argv[4], quiet=True)\n"
            "print('ready', flush=True); r.train(save_every=0.0)\n"
        )
        first = [sys.executable, "-B", "-c", code, str(Path(__file__).resolve().parents[1])]
        command = lambda out: first + [str(self.folder / name) for name in ("r.json", "x", out)]
        subprocess.run(command("whole"), check=True, stdout=subprocess.DEVNULL)
        for wait in (0.05, 0.3, 0.6):
            process = subprocess.Popen(command("killed"), stdout=subprocess.PIPE)
            process.stdout.readline()
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
        subprocess.run(command("killed"), check=True, stdout=subprocess.DEVNULL)
        states = [torch.load(self.folder / d / "state.pt", weights_only=True)["model"] for d in ("whole", "killed")]
        for name, tensor in states[0].items():
            self.assertTrue(torch.equal(tensor, states[1][name]), name)
        steps = [json.loads(l)["step"] for l in (self.folder / "killed/metrics.jsonl").read_text().splitlines()]
        self.assertEqual(steps, list(range(1, 51)))


class Refusals(Base):
    def refused(self, part, call):
        with self.assertRaises(TrainError) as caught:
            call()
        self.assertIn(part, str(caught.exception))

    def test_an_empty_export(self):
        (self.folder / "e/data").mkdir(parents=True)
        self.refused("holds no data/train-", lambda: data.read([self.folder / "e"], 96))
        (self.folder / "e/data/train-00000.jsonl").write_text("")
        self.refused("no trajectory to learn from", lambda: data.read([self.folder / "e"], 96))

    def test_mixed_tokenizers(self):
        a, b = kit.export(self.folder / "a", tokenizer="one"), kit.export(self.folder / "b", tokenizer="two")
        self.refused("tokenizer two, but one before it", lambda: data.read([a, b], 96))

    def test_lines_that_are_none(self):
        kit.export(self.folder / "x")
        file = self.folder / "x/data/train-00000.jsonl"
        whole = file.read_text()
        rows = ["{", "[]", "3", '{"token_ids": [1]}', '{"messages": []}']
        bad_ids = [(ids, "[true]") for ids in ("[1, 2]", '["a"]', "[99]", "[-1]", "[1e9]", "[null]")]
        for ids, mask in (*bad_ids, ("[1]", "[2]"), ("[1]", "1")):
            rows.append(f'{{"token_ids": {ids}, "mask": {mask}, "tokenizer": "t"}}')
        for bad in rows:
            file.write_text(whole + bad + "\n")
            self.refused(f"{file}:19", lambda: data.read([self.folder / "x"], 96))

    def test_a_loss_that_is_no_number_leaves_the_saved_state(self):
        recipe = kit.recipe({"stage": "dense", "steps": 4})
        records = self.records()
        run = Run(recipe, records, self.folder / "run", quiet=True)
        run._one(recipe["stages"][0])
        run.save()
        before = (self.folder / "run/state.pt").read_bytes()
        with torch.no_grad():
            run.model.model.norm.weight[0] = float("nan")
        self.refused("loss nan", run.train)
        self.assertEqual((self.folder / "run/state.pt").read_bytes(), before)

    def test_a_state_of_another_run_or_cut_off(self):
        records = self.records()
        recipe = kit.recipe({"stage": "dense", "steps": 2})
        Run(recipe, records, self.folder / "run", quiet=True).train()
        self.refused("seed differ", lambda: Run({**recipe, "seed": 4}, records, self.folder / "run", quiet=True))
        file = self.folder / "run/state.pt"
        file.write_bytes(file.read_bytes()[:1000])
        self.refused("cannot be read", lambda: Run(recipe, records, self.folder / "run", quiet=True))
        self.assertEqual(file.stat().st_size, 1000)


class Windows(Base):
    def test_a_stretch_has_the_tokens_and_the_loss_of_its_sequence(self):
        records = self.records()
        for _, stretches in data.plan_windows(records, 64, 16, 1, 0):
            pack = data.build_windows(records, stretches, 16, 1.0)
            self.assertEqual(len(pack.spans), len(stretches))
            for span, (i, first) in zip(pack.spans, stretches):
                ids, learn = records.sequence(i)
                whole = records.prefixes[records.prefix_of[i]].tolist() + ids
                under_loss = [False] * (len(whole) - len(learn)) + learn
                self.assertEqual(pack.tokens[span.begin : span.end].tolist(), whole[first : first + 16])
                self.assertEqual(pack.learn[span.begin : span.end - 1].tolist(), under_loss[first + 1 : first + 16])
                self.assertEqual(int(pack.positions[span.begin]), 0)

    def test_a_stage_of_windows_goes_on_exactly_and_the_next_begins_its_own_order(self):
        recipe = kit.recipe({"stage": "dense", "steps": 3, "window": 16}, {"stage": "dense", "steps": 3})
        records = self.records()
        Run(recipe, records, self.folder / "whole", quiet=True).train()
        for _ in range(20):
            leg = Run(recipe, records, self.folder / "legs", quiet=True)
            if leg.stage < 2 and leg.stage_step < 3:
                leg._one(recipe["stages"][leg.stage])
                leg.save()
            elif leg.train(0):
                break
        whole, legs = (torch.load(self.folder / d / "state.pt", weights_only=True)["model"] for d in ("whole", "legs"))
        for name, tensor in whole.items():
            self.assertTrue(torch.equal(tensor, legs[name]), name)


class Renamed(Base):
    def test_a_pack_says_the_same_in_other_words(self):
        records = self.records(environments=9)
        made = renaming.Renaming(records, kit.tokenizer(self.folder), 96, 5, common=0.9)
        plain, other = (data.Stream(records, 120, 1, 0.2, renaming=r).next() for r in (None, made))
        table = torch.tensor(made.table(0, 1))
        self.assertTrue(torch.equal(other.tokens, table[plain.tokens]))
        self.assertTrue(torch.equal(other.targets, torch.where(plain.targets >= 0, table[plain.targets], -1)))
        self.assertFalse(torch.equal(other.tokens, plain.tokens))
        for key in ("positions", "weights", "learn"):
            self.assertTrue(torch.equal(getattr(other, key), getattr(plain, key)))

    def test_legs_end_where_one_run_ends_and_the_tokenizer_must_be_named(self):
        records, recipe = self.records(), kit.recipe({"stage": "dense", "renamed": 0.7, "steps": 4})
        with self.assertRaises(TrainError) as caught:
            Run(recipe, records, self.folder / "none", quiet=True)
        self.assertIn("--tokenizer", str(caught.exception))
        file = kit.tokenizer(self.folder)
        whole, first = (Run(recipe, records, self.folder / name, quiet=True, tokenizer=file) for name in ("whole", "legs"))
        whole.train()
        first._one(recipe["stages"][0])
        first.save()
        second = Run(recipe, records, self.folder / "legs", quiet=True, tokenizer=file)
        second.train()
        for a, b in zip(whole.model.parameters(), second.model.parameters()):
            self.assertTrue(torch.equal(a, b))


class HeldRun(Base):
    def test_rare_words_need_a_tokenizer_and_legs_end_where_one_run_ends(self):
        records = self.records()
        recipe = kit.recipe({"stage": "dense", "steps": 4}, start="copying", circuit=0.1, rare=0.9)
        with self.assertRaises(TrainError) as caught:
            Run(recipe, records, self.folder / "none", quiet=True)
        self.assertIn("--tokenizer", str(caught.exception))
        file = kit.tokenizer(self.folder)
        whole, first = (Run(recipe, records, self.folder / name, quiet=True, tokenizer=file) for name in ("whole", "legs"))
        self.assertGreater(len(whole.hold.rare), 2)
        whole.train()
        first._one(recipe["stages"][0])
        first.save()
        second = Run(recipe, records, self.folder / "legs", quiet=True, tokenizer=file)
        second.train()
        for a, b in zip(whole.model.parameters(), second.model.parameters()):
            self.assertTrue(torch.equal(a, b))


class Grid(Base):
    def test_every_cell_is_trained_once_and_measured(self):
        kit.export(self.folder / "train", environments=4, tasks=5)
        kit.export(self.folder / "held_out", environments=2, tasks=3, seed=9)
        recipe, out = self.folder / "r.json", self.folder / "grid.json"
        recipe.write_text(json.dumps(kit.recipe({"stage": "dense"}, {"stage": "warmup"})))
        options = argparse.Namespace(recipe=recipe, work=self.folder, envs=[2, 4], tasks=[2, 5], steps=4, threads=1, out=out)
        made = grid.train(options)
        self.assertEqual([(c["envs"], c["tasks"], c["sequences"]) for c in made["cells"]], [(2, 2, 4), (2, 5, 10), (4, 2, 8), (4, 5, 20)])
        self.assertEqual(json.loads(out.read_text()), made)
        before = {file: file.stat().st_mtime_ns for file in self.folder.rglob("state.pt")}
        self.assertEqual(len(before), 4)
        self.assertEqual(grid.train(options)["cells"], made["cells"])
        self.assertEqual({file: file.stat().st_mtime_ns for file in self.folder.rglob("state.pt")}, before)
        lines = grid.table(made)
        self.assertEqual(sum("| 2 environments |" in line for line in lines), len(grid.MEASURES))
        self.assertIn(f"{made['cells'][0]['held_out']['agent_loss']:.3f}", lines[2])


class Order(Base):
    def test_an_epoch_has_every_record_once_and_depends_on_its_number(self):
        records = self.records(environments=5, tasks=9)
        first, again, second = (data.plan(records, 60, 1, e) for e in (0, 0, 1))
        self.assertEqual(first, again)
        self.assertNotEqual(first, second)
        self.assertEqual(sorted(i for _, pack in first for i, _ in pack), list(range(45)))
        for prefix, members in first:
            self.assertTrue(all(records.prefix_of[i] == prefix for i, _ in members))
        prefix, members = data.plan(records, 60, 1, 0, beginnings=1.0)[0]
        built = data.build(records, (prefix, members), 0.2)
        self.assertEqual(built.rows, len(records.prefixes[prefix]) + sum(records.beginning(i) for i, _ in members))


if __name__ == "__main__":
    unittest.main()
