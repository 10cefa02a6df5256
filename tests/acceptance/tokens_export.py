"""Reads the export `tokens` as a trainer would: JSON lines, base64 arrays, numpy.

    ./dev acceptance light
    build/venv/bin/python tests/acceptance/tokens_export.py [--seedbed PROGRAM] [FOLDER...]

Without a folder it makes a store, a tokenizer and a seeded model, runs the policy `engine` on a few tasks with both chat forms,
and exports them. Checked in every line: lengths, the mask against spans and counts, log probabilities (0 where not under loss,
never above 0, the processed ones no lower than the raw ones where the kept set alone differs), kept sets that hold the sampled
token, and the shape of the routing.

Exit code: 0 all hold, 1 something does not, 2 it could not be tried.
"""

import argparse
import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

try:
    import numpy as np
except ImportError as error:
    print(f"tokens_export: {error}; run it through ./dev acceptance, or: {sys.executable} -m pip install numpy", file=sys.stderr)
    sys.exit(2)


def seedbed(program, *words):
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=False, timeout=900)
    if done.returncode != 0:
        sys.exit(f"tokens_export: seedbed {' '.join(map(str, words))}: exit code {done.returncode}: {done.stderr.strip()[-800:]}")
    return done.stdout


def array(text, dtype):
    return np.frombuffer(base64.b64decode(text, validate=True), dtype)


def wrongs(line):
    """What does not hold in one line, in words."""
    ids = np.array(line["token_ids"], np.int64)
    mask = np.array(line["mask"], bool)
    logprobs = np.array(line["logprobs"], np.float32)
    raw = np.array(line["raw_logprobs"], np.float32)
    n = len(ids)
    for name, values in ("mask", mask), ("logprobs", logprobs), ("raw_logprobs", raw), ("temperatures", line["temperatures"]):
        if len(values) != n:
            yield f"{name} has {len(values)} entries for {n} tokens"
            return
    if ids.min() < 0 or not mask.any():
        yield "no token under loss, or an id below 0"
    if (logprobs > 0).any() or (raw > 0).any() or logprobs[~mask].any() or raw[~mask].any():
        yield "log probabilities above 0, or where nothing was sampled"
    if not np.isfinite(logprobs).all() or not np.isfinite(raw).all():
        yield "log probabilities that are no numbers"
    if line["sampling"]["temperature"] == 1 and (raw[mask] > logprobs[mask] + 1e-5).any():
        yield "a truncated distribution that gives less than the whole one"
    at, spans = 0, np.zeros(n, bool)
    for span in line["turn_spans"]:
        if span["start"] != at or span["end"] < at:
            yield f"a gap in turn_spans at {at}"
        at = span["end"]
        if span["role"] == "assistant":
            spans[span["start"] : span["end"]] = True
    if at != n or (mask & ~spans).any():
        yield "turn_spans that do not cover the tokens, or loss outside the assistant's"
    routed = line["routed_experts"]
    if routed is not None:
        experts = array(routed["data"], routed["dtype"]).reshape(routed["shape"])
        if routed["start"] != 0 or not n - 1 <= len(experts) <= n:
            yield f"experts of {len(experts)} tokens for {n}"
        if any(len(set(row)) != len(row) for row in experts.reshape(-1, experts.shape[2])[:512].tolist()):
            yield "an expert chosen twice for one token"
    kept = line["kept_tokens"]
    if kept is not None:
        counts, kept_ids = array(kept["counts"], np.int32), array(kept["ids"], np.int32)
        if len(counts) != n or counts.sum() != len(kept_ids) or counts[~mask].any():
            yield "kept sets that do not add up"
            return
        ends = np.cumsum(counts)
        for i in np.nonzero(counts)[0]:
            kept_set = kept_ids[ends[i] - counts[i] : ends[i]]
            if (np.diff(kept_set) <= 0).any() or ids[i] not in kept_set:
                yield f"the kept set of token {i} is not ascending or lacks it"
                return
            if counts[i] == 1 and abs(logprobs[i]) > 1e-6:
                yield f"token {i} was the only choice, with a log probability of {logprobs[i]}"
                return


def check(folder):
    tokens = sampled = lines = 0
    policies = set()
    for path in sorted((folder / "data").glob("*.jsonl")):
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            line = json.loads(text)
            for wrong in wrongs(line):
                sys.exit(f"tokens_export: {path.name}:{number}: {wrong}")
            lines += 1
            tokens += len(line["token_ids"])
            sampled += sum(line["mask"])
            policies.add(line["policy_version"])
    if lines == 0:
        sys.exit(f"tokens_export: {folder}: no line")
    return f"{folder.name}: {lines} lines, {tokens} tokens, {sampled} under loss, {len(policies)} policy version(s)"


def make(program, temp):
    store, model = temp / "a.db", temp / "model"
    corpus = temp / "corpus.txt"
    seedbed(program, "gen", "--family", "general", "--envs", 2, "--tasks-per-env", 2, "--seed", 1, "--out", store)
    corpus.write_text("".join(p.read_text(encoding="utf-8") for p in sorted(ROOT.glob("docs/*.md")) + [ROOT / "README.md"]))
    seedbed(program, "engine", "train-tokenizer", "--vocab", 8192, "--chat", "--out", temp / "tokenizer.json", corpus)
    config = json.loads((ROOT / "bench/configs/nano.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((temp / "tokenizer.json").read_text(encoding="utf-8"))
    rows = [*tokenizer["model"]["vocab"].values(), *(t["id"] for t in tokenizer["added_tokens"])]
    ids = {t["content"]: t["id"] for t in tokenizer["added_tokens"]}
    config["vocab_size"] = (max(rows) + 64) // 64 * 64
    config["bos_token_id"], config["eos_token_id"] = ids["<｜begin▁of▁sentence｜>"], ids["<｜end▁of▁sentence｜>"]
    (temp / "config.json").write_text(json.dumps(config))
    seedbed(program, "engine", "make-model", "--config", temp / "config.json", "--seed", 1, "--out", model, "--tokenizer", temp / "tokenizer.json")
    for thinking in "on", "off":
        seedbed(program, "run", store, "--policy", "engine", "--model", model, "--max-tokens", 32, "--thinking", thinking)
    seedbed(program, "run", store, "--policy", "nop")
    seedbed(program, "export", store, "--format", "tokens", "--out", temp / "tokens")
    return temp / "tokens"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seedbed", default=str(ROOT / os.environ.get("SEEDBED_BUILD", "build/release") / "seedbed"))
    parser.add_argument("folders", nargs="*", type=pathlib.Path)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as temp:
        folders = words.folders
        if not folders:
            if not pathlib.Path(words.seedbed).exists():
                print(f"tokens_export: there is no {words.seedbed}; ./dev build makes it", file=sys.stderr)
                sys.exit(2)
            folders = [make(words.seedbed, pathlib.Path(temp))]
        print("; ".join(check(folder) for folder in folders))


if __name__ == "__main__":
    main()
