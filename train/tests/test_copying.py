"""The initialisation that copies, and the made-up sequences that show it."""

import unittest

import kit
import torch
from seedbed_train import copying, repeats
from seedbed_train.model import Model
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

    def test_narrow_models_take_it_without_error(self):
        model = Model(kit.tiny()).initialise(1)
        copying.put_in(model, 1)
        self.assertTrue(all(torch.isfinite(p).all() for p in model.parameters()))


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
