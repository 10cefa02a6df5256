"""The cases: a config, the seed of its weights, the seed of its tokens. make_goldens.py stores them, model_parity.py
runs them live. Token seeds are the first ones for which no selection is a near tie (make_goldens.py --search)."""

import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))

NEAR_TIE = 1e-5  # of the largest score of the row: below it two right programs may choose differently
LIMIT = 1e-4  # relative error of logits

#       name           weights tokens positions
CASES = [
    ("dense", 11, 10, 256),
    ("moe", 12, 8, 257),
    ("groups", 13, 2, 256),
    ("ragged", 14, 55, 263),
    ("wide_topk", 15, 1, 256),
    ("narrow_topk", 16, 1, 288),
    ("negative_bias", 17, 1, 256),
    ("glm", 18, 2, 259),
]
# Quantised arithmetic is chaotic: a sum that differs in its last bit can cross a rounding step of e4m3, and every later
# position reads the result. One layer keeps that rare, so its limit is tight. Last number: the limit on
# fp8_reference.difference; a fifth of a step over it would be unquantised arithmetic (README.md).
FP8_CASES = [
    ("fp8_layer", 19, 1, 128, 1e-5),
    ("fp8_two", 20, 2, 128, 3e-3),
]
FP8_MEDIAN = 1e-5  # of the rows' relative errors, fp8_layer alone


def config_path(name):
    return os.path.join(HERE, "configs", name + ".json")


def make_model(seedbed, name, seed, dtype, folder):
    subprocess.run(
        [seedbed, "engine", "make-model", "--config", config_path(name), "--seed", str(seed), "--out", folder]
        + ["--dtype", dtype],
        check=True,
        stdout=subprocess.DEVNULL,
    )
