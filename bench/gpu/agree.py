"""Whether two devices give the same tokens and logits of one model, by the program itself; needs nothing but Python.

f32: greedy tokens, each fed back. fp8: the most likely token at each position of a given text, wherever it leads the second by
more than MARGIN of the row's largest logit; nearer ones may swap, since quantised sums that differ in their last bit round apart.
Models of one and two layers, because that grows with each layer: with the eight layers of nano a third of the leaders differs
between the CPU's own instruction sets, with these none.
"""
import array
import ast
import json
import pathlib
import sys

import programs
from programs import Refused

GREEDY_TOKENS, FORCED_TOKENS = 512, 256
FORCED_MODELS = (("fp8_layer", 19), ("fp8_two", 20))  # configs of tests/goldens, seed of the weights
MARGIN = 0.02


def tokens(count, vocab, state=12345):
    """Fixed ids, the same on every machine."""
    ids = []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        ids.append(2 + (state >> 33) % (vocab - 2))
    return ids


def read_npy(path):
    """(rows, columns, array of f32) of a two-dimensional little-endian file. Raises ValueError."""
    data = pathlib.Path(path).read_bytes()
    if data[:6] != b"\x93NUMPY" or data[6] not in (1, 2):
        raise ValueError("no .npy file")
    wide = 2 if data[6] == 1 else 4
    size = int.from_bytes(data[8:8 + wide], "little")
    header = ast.literal_eval(data[8 + wide:8 + wide + size].decode("latin-1"))
    if header.get("descr") != "<f4" or header.get("fortran_order") or len(header.get("shape", ())) != 2:
        raise ValueError(f"holds {header}, wanted two-dimensional <f4")
    rows, columns = header["shape"]
    values = array.array("f", data[8 + wide + size:])
    if len(values) != rows * columns or rows * columns == 0:
        raise ValueError(f"{len(values)} numbers, wanted {rows} x {columns}")
    if sys.byteorder == "big":
        values.byteswap()
    return rows, columns, values


def compare_logits(one, two, margin=MARGIN):
    """{"rows", "clear", "differ", "largest"}: rows; those whose leader is clear in `one`; of them with another leader in `two`;
    the largest difference over the row's largest magnitude. Numbers that are none count as differing."""
    rows, columns, a = one
    if two[:2] != (rows, columns):
        raise ValueError(f"logits of {two[0]} x {two[1]}, wanted {rows} x {columns}")
    b, clear, differ, largest = two[2], 0, 0, 0.0
    for r in range(rows):
        x, y = a[r * columns:(r + 1) * columns], b[r * columns:(r + 1) * columns]
        scale = max(max(x), -min(x))
        if not all(v == v for v in y) or not all(v == v for v in x) or scale == float("inf"):
            clear, differ, largest = clear + 1, differ + 1, float("inf")
            continue
        order = sorted(x, reverse=True)[:2]
        largest = max(largest, max(abs(p - q) for p, q in zip(x, y)) / (scale or 1.0))
        if len(order) < 2 or order[0] - order[1] > margin * scale:
            clear += 1
            differ += y.index(max(y)) != x.index(order[0])
    return {"rows": rows, "clear": clear, "differ": differ, "largest": largest}


def _ended(done, what):
    wrong = programs.what_went_wrong(done)
    if wrong:
        raise Refused(f"agreement: {what}: {wrong}")
    return done


def generated(seedbed, model, device, seconds, log, environment, count=GREEDY_TOKENS):
    """Token ids of a greedy continuation in f32."""
    command = [seedbed, "engine", "generate", "--model", model, "--prompt", "Guarded SQL, one transaction each", "--max-tokens", count,
               "--temperature", "0", "--kv-dtype", "f32", "--device", device, "--json"]
    done = _ended(programs.run(command, seconds, log, "agreement", show=lambda line: False, environment=environment), f"generate on {device}")
    try:
        found = json.loads("\n".join(done.lines))
        ids = next(found[key] for key in ("token_ids", "tokens", "ids") if isinstance(found.get(key), list))
    except (ValueError, AttributeError, StopIteration):
        raise Refused(f"agreement: generate on {device}: printed no JSON object with token ids: {' '.join(done.lines)[:200]}") from None
    if not ids or not all(isinstance(one, int) for one in ids):
        raise Refused(f"agreement: generate on {device}: token ids are none: {str(ids)[:100]}")
    return ids


def forced(seedbed, model, device, vocab, seconds, log, environment, folder):
    text, out = folder / "forced.txt", folder / f"forced-{device}.npy"
    text.write_text(" ".join(map(str, tokens(FORCED_TOKENS, vocab))) + "\n", encoding="utf-8")
    command = [seedbed, "engine", "logits", "--model", model, "--tokens", text, "--out", out, "--kv-dtype", "fp8", "--device", device]
    _ended(programs.run(command, seconds, log, "agreement", show=lambda line: False, environment=environment), f"logits on {device}")
    try:
        return read_npy(out)
    except (OSError, ValueError, SyntaxError) as error:
        raise Refused(f"agreement: logits on {device}: {error}") from None


def first_difference(one, two):
    """Index of the first place at which they differ; None where they are equal."""
    for i, (a, b) in enumerate(zip(one, two)):
        if a != b:
            return i
    return None if len(one) == len(two) else min(len(one), len(two))
