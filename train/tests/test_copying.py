"""The initialisation that copies, and the made-up sequences that show it."""

import unittest

import kit
import torch
from seedbed_train import copying, repeats
from seedbed_train.attention import Angles, Mode
from seedbed_train.model import Model
from seedbed_train.optim import Optimizers
from seedbed_train.packs import PackBuilder

WIDE = {
    "vocab_size": 512,
    "hidden_size": 256,
    "kv_lora_rank": 128,
    "q_lora_rank": 192,
    "num_attention_heads": 4,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 16,
    "v_head_dim": 48,
    "index_head_dim": 32,
}


def right(model, length):
    pack = repeats.pack_of(1024, length, model.config.vocab_size, 1, 0, PackBuilder(0.0))
    with torch.no_grad():
        agent = model.losses(pack)["agent"]
    return float(agent[2] / agent[1])


class Copying(unittest.TestCase):
    def test_it_copies_before_any_step_and_a_drawn_model_does_not(self):
        model = Model(kit.tiny(**WIDE)).initialise(1).eval()
        self.assertLess(right(model, 128), 0.05)
        copying.put_in(model, 1)
        self.assertGreater(right(model, 128), 0.9)
        self.assertGreater(right(model, 512), 0.8)

    def test_the_look_back_finds_its_token_in_long_contexts_whatever_stands_there(self):
        model = Model(kit.tiny(**WIDE)).initialise(1).eval()
        copying.put_in(model, 1)
        at = copying.Channels.of(model.config)
        tokens = torch.randint(0, 512, (6000,), generator=torch.Generator().manual_seed(5))
        builder = PackBuilder(0.0)
        builder.add([], [(tokens.tolist(), [False] * len(tokens))])
        pack = builder.build()
        with torch.no_grad():
            embedded = model.model.embed_tokens(pack.tokens)
            out, _ = model.model.layers[0](embedded, Angles(model.config, pack.positions), pack.spans, Mode())
        for back, count, target in ((1, at.p, at.at_p), (2, at.pp, at.at_pp)):
            alike = torch.nn.functional.cosine_similarity(out[back:, target : target + count], embedded[:-back, 1 : 1 + count])
            self.assertGreater(float(alike.min()), 0.95)

    def test_upper_heads_hand_on_the_code_of_what_they_look_at(self):
        model = Model(kit.tiny(**{**WIDE, "kv_lora_rank": 160}, num_hidden_layers=4)).initialise(1)
        copying.put_in(model, 1)
        c, at = model.config, copying.Channels.of(model.config)
        self.assertGreater(at.row_stem, 8)
        for layer in (1, 2, 3):
            views = copying._Views(c, model.model.layers[layer].self_attn)
            parts = copying._handing_on(c, at, layer)
            for part in parts:
                through = (views.o[:, part.head] @ views.v[part.head] @ views.kv_down[: c.kv_lora_rank]).detach()
                handed = through[part.target : part.target + part.count, part.source : part.source + part.count]
                self.assertTrue(torch.equal(handed, torch.eye(part.count)), (layer, part))
                self.assertEqual(float(through.abs().sum()), sum(p.count for p in parts if p.head == part.head))
        chained = [(part.source, part.target) for layer in (2, 3) for part in copying._handing_on(c, at, layer)]
        self.assertIn((1, at.at_row), chained)
        self.assertIn((at.at_row, at.at_said), chained)

    def test_the_last_layer_looks_for_words_of_the_stem_in_row(self):
        model = Model(kit.tiny(**{**WIDE, "kv_lora_rank": 160}, num_hidden_layers=4)).initialise(1)
        copying.put_in(model, 1, {10: "bond", 11: "Bonds", 12: "lamp", 13: "vale"})
        c, at = model.config, copying.Channels.of(model.config)
        views = copying._Views(c, model.model.layers[3].self_attn)
        embedding = model.model.embed_tokens.weight.detach()
        stream = torch.zeros(c.hidden_size)
        stem = 1 + copying.code_channels(at)
        stream[at.at_row + at.row - at.row_stem : at.at_row + at.row] = embedding[10, stem : stem + at.row_stem]
        q = (views.q[0] @ views.q_down @ stream).detach()[: c.qk_nope_head_dim]
        k = (views.k[0] @ views.kv_down[: c.kv_lora_rank]).detach()
        scores = {i: float(q @ k @ embedding[i]) for i in range(10, 14)}
        self.assertAlmostEqual(scores[10], scores[11], places=4)
        self.assertGreater(scores[10], 2 * max(scores[12], scores[13]))

    def test_forms_of_a_word_have_one_stem_and_codes_of_their_own(self):
        model = Model(kit.tiny(**WIDE)).initialise(1)
        copying.put_in(model, 1, {10: "bond", 11: "Bonds", 12: "lamp"})
        at, embedding = copying.Channels.of(model.config), model.model.embed_tokens.weight.detach()
        code, stem = 1 + copying.code_channels(at), copying.stem_channels(at)
        self.assertGreater(stem, 8)
        alike = lambda i, j, cut: float(torch.nn.functional.cosine_similarity(embedding[i, cut], embedding[j, cut], dim=0))
        of_code, of_stem = slice(1, code), slice(code, code + stem)
        self.assertAlmostEqual(alike(10, 11, of_stem), 1.0, places=5)
        self.assertLess(abs(alike(10, 12, of_stem)), 0.6)
        self.assertLess(abs(alike(10, 11, of_code)), 0.5)
        self.assertLess(float((embedding.norm(dim=-1) - embedding[0].norm()).abs().max()), 1e-3)

    def test_narrow_models_take_it_without_error(self):
        model = Model(kit.tiny()).initialise(1)
        copying.put_in(model, 1)
        self.assertTrue(all(torch.isfinite(p).all() for p in model.parameters()))


class Held(unittest.TestCase):
    RARE = (20, 21, 30)

    def stepped(self, speed):
        """A model before and after three steps of which the circuit makes the share `speed`."""
        model = Model(kit.tiny(**WIDE)).initialise(1)
        copying.put_in(model, 1)
        hold = copying.Hold(model, speed, self.RARE)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        optimizers = Optimizers(model, {"stage": "dense", "lr": kit.LR})
        for number in range(3):
            optimizers.zero_grad()
            out = model.losses(repeats.pack_of(256, 64, 512, 1, number, PackBuilder(0.1)))
            (out["language"][0] / out["language"][1]).backward()
            hold.gradients()
            hold.step(optimizers, 1.0)
        return model, before, copying.Channels.of(model.config)

    def test_codes_and_circuit_stay_and_all_else_learns(self):
        model, before, at = self.stepped(0.0)
        after = dict(model.named_parameters())
        moved = {name: (after[name].detach() - before[name]).abs() for name in before}
        code = 1 + copying.held_channels(at)
        embedding, head = moved["model.embed_tokens.weight"], moved["lm_head.weight"]
        self.assertEqual(float(embedding[:, :code].max()), 0)
        self.assertEqual(float(embedding[:, at.at_p :].max()), 0)
        self.assertGreater(float(embedding[:, code : at.at_p].max()), 0)
        self.assertEqual(float(head[:, at.at_said :].max()), 0)
        self.assertGreater(float(head[:, : at.at_said].max()), 0)
        for layer, heads in ((0, 2), (1, 3)):
            q = moved[f"model.layers.{layer}.self_attn.q_b_proj.weight"].view(4, 48, -1).amax((1, 2))
            self.assertEqual(q[:heads].tolist(), [0] * heads)
            self.assertGreater(float(q[heads:].min()), 0)
        self.assertGreater(float(moved["model.layers.1.self_attn.kv_a_proj_with_mqa.weight"].max()), 0)

    def test_the_circuit_learns_at_its_share_of_the_rate(self):
        name = "model.layers.0.self_attn.kv_a_proj_with_mqa.weight"
        (slow, before, _), (fast, _, _) = self.stepped(0.1), self.stepped(0.9)
        change = [float((dict(m.named_parameters())[name].detach() - before[name])[:100].norm()) for m in (slow, fast)]
        self.assertTrue(0 < change[0] < change[1] / 4, change)

    def test_rare_words_share_all_but_their_codes_and_every_token_keeps_its_length(self):
        model, _, at = self.stepped(0.1)
        rare, code = list(self.RARE), copying.held_channels(at)
        embedding, head = model.model.embed_tokens.weight.detach(), model.lm_head.weight.detach()
        for shared in (embedding[rare, 1 + code : at.at_p], head[rare, : at.at_said]):
            self.assertTrue(torch.equal(shared, shared[:1].expand_as(shared)))
        self.assertFalse(torch.equal(embedding[20, : 1 + code], embedding[21, : 1 + code]))
        norms = embedding.norm(dim=-1)
        self.assertLess(float(norms.max() - norms.min()), 1e-3)


class Repeats(unittest.TestCase):
    def test_what_is_under_loss_was_said_before(self):
        builder = PackBuilder(0.0)
        pack = repeats.pack_of(600, 300, 512, 3, 4, builder)
        self.assertEqual(pack.rows, 600)
        for span in pack.spans:
            ids = pack.tokens[span.begin : span.end].tolist()
            for row in range(span.begin, span.end):
                if not pack.learn[row]:
                    continue
                at = row - span.begin
                pair = (ids[at], int(pack.targets[row]))
                self.assertIn(pair, list(zip(ids[:at], ids[1 : at + 1])))

    def test_a_pack_is_a_function_of_its_number(self):
        of = lambda n: repeats.pack_of(300, 100, 512, 3, n, PackBuilder(0.0)).tokens.tolist()
        self.assertEqual(of(1), of(1))
        self.assertNotEqual(of(1), of(2))


if __name__ == "__main__":
    unittest.main()
