#!/usr/bin/env python3
"""Makes tests/goldens/*.golden: weights from `seedbed engine make-model`, outputs from transformers, mtp_reference.py and
fp8_reference.py. Needs torch, transformers, safetensors and numpy.

    make_goldens.py --seedbed build/release/seedbed [--only NAME] [--search N]

--search tries N token seeds for each case, prints the first without a near tie and writes nothing."""

import argparse
import os
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

import cases
import fp8_reference
import golden_file
import mtp_reference
import reference
import transformers_reference


def worst_gaps(sizes, index):
    """[owners, rows] the distance of each row's threshold, inf where all is chosen."""
    return torch.stack([reference.threshold_gaps(scores, sizes.index_topk) for scores, _ in index])


def margins_of(math_, sizes, ids):
    """(the smallest distance of an index threshold, the smallest by which an expert or a group was chosen)"""
    margins = [torch.inf]
    plain = reference.route

    def measured(math_, sizes, prefix, x):
        choice = math_.linear_full(prefix + "gate", x).sigmoid() + math_.w[prefix + "gate.e_score_correction_bias"]
        grouped = choice.view(x.shape[0], sizes.n_group, -1)
        groups = grouped.topk(2, -1).values.sum(-1).sort(dim=-1, descending=True)
        if sizes.topk_group < sizes.n_group:
            margins.append(float((groups.values[:, sizes.topk_group - 1] - groups.values[:, sizes.topk_group]).min()))
        kept = grouped.gather(1, groups.indices[:, : sizes.topk_group, None].expand(-1, -1, grouped.shape[-1])).flatten(1)
        if kept.shape[1] > sizes.num_experts_per_tok:
            best = kept.sort(dim=-1, descending=True).values
            margins.append(float((best[:, sizes.num_experts_per_tok - 1] - best[:, sizes.num_experts_per_tok]).min()))
        return plain(math_, sizes, prefix, x)

    reference.route = measured
    try:
        trace = reference.forward(math_, sizes, ids)
        if sizes.num_nextn_predict_layers:
            mtp = mtp_reference.forward(math_, sizes, ids, trace["hidden"])
            trace["index"] = trace["index"] + mtp["index"]
    finally:
        reference.route = plain
    least = min(float(gaps.min()) for gaps in (reference.threshold_gaps(s, sizes.index_topk) for s, _ in trace["index"]))
    return least, min(margins)


def search(name, folder, positions, count):
    config, stored = reference.load_checkpoint(folder)
    math_, sizes = reference.Plain(stored, torch.float64), reference.Sizes(config)
    for seed in range(1, count + 1):
        gap, margin = margins_of(math_, sizes, reference.tokens(seed, positions, sizes.vocab_size))
        if gap >= 1.5 * cases.NEAR_TIE and margin >= 1.5 * cases.NEAR_TIE:
            print(f"{name}: token seed {seed}: nearest index threshold {gap:.1e}, nearest expert threshold {margin:.1e}")
            return
    print(f"{name}: every one of {count} token seeds meets a near tie")


def packed(index, topk):
    """[owners, rows from `topk` on, bytes]: bit j % 8 of byte j / 8 tells whether key j was chosen."""
    chosen = torch.stack([chosen[topk:] for _, chosen in index]).numpy()
    return np.packbits(chosen, axis=-1, bitorder="little")


def sets_and_gaps(sizes, trace, prefix=""):
    rows = trace["logits"].shape[0]
    if sizes.index_topk >= rows:
        return []
    gaps = worst_gaps(sizes, trace["index"])[:, sizes.index_topk :]
    return [(prefix + "selected", "u8", packed(trace["index"], sizes.index_topk)), (prefix + "gap", "f32", gaps.numpy())]


def agree(name, what, ours, theirs, limit):
    error = reference.relative_error(ours, theirs)
    if not error <= limit:
        raise SystemExit(f"{name}: the two references differ in {what} by {error:.2e}")
    return error


def golden(name, folder, weights_seed, token_seed, positions):
    config, stored = reference.load_checkpoint(folder)
    sizes = reference.Sizes(config)
    ids = reference.tokens(token_seed, positions, sizes.vocab_size)
    trace = transformers_reference.forward(transformers_reference.load(folder), ids)
    math_ = reference.Plain(stored, torch.float64)
    own = reference.forward(math_, sizes, ids)
    error = agree(name, "logits", own["logits"], trace["logits"], cases.LIMIT / 5)
    for (_, ours), (_, theirs) in zip(own["index"], trace["index"], strict=True):
        if not torch.equal(ours, theirs):
            raise SystemExit(f"{name}: the two references select differently; look for another token seed with --search")
    arrays = [("logits", "f32", trace["logits"].numpy()), *sets_and_gaps(sizes, trace)]
    if trace["experts"]:
        arrays.append(("experts", "u8", torch.stack(trace["experts"]).numpy()))
    if sizes.num_nextn_predict_layers:
        mtp = mtp_reference.forward(math_, sizes, ids, own["hidden"])
        arrays += [("mtp_logits", "f32", mtp["logits"].numpy()), *sets_and_gaps(sizes, mtp, "mtp_")]
    write(name, name, "f32", weights_seed, token_seed, positions, sizes, arrays)
    print(f"{name}: transformers against reference.py {error:.1e}")


def golden_fp8(name, folder, weights_seed, token_seed, positions):
    config, stored = reference.load_checkpoint(folder)
    sizes = reference.Sizes(config)
    ids = reference.tokens(token_seed, positions, sizes.vocab_size)
    trace = reference.forward(fp8_reference.Fp8(stored), sizes, ids)
    arrays = [("logits", "f32", trace["logits"].numpy()), *sets_and_gaps(sizes, trace)]
    write(name, name, "fp8", weights_seed, token_seed, positions, sizes, arrays)
    plain = reference.Plain(fp8_reference.dequantised(stored), torch.float64)
    exact = reference.forward(plain, sizes, ids, [chosen for _, chosen in trace["index"]])
    difference = fp8_reference.difference(trace["logits"], exact["logits"])
    print(f"{name}: with exact arithmetic on the same weights and selection the difference would be {difference:.1e}")


def write(stem, name, dtype, weights_seed, token_seed, positions, sizes, arrays):
    fields = {"config": f"configs/{name}.json", "weights_seed": weights_seed, "dtype": dtype, "token_seed": token_seed}
    if name in cases.BIAS_SHIFT:
        fields["bias_shift"] = cases.BIAS_SHIFT[name]
    fields |= {"positions": positions, "vocab": sizes.vocab_size, "index_topk": sizes.index_topk}
    golden_file.write(os.path.join(cases.HERE, stem + ".golden"), fields, arrays)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seedbed", default="build/release/seedbed")
    parser.add_argument("--only")
    parser.add_argument("--search", type=int, metavar="N")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, weights_seed, token_seed, positions in cases.CASES:
        if options.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                cases.make_model(options.seedbed, name, weights_seed, "f32", folder)
                if options.search:
                    search(name, folder, positions, options.search)
                else:
                    golden(name, folder, weights_seed, token_seed, positions)
    for name, weights_seed, token_seed, positions, _ in cases.FP8_CASES:
        if options.only in (None, name) and not options.search:
            with tempfile.TemporaryDirectory() as folder:
                cases.make_model(options.seedbed, name, weights_seed, "fp8", folder)
                golden_fp8(name, folder, weights_seed, token_seed, positions)
    if not options.search:
        total = sum(entry.stat().st_size for entry in os.scandir(cases.HERE) if entry.name.endswith(".golden"))
        print(f"all goldens: {total} bytes")
        return 0 if total < 1_000_000 else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
