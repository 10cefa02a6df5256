"""The cases: a config, the seed of its weights, the seed of its tokens. make_goldens.py stores them, model_parity.py
runs them live. Token seeds are the first ones for which no selection is a near tie (make_goldens.py --search)."""

import json
import os
import subprocess

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))

NEAR_TIE = 1e-5  # of the largest score of the row: below it two right programs may choose differently
LIMIT = 1e-4  # relative error of logits

#       name           weights tokens positions
CASES = [
    ("dense", 11, 2, 256),
    ("moe", 12, 14, 257),
    ("groups", 13, 5, 256),
    ("ragged", 14, 6, 263),
    ("wide_topk", 15, 1, 256),
    ("narrow_topk", 16, 6, 288),
    ("negative_bias", 17, 1, 256),
    ("glm", 18, 4, 259),
]
# Quantised arithmetic is chaotic: a sum that differs in its last bit can cross a rounding step of e4m3, and every later
# position reads the result. One layer keeps that rare, so its limit is tight. Last number: the limit on
# fp8_reference.difference; unquantised arithmetic differs by a hundred times as much (README.md).
FP8_CASES = [
    ("fp8_layer", 19, 1, 128, 1e-5),
    ("fp8_two", 20, 2, 128, 1e-3),
]
FP8_MEDIAN = 1e-5  # of the rows' relative errors, fp8_layer alone


def config_path(name):
    return os.path.join(HERE, "configs", name + ".json")


# Added to every e_score_correction_bias after make-model wrote it, in f32: its own biases are small, and only where choices
# are below zero does it show that experts outside the chosen groups lose to them.
BIAS_SHIFT = {"negative_bias": -0.6}


def make_model(seedbed, name, seed, dtype, folder):
    subprocess.run(
        [seedbed, "engine", "make-model", "--config", config_path(name), "--seed", str(seed), "--out", folder]
        + ["--dtype", dtype],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    if name in BIAS_SHIFT:
        for entry in sorted(os.listdir(folder)):
            if entry.endswith(".safetensors"):
                shift_biases(os.path.join(folder, entry), BIAS_SHIFT[name])


def shift_biases(path, shift):
    """In place: what stands around the numbers stays as our writer wrote it."""
    with open(path, "r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        for name, entry in header.items():
            if name.endswith("e_score_correction_bias"):
                begin, end = entry["data_offsets"]
                file.seek(8 + size + begin)
                values = np.frombuffer(file.read(end - begin), "<f4") + np.float32(shift)
                file.seek(8 + size + begin)
                file.write(values.tobytes())
