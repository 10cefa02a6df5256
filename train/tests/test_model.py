"""The model: packs against single sequences, DSA's stages, checkpoints."""

import json
import tempfile
import unittest
from pathlib import Path

import kit
import torch
from seedbed_train import checkpoint
from seedbed_train.attention import Mode, select
from seedbed_train.errors import TrainError
from seedbed_train.model import Model
from seedbed_train.packs import PackBuilder


def made(seed=1, **changes):
    model = Model(kit.tiny(**changes)).initialise(seed, std=0.3)
    return model.eval()


def pack_of(*groups):
    builder = PackBuilder(1.0)
    for prefix, sequences in groups:
        builder.add(prefix, [(s, [True] * len(s)) for s in sequences])
    return builder.build()


class Packs(unittest.TestCase):
    def test_sequences_of_a_pack_get_what_they_get_alone(self):
        torch.manual_seed(0)
        draw = lambda n: torch.randint(0, 96, (n,)).tolist()
        prefix, a, b, other = draw(20), draw(9), draw(14), draw(17)
        for stage in ("dense", "sparse"):
            model = made()
            with torch.no_grad():
                together = model.logits(pack_of((prefix, [a, b]), ([], [other])), Mode(stage))
                one = model.logits(pack_of(([], [prefix + a])), Mode(stage))
                two = model.logits(pack_of(([], [prefix + b])), Mode(stage))
                three = model.logits(pack_of(([], [other])), Mode(stage))
            torch.testing.assert_close(together[:29], one, atol=2e-5, rtol=1e-4)
            torch.testing.assert_close(together[29:43], two[20:], atol=2e-5, rtol=1e-4)
            torch.testing.assert_close(together[43:], three, atol=2e-5, rtol=1e-4)

    def test_rows_without_a_loss_may_be_left_out_of_the_last_layer(self):
        torch.manual_seed(0)
        draw = lambda n: torch.randint(0, 96, (n,)).tolist()
        builder = PackBuilder(0.5)
        builder.add(draw(20), [(draw(9), [False] * 6 + [True] * 3), (draw(14), [i % 3 == 0 for i in range(14)])])
        builder.add(draw(11), [(draw(5), [False] * 5)])
        pack = builder.build().thin(0.3, torch.Generator().manual_seed(1))
        pack.weights[45:] = 0  # a group nothing of which counts
        told = []
        for all_rows in (True, False):
            model = made().train()
            out = model.losses(pack, Mode(all_rows=all_rows))
            (out["language"][0] / out["language"][1]).backward()
            told.append((out, [p.grad for p in model.parameters() if p.grad is not None]))
        for key in ("language", "agent"):
            torch.testing.assert_close(told[0][0][key], told[1][0][key])
        self.assertEqual(len(told[0][1]), len(told[1][1]))
        for a, b in zip(told[0][1], told[1][1]):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)

    def test_rows_that_fill_a_pack_change_no_loss(self):
        torch.manual_seed(4)
        builder = PackBuilder(0.3)
        builder.add(list(range(5, 12)), [(list(range(20, 33)), [False] * 6 + [True] * 7), (list(range(40, 51)), [True] * 11)])
        pack = builder.build()
        filled = pack.filled(64)
        self.assertEqual((pack.rows, filled.rows), (31, 64))
        self.assertIs(filled.filled(64), filled)
        model = Model(kit.tiny()).initialise(2).eval()
        with torch.no_grad():
            alone, whole = model.losses(pack), model.losses(filled)
        for key in ("language", "agent"):
            torch.testing.assert_close(whole[key], alone[key], rtol=1e-5, atol=1e-5)
        self.assertEqual(float(whole["agent"][1]), float(pack.learn.sum()))

    def test_targets_stay_inside_a_sequence(self):
        pack = pack_of(([5, 6, 7], [[8, 9], [10, 11, 12]]))
        self.assertEqual(pack.targets.tolist(), [6, 7, -1, 9, -1, 11, 12, -1])
        self.assertEqual(pack.positions.tolist(), [0, 1, 2, 3, 4, 3, 4, 5])
        self.assertEqual(pack.weights.tolist(), [1, 1, 0, 1, 0, 1, 1, 0])


class Sparse(unittest.TestCase):
    def test_a_selection_as_wide_as_the_context_changes_nothing(self):
        model, wide = made(), made(index_topk=64)
        wide.load_state_dict(model.state_dict())
        pack = pack_of(([], [torch.randint(0, 96, (50,)).tolist()]))
        with torch.no_grad():
            dense = wide.logits(pack)
            torch.testing.assert_close(wide.logits(pack, Mode("sparse")), dense, atol=2e-5, rtol=1e-4)
            self.assertGreater(float((model.logits(pack, Mode("sparse")) - dense).abs().max()), 1e-3)

    def test_of_equal_scores_the_lower_position_is_kept(self):
        visible = torch.ones(1, 6, dtype=torch.bool)
        visible[0, 5] = False
        chosen = select(torch.tensor([[1.0, 0.0, 1.0, 1.0, 0.0, 9.0]]), visible, 2)
        self.assertEqual(chosen.nonzero()[:, 1].tolist(), [0, 2])

    def test_the_indexer_learns_from_its_own_loss_alone(self):
        model = made()
        model.train()
        pack = pack_of(([], [torch.randint(0, 96, (40,)).tolist()]))
        out = model.losses(pack, Mode("sparse"))
        out["language"][0].backward(retain_graph=True)
        self.assertTrue(all(p.grad is None or not p.grad.any() for n, p in model.named_parameters() if "indexer." in n))
        model.zero_grad(set_to_none=True)
        out["index"][0].backward()
        for name, p in model.named_parameters():
            has = p.grad is not None and bool(p.grad.any())
            # The prediction layer took no part.
            self.assertEqual(has, "indexer." in name and ".layers.3." not in name and "k_norm.bias" not in name or has and "k_norm.bias" in name, name)

    def test_warmup_brings_the_indexer_to_the_attention(self):
        model = made()
        pack = pack_of(([], [torch.randint(0, 96, (60,)).tolist()]))
        optimizer = torch.optim.Adam([p for n, p in model.named_parameters() if "indexer." in n], 1e-2)
        losses = []
        for _ in range(60):
            optimizer.zero_grad()
            kl, rows = model.losses(pack, Mode("warmup"))["index"]
            kl.backward()
            optimizer.step()
            losses.append(float((kl / rows).detach()))
        self.assertLess(losses[-1], 0.6 * losses[0])


class Experts(unittest.TestCase):
    def test_the_bias_moves_against_the_load_and_never_weighs(self):
        moe = made().moes[0]
        x = torch.randn(50, 32)
        chosen, weights = moe.gate(x)
        torch.testing.assert_close(weights.sum(-1), torch.ones(50))
        moe.loads = [[4, 1, 2, 5], [5, 0, 3, 0]]
        self.assertAlmostEqual(moe.rebalance(0.1), 9 / 5)
        self.assertEqual([round(b, 3) for b in moe.gate.e_score_correction_bias.tolist()], [-0.1, 0.1, 0.0, 0.0])
        moe.gate.e_score_correction_bias[2] = 100.0
        chosen, weights = moe.gate(x)
        self.assertTrue((chosen == 2).any(-1).all())
        self.assertLess(float(weights.detach().max()), 1.0)

    def test_experts_one_by_one_give_the_same(self):
        moe = made().moes[0]
        x = torch.randn(7, 32)
        with torch.no_grad():
            chosen, weights = moe.gate(x)
            want = moe.shared_experts(x)
            for row in range(7):
                for e, w in zip(chosen[row], weights[row]):
                    gate, up = (moe.experts.gate_up[e] @ x[row]).chunk(2)
                    want[row] += w * (moe.experts.down[e] @ (torch.nn.functional.silu(gate) * up))
            torch.testing.assert_close(moe(x), want, atol=1e-5, rtol=1e-4)


class Prediction(unittest.TestCase):
    def test_it_is_taught_the_token_after_next_of_its_own_sequence(self):
        model = made()
        seen = {}
        original = model._language

        def spy(hidden, targets, weights, learn):
            seen[len(seen)] = (targets.tolist(), (weights > 0).tolist())
            return original(hidden, targets, weights, learn)

        model._language = spy
        model.losses(pack_of(([5, 6, 7], [[8, 9], [10, 11, 12]])), mtp=True)
        targets, used = seen[1]
        self.assertEqual([t for t, u in zip(targets, used) if u], [7, 12])


class Checkpoints(unittest.TestCase):
    def test_there_and_back(self):
        with tempfile.TemporaryDirectory() as folder:
            model = made()
            for dtype, tolerance in ((torch.float32, 0.0), (torch.bfloat16, 0.01)):
                checkpoint.write(model, Path(folder) / "m", dtype)
                again = checkpoint.read(Path(folder) / "m")
                for name, tensor in model.state_dict().items():
                    torch.testing.assert_close(again.state_dict()[name], tensor, atol=tolerance, rtol=tolerance)

    def test_a_model_of_one_chat_form_says_which(self):
        with tempfile.TemporaryDirectory() as folder:
            said = Path(folder) / "m/generation_config.json"
            checkpoint.write(made(), said.parent, thinking=False)
            self.assertEqual(json.loads(said.read_text()), {"thinking": False})
            checkpoint.write(made(), said.parent)
            self.assertFalse(said.exists())

    def test_damage_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "m"
            checkpoint.write(made(), target)
            shard = next(target.glob("*.safetensors"))
            whole = shard.read_bytes()
            for bad in (whole[: len(whole) // 2], whole[:4], b""):
                shard.write_bytes(bad)
                with self.assertRaises(TrainError):
                    checkpoint.read(target)
            shard.write_bytes(whole)
            checkpoint.read(target)
            config = (target / "config.json").read_text()
            (target / "config.json").write_text(config.replace('"hidden_size": 32', '"hidden_size": 64'))
            with self.assertRaises(TrainError):
                checkpoint.read(target)


if __name__ == "__main__":
    unittest.main()
