"""Holds the engine's logits against Hugging Face transformers' own DeepSeek-V3.2 and GLM classes, live.

    ./dev acceptance
    build/venv/bin/python tests/acceptance/model_parity.py [--seedbed PROGRAM] [--only NAME] [--token-seed N] [--device DEVICE]

For each case of tests/goldens/cases.py: `seedbed engine make-model` writes seeded f32 weights, transformers and `seedbed
engine logits --kv-dtype f32` compute logits of the same tokens. Error of a row: max |ours - theirs| / max |theirs|. A row
where two index scores lie within 1e-5 of the threshold may be chosen otherwise by any right program, and everything after it
reads the result: such rows are counted, and only the rows before the first are compared. The cases' own token seeds have none.

Exit code: 0 all hold, 1 something does not, 2 it could not be tried.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.update(HF_HUB_OFFLINE="1")
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/goldens"))

try:
    import numpy as np
    import torch
    import transformers

    import cases
    import reference
    import transformers_reference
except ImportError as error:
    print(f"model_parity: {error}; run it through ./dev acceptance, or: {sys.executable} -m pip install torch transformers safetensors numpy", file=sys.stderr)
    sys.exit(2)


def logits_of(seedbed, folder, ids, device):
    tokens, out = os.path.join(folder, "tokens.txt"), os.path.join(folder, "logits.npy")
    pathlib.Path(tokens).write_text(" ".join(map(str, ids)) + "\n", encoding="utf-8")
    command = [seedbed, "engine", "logits", "--model", folder, "--tokens", tokens, "--out", out, "--kv-dtype", "f32"]
    command += ["--device", device] if device else []
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode != 0:
        sys.exit(f"model_parity: {' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()[-800:]}")
    return torch.from_numpy(np.load(out))


def near_tie_rows(trace, topk):
    """Rows of the sequence for which some layer's threshold is a near tie, ascending."""
    rows = set()
    for scores, _ in trace["index"]:
        rows |= set((reference.threshold_gaps(scores, topk) < cases.NEAR_TIE).nonzero().flatten().tolist())
    return sorted(rows)


def compare(seedbed, name, weights_seed, token_seed, positions, device):
    with tempfile.TemporaryDirectory() as folder:
        cases.make_model(seedbed, name, weights_seed, "f32", folder)
        model = transformers_reference.load(folder)
        ids = reference.tokens(token_seed, positions, model.config.vocab_size)
        trace = transformers_reference.forward(model, ids)
        ours = logits_of(seedbed, folder, ids, device)
    near = near_tie_rows(trace, model.config.index_topk)
    rows = near[0] if near else positions
    if tuple(ours.shape) != tuple(trace["logits"].shape):
        raise ValueError(f"{name}: logits of shape {tuple(ours.shape)}, wanted {tuple(trace['logits'].shape)}")
    error = reference.relative_error(ours[:rows], trace["logits"][:rows]) if rows else 0.0
    return error, rows, max(0, rows - model.config.index_topk), len(near)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seedbed", default=str(ROOT / os.environ.get("SEEDBED_BUILD", "build/release") / "seedbed"))
    parser.add_argument("--only", help="one case by its name")
    parser.add_argument("--token-seed", type=int, help="other tokens than the case's own")
    parser.add_argument("--device", help="where the engine computes, as in `seedbed engine logits --device`")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'case':<15}{'rows compared':>14}{'of them sparse':>15}{'near ties':>10}{'relative error':>16}")
    worst, count, failures = 0.0, 0, []
    for name, weights_seed, token_seed, positions in cases.CASES:
        if arguments.only not in (None, name):
            continue
        token_seed = arguments.token_seed or token_seed
        error, rows, sparse, near = compare(arguments.seedbed, name, weights_seed, token_seed, positions, arguments.device)
        print(f"{name:<15}{rows:>14}{sparse:>15}{near:>10}{error:>16.2e}", flush=True)
        worst, count = max(worst, error), count + 1
        if not error <= cases.LIMIT:
            failures.append(name)
    wrong = f", over {cases.LIMIT:.0e} in {', '.join(failures)}" if failures else ""
    print(f"transformers {transformers.__version__}: {count} models, largest relative error {worst:.1e}{wrong}")
    return 1 if failures or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
