"""Makes a model from nothing: environments and tasks, trajectories, tokenizer, exports, training, the model folder.

    python train/make_model.py --recipe train/recipes/cpu.json --work build/train/cpu [--minutes M] [--until STEP]

Every step is skipped where it is done; a training leg of M minutes goes on where the last one ended.
"""

import argparse
import ctypes.util
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "train"))
from seedbed_train import phrases, words  # noqa: E402
SEEDBED = ROOT / "build/release/seedbed"


def run(*command):
    print("+ " + " ".join(map(str, command)), file=sys.stderr, flush=True)
    code = subprocess.run(list(map(str, command)), cwd=ROOT).returncode
    if code:
        sys.exit(code)


def make_store(store, d, flags, envs, tasks, seed):
    run(SEEDBED, "gen", *flags, "--envs", envs, "--tasks-per-env", tasks, "--seed", seed, "--out", store)
    run(SEEDBED, "run", store, "--policy", d.get("policy", "teacher"), "--samples", d["samples"], "--seed", seed)


def make_data(work, d, seed):
    """-> the tokens exports (to learn from, held out) and the tokenizer; once made they stay."""
    state = work / "data.json"
    names = {"train": str(work / "train"), "held_out": str(work / "held_out"), "tokenizer": str(work / "tokenizer.json")}
    known = json.loads(state.read_text()) if state.exists() else None
    if known == {"data": d, "done": True}:
        return names
    if known is None or known.get("data") != d:  # another recipe's
        for old in ("train.db", "held_out.db", "texts", "train", "held_out"):
            subprocess.run(["rm", "-rf", "--", str(work / old)], check=True)
    state.write_text(json.dumps({"data": d, "done": False}))
    make_store(work / "train.db", d, d["gen"], d["envs"], d["tasks_per_env"], d["seed"])
    held = d["held_out"]
    make_store(work / "held_out.db", d, held.get("gen", d["gen"]), held["envs"], held["tasks_per_env"], held["seed"])
    chosen = ["--policy", d.get("policy", "teacher"), *(["--without", d["without"]] if d.get("without") else [])]
    run(SEEDBED, "export", work / "train.db", "--format", "prompts", *chosen, "--thinking", d.get("thinking", "both"), "--out", work / "texts")
    texts = sorted((work / "texts").rglob("*.txt"))
    how = ["--bare-words"] if d.get("bare_words") else []
    if d.get("phrases"):
        print(f"+ phrases: {phrases.write(texts, d['phrases'], work / 'phrases.json')}", file=sys.stderr, flush=True)
        how += ["--phrases", work / "phrases.json"]
    if d.get("words"):
        print(f"+ words: {words.write(texts, d['words'], work / 'words.json')}", file=sys.stderr, flush=True)
        how += ["--words", work / "words.json"]
    run(SEEDBED, "engine", "train-tokenizer", "--vocab", d["vocab"], "--chat", *how, "--out", work / "tokenizer.json", *texts)
    for name in ("train", "held_out"):
        order = "shuffled" if name == "train" else "kept"
        run(SEEDBED, "export", work / f"{name}.db", "--format", "tokens", "--tokenizer", work / "tokenizer.json", *chosen,
            "--thinking", d.get("thinking", "on"), "--tool-order", order, "--min-score", "1", "--out", work / name)
    state.write_text(json.dumps({"data": d, "done": True}))
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", required=True, type=Path)
    parser.add_argument("--work", required=True, type=Path, help="stores, exports, training state")
    parser.add_argument("--minutes", default="inf", help="of training in this leg")
    parser.add_argument("--data-only", action="store_true")
    options = parser.parse_args()
    recipe = json.loads(options.recipe.read_text())
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    data = make_data(work, recipe["data"], recipe["seed"])
    if options.data_only:
        return
    trainer = [sys.executable, "-m", "seedbed_train"]
    common = ["--recipe", options.recipe.resolve(), "--data", data["train"], "--run", work / "run"]
    common += ["--tokenizer", data["tokenizer"]]
    # torch's tensors come and go; glibc gives their pages back to the kernel each time, which was a quarter of a step where it was measured.
    allocator = ctypes.util.find_library("tcmalloc_minimal")
    environment = {**os.environ, "LD_PRELOAD": allocator} if allocator and "LD_PRELOAD" not in os.environ else None
    for command in ([*trainer, "train", *common, "--held-out", data["held_out"], "--minutes", options.minutes],
                    [*trainer, "write", *common, "--out", work / "model"]):
        print("+ " + " ".join(map(str, command)), file=sys.stderr, flush=True)
        code = subprocess.run(list(map(str, command)), cwd=ROOT / "train", env=environment).returncode
        if code:
            sys.exit(code)


if __name__ == "__main__":
    main()
