"""Trains a very small model on a real store, in all stages, and holds what comes out against the engine and transformers.

    ./dev acceptance
    build/venv/bin/python tests/acceptance/train.py [--seedbed PROGRAM] [--keep FOLDER]

gen -> run -> tokenizer -> exports -> dense, warm-up and sparse stages -> checkpoint -> engine. Held: the trl export gives the
sequences that the tokens export gives; the losses fall; a run that was killed twice ends in the very weights of one that was
not; metrics have each step once; `engine logits` agrees with torch on f32 weights, and on bf16 weights with torch on the same
rounded weights; transformers' own class loads the checkpoint and agrees; the policy `engine` plays with it, and with
temperature 0 each reply is what torch decodes greedily, token for token; damage is refused and overwrites nothing.

Exit code: 0 all hold, 1 something does not, 2 it could not be tried.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", PYTHONDONTWRITEBYTECODE="1")
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/goldens"), str(ROOT / "train")]

try:
    import numpy as np
    import safetensors  # noqa: F401 (what the trainer needs)
    import tokenizers  # noqa: F401
    import torch
    import transformers
except ImportError as error:
    print(f"train: {error}; run it through ./dev acceptance, or: {sys.executable} -m pip install torch safetensors tokenizers transformers numpy", file=sys.stderr)
    sys.exit(2)

import reference  # noqa: E402
import transformers_reference  # noqa: E402
from seedbed_train import checkpoint, conversations, data  # noqa: E402
from seedbed_train.attention import Mode  # noqa: E402
from seedbed_train.packs import PackBuilder  # noqa: E402

VOCAB = 2048
MODEL = {
    "vocab_size": VOCAB, "hidden_size": 64, "intermediate_size": 128, "moe_intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "q_lora_rank": 48, "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": 16, "n_routed_experts": 4,
    "n_shared_experts": 1, "num_experts_per_tok": 2, "first_k_dense_replace": 1, "index_n_heads": 2, "index_head_dim": 32, "index_topk": 256,
    "max_position_embeddings": 16384, "num_nextn_predict_layers": 1,
}
LR = {"matrix": 0.02, "other": 0.005, "indexer": 0.005}
STAGE = {"rows": 3072, "packs": 1, "lr": LR, "warmup": 3, "decay": 4, "probes": 32}
RECIPE = {
    "model": MODEL, "seed": 5, "bf16": False, "longest": 12288,
    "stages": [{**STAGE, "stage": "dense", "steps": 20}, {**STAGE, "stage": "warmup", "steps": 8}, {**STAGE, "stage": "sparse", "steps": 4, "mtp_weight": 0.3}],
}  # fmt: skip
STEPS = sum(stage["steps"] for stage in RECIPE["stages"])
NEAR_TIE = 2e-6  # between the last score that is selected and the first that is not; scores are about 1
LIMIT = 1e-3  # of max |ours - theirs| / max |theirs|


class Failed(Exception):
    pass


def want(condition, what):
    if not condition:
        raise Failed(what)


class Program:
    """seedbed, and the trainer under this Python."""

    def __init__(self, path, folder):
        self.path, self.folder = path, folder

    def seedbed(self, *words):
        done = subprocess.run([self.path, *map(str, words)], capture_output=True, text=True, check=False, timeout=1200)
        want(done.returncode == 0, f"seedbed {' '.join(map(str, words))}: exit code {done.returncode}: {done.stderr.strip()[-800:]}")
        return done.stdout

    def trainer(self, command, out, *words, **options):
        line = [sys.executable, "-m", "seedbed_train", command, "--recipe", self.folder / "recipe.json", "--data", self.folder / "tokens"]
        line += ["--run", self.folder / out, "--threads", 1, "--device", "cpu", *words]
        return subprocess.Popen(list(map(str, line)), cwd=ROOT / "train", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)

    def train(self, out, *words):
        process = self.trainer("train", out, *words)
        said, errors = process.communicate(timeout=1200)
        want(process.returncode == 0, f"seedbed_train train: exit code {process.returncode}: {errors.strip()[-800:]}")
        return json.loads(said)

    def write(self, out, model, dtype):
        process = self.trainer("write", out, "--out", self.folder / model, "--tokenizer", self.folder / "tokenizer.json", "--dtype", dtype)
        said, errors = process.communicate(timeout=600)
        want(process.returncode == 0, f"seedbed_train write: exit code {process.returncode}: {errors.strip()[-800:]}")
        return json.loads(said)


def make_data(program, folder):
    store = folder / "a.db"
    program.seedbed("gen", "--envs", 6, "--tasks-per-env", 8, "--level", "1-2", "--tools", "8-12", "--seed", 41, "--out", store)
    program.seedbed("run", store, "--policy", "teacher", "--seed", 3)
    program.seedbed("export", store, "--format", "prompts", "--policy", "teacher", "--out", folder / "texts")
    texts = sorted((folder / "texts").rglob("*.txt"))
    program.seedbed("engine", "train-tokenizer", "--vocab", VOCAB, "--chat", "--out", folder / "tokenizer.json", *texts)
    words = ("--policy", "teacher", "--min-score", 1)
    program.seedbed("export", store, "--format", "tokens", "--tokenizer", folder / "tokenizer.json", "--thinking", "both", *words, "--out", folder / "tokens")
    for form in "trl", "openai":
        program.seedbed("export", store, "--format", form, *words, "--out", folder / form)
    (folder / "recipe.json").write_text(json.dumps(RECIPE))


def check_conversations(program, folder):
    """Sequences and masks of both conversation exports are those of the tokens export, in its order."""
    tokens = data.read([folder / "tokens"], VOCAB, None, 1 << 20)
    for form in "trl", "openai":
        rows = conversations.read([folder / form], folder / "tokenizer.json", VOCAB, program.path, None, 1 << 20)
        want(len(rows) == len(tokens), f"{form}: {len(rows)} sequences, the tokens export has {len(tokens)}")
        for i in range(len(rows)):
            whole = [r.prefixes[r.prefix_of[i]].tolist() + r.sequence(i)[0] for r in (rows, tokens)]
            want(whole[0] == whole[1], f"{form}: sequence {i}: other ids than in the tokens export")
            masks = [[False] * len(r.prefixes[r.prefix_of[i]]) + r.sequence(i)[1] for r in (rows, tokens)]
            want(masks[0] == masks[1], f"{form}: sequence {i}: another mask than in the tokens export")
    masked = sum(line.count('"train":false') for line in open(next((folder / "trl/data").glob("*.jsonl")), encoding="utf-8"))
    return f"{len(tokens)} sequences alike from tokens, trl and openai ({masked} turns not learnt)"


def metrics(folder, name):
    return [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]


def check_losses(folder):
    lines = metrics(folder, "whole")
    want([line["step"] for line in lines] == list(range(1, STEPS + 1)), "the metrics do not have each step once")
    dense = [line["agent_loss"] for line in lines if line["stage"] == "dense"]
    warmup = [line["index"] for line in lines if line["stage"] == "warmup"]
    before, after = sum(dense[:3]) / 3, sum(dense[-3:]) / 3
    want(after < 0.7 * before, f"dense: loss {before:.3f} at first, {after:.3f} at last")
    kl_before, kl_after = sum(warmup[:2]) / 2, sum(warmup[-2:]) / 2
    want(kl_after < 0.9 * kl_before, f"warm-up: KL {kl_before:.4f} at first, {kl_after:.4f} at last")
    return f"agent's loss {before:.2f} -> {after:.2f}, indexer's KL {kl_before:.3f} -> {kl_after:.3f}"


def kill_after(program, folder, name, lines):
    """Begins or goes on, and ends the process once the metrics have so many lines."""
    file = folder / name / "metrics.jsonl"
    process = program.trainer("train", name)
    deadline = time.monotonic() + 600
    while process.poll() is None and time.monotonic() < deadline:
        if file.exists() and len(file.read_text().splitlines()) >= lines:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    want(process.returncode == -signal.SIGKILL, f"the run that was to be killed ended with {process.returncode}")


def check_resume(program, folder):
    """One killed before its first save, one killed after a leg, both on the way to the same end."""
    kill_after(program, folder, "killed", 2)
    want(not (folder / "killed/state.pt").exists(), "killed in the first steps, it had saved already")
    program.train("killed", "--minutes", 0.1)
    saved = torch.load(folder / "killed/state.pt", weights_only=True)["at"][0]
    want(0 < saved < STEPS, f"a leg of six seconds ended at step {saved}")
    kill_after(program, folder, "killed", saved + 3)
    want(program.train("killed")["done"], "the killed run did not come to its end")
    states = [torch.load(folder / name / "state.pt", weights_only=True) for name in ("whole", "killed")]
    for name, tensor in states[0]["model"].items():
        want(torch.equal(tensor, states[1]["model"][name]), f"after kills {name} differs from the run without")
    bare = lambda name: [{k: v for k, v in line.items() if k != "seconds"} for line in metrics(folder, name)]
    want(bare("whole") == bare("killed"), "the metrics of the killed run differ")
    return f"killed twice (last save at step {saved}), the same {len(states[0]['model'])} tensors"


def pack_of(ids):
    builder = PackBuilder(1.0)
    builder.add([], [(ids, [True] * len(ids))])
    return builder.build()


def torch_logits(folder, ids, exact_ties=False):
    """-> logits, and the first row at which some layer's selection is a near tie: any right program may choose otherwise there,
    and what follows reads the result. Of equal scores we and the engine take the lower position; exact_ties: others may not."""
    model, near = checkpoint.read(folder).eval(), [len(ids)]

    def seen(layer, span, rows, probabilities, scores, visible):
        k = model.config.index_topk
        if scores.shape[1] > k:
            best = scores.masked_fill(~visible, float("-inf")).topk(k + 1, -1).values
            gap = best[:, k - 1] - best[:, k]
            near.extend(rows[(gap > (-1 if exact_ties else 0)) & (gap < NEAR_TIE)].tolist()[:1])

    with torch.no_grad():
        return model.logits(pack_of(ids), Mode("sparse", measure=seen)), min(near)


def engine_logits(program, folder, ids):
    (folder / "ids.txt").write_text(" ".join(map(str, ids)) + "\n")
    words = ("--out", folder / "logits.npy", "--kv-dtype", "f32", "--device", "cpu")
    program.seedbed("engine", "logits", "--model", folder, "--tokens", folder / "ids.txt", *words)
    return torch.from_numpy(np.load(folder / "logits.npy"))


def widened(folder):
    """The same weights with a selection as wide as any context: no near ties, every row compares."""
    wide = folder.with_name(folder.name + "-wide")
    shutil.copytree(folder, wide)
    config = json.loads((wide / "config.json").read_text())
    (wide / "config.json").write_text(json.dumps({**config, "index_topk": 8192}))
    return wide


def check_logits(program, folder, ids):
    for name in "f32", "bf16":
        told = program.write("whole", name, name)
        inspected = json.loads(program.seedbed("engine", "inspect", folder / name, "--json"))
        elements = sum(tensor.numel() for tensor in checkpoint.read(folder / name).state_dict().values())
        want(inspected["elements"] == elements, f"{name}: engine inspect sees {inspected['elements']} elements, the model has {elements}")
        want(inspected["loads"] and not inspected["unexpected"], f"{name}: {inspected['problems']}, {inspected['unexpected']} unexpected")
    # bf16 weights: the engine on them as they are, and on the same numbers written as f32.
    checkpoint.write(checkpoint.read(folder / "bf16"), folder / "rounded", torch.float32, [folder / "tokenizer.json"])
    errors, sparse = {}, 0

    def compare(name, theirs, ours, rows):
        errors[name] = reference.relative_error(ours[:rows], theirs[:rows])
        want(errors[name] <= LIMIT, f"{name}: relative error {errors[name]:.1e} over {rows} rows")

    for name in "f32", "rounded":
        ours, near = torch_logits(folder / name, ids)
        engine = engine_logits(program, folder / name, ids)
        compare(f"engine {name}", engine, ours, near)
        beyond = ((engine - ours).abs().amax(-1) > LIMIT * ours.abs().amax(-1)).double().mean()
        want(beyond <= 0.01, f"{name}: {100 * beyond:.1f} % of all rows differ by more than {LIMIT}")
        sparse = max(sparse, near - MODEL["index_topk"])
        wide = widened(folder / name)
        compare(f"engine {name}, all positions", engine_logits(program, wide, ids), torch_logits(wide, ids)[0], len(ids))
    want(sparse > 0, "no row has both a selection and no near tie before it: nothing sparse was compared")
    theirs = lambda model: transformers_reference.forward(transformers_reference.load(model), ids)["logits"]
    ours, near = torch_logits(folder / "f32", ids, exact_ties=True)
    compare("transformers", theirs(folder / "f32"), ours, near)
    wide = folder / "f32-wide"
    compare("transformers, all positions", theirs(wide), torch_logits(wide, ids)[0], len(ids))
    # Where the engine computes in bf16, an expert or a key near the border is now and then another one: the middle row, and what is likeliest.
    engine, ours = engine_logits(program, folder / "bf16", ids), torch_logits(folder / "bf16", ids)[0]
    middle = float(((engine - ours).abs().amax(-1) / ours.abs().amax(-1)).median())
    same = float((engine.argmax(-1) == ours.argmax(-1)).double().mean())
    want(middle <= 5e-3 and same >= 0.98, f"bf16: the middle row's relative error is {middle:.1e}, the likeliest token is the same in {100 * same:.1f} % of rows")
    told_errors = ", ".join(f"{k} {v:.0e}" for k, v in errors.items())
    counts = f"{told['parameters']} parameters, {len(ids)} tokens, {sparse} sparse rows"
    return f"{counts}, relative errors: {told_errors}; engine in bf16: middle {middle:.0e}, {100 * same:.1f} % of likeliest tokens the same"


def greedy(model, ids, count):
    """What torch decodes, token by token."""
    ids, begin = list(ids), len(ids)
    for _ in range(count):
        with torch.no_grad():
            hidden = model.hidden(pack_of(ids), Mode("sparse", probes=1, generator=torch.Generator().manual_seed(0)))[0]
            ids.append(int(model.lm_head(hidden[-1]).argmax()))
    return ids[begin:]


def check_episodes(program, folder):
    store = folder / "play.db"
    program.seedbed("gen", "--envs", 1, "--tasks-per-env", 2, "--level", "1", "--tools", "8-12", "--seed", 977, "--out", store)
    words = ("--policy", "engine", "--model", folder / "f32", "--temperature", 0, "--thinking", "on", "--kv-dtype", "f32", "--device", "cpu")
    told = json.loads(program.seedbed("run", store, *words, "--max-tokens", 48, "--max-turns", 3, "--context", 14000, "--json"))
    want(told["episodes"] == 2 and told["infra_errors"] == 0, f"{told['episodes']} episodes, {told['infra_errors']} infrastructure errors")
    program.seedbed("export", store, "--format", "tokens", "--out", folder / "played")
    lines = [json.loads(line) for file in (folder / "played/data").glob("*.jsonl") for line in open(file, encoding="utf-8")]
    want(len({line["id"] for line in lines}) == 2, f"{len(lines)} sequences of played episodes, wanted two episodes")
    model, tokens, replies = checkpoint.read(folder / "f32").eval(), 0, 0
    for line in lines:
        ids, mask = line["token_ids"], line["mask"]
        said = torch_logits(folder / "f32", ids)[0].argmax(-1).tolist()
        at = [i for i, sampled in enumerate(mask) if sampled]
        wrong = [i for i in at if said[i - 1] != ids[i]]
        want(not wrong, f"{line['id']}: of {len(at)} sampled tokens {len(wrong)} are not what torch's greedy decoding gives, the first at {wrong[:1]}")
        tokens, replies = tokens + len(at), replies + sum(not mask[i - 1] for i in at)
    # By induction that is greedy decoding; once it is also done step by step.
    first = mask.index(True)
    count = next((i for i in range(first, len(mask)) if not mask[i]), len(mask)) - first
    count = min(count, 12)
    want(greedy(model, ids[:first], count) == ids[first : first + count], "decoding step by step gives other ids")
    return f"{replies} replies of {tokens} tokens in {len(lines)} sequences are torch's own"


def check_refusals(program, folder):
    """Damage ends with exit code 3 and a message, and overwrites nothing."""
    state = folder / "whole/state.pt"
    whole = state.read_bytes()

    def refused(part, *words, command="train", out="whole"):
        process = program.trainer(command, out, *words)
        _, errors = process.communicate(timeout=300)
        want(process.returncode == 3 and part in errors, f"wanted a refusal with '{part}', got exit code {process.returncode}: {errors.strip()[-300:]}")

    (folder / "empty/data").mkdir(parents=True)
    refused("holds no data/train-", "--data", folder / "empty")
    refused("which need a tokenizer", "--data", folder / "trl")
    shutil.copytree(folder / "tokens", folder / "mixed")
    file = next((folder / "mixed/data").glob("train-*.jsonl"))
    text = file.read_text(encoding="utf-8")
    file.write_text(text + text.splitlines()[0].replace('"tokenizer":"', '"tokenizer":"x') + "\n", encoding="utf-8")
    refused("train on one tokenizer", "--data", folder / "mixed")
    refused("holds no state.pt", "--out", folder / "none", "--tokenizer", folder / "tokenizer.json", command="write", out="nothing")
    want(state.read_bytes() == whole and not (folder / "none").exists(), "a refused command wrote something")
    state.write_bytes(whole[: len(whole) // 2])
    refused("cannot be read")
    want(state.stat().st_size == len(whole) // 2, "a cut-off state was overwritten")
    return "5 refusals"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seedbed", default=str(ROOT / os.environ.get("SEEDBED_BUILD", "build/release") / "seedbed"))
    parser.add_argument("--keep", type=pathlib.Path, help="a folder to work in, which stays")
    arguments = parser.parse_args()
    if not pathlib.Path(arguments.seedbed).exists():
        print(f"train: there is no {arguments.seedbed}; ./dev build makes it", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temp:
        folder = arguments.keep or pathlib.Path(temp)
        folder.mkdir(parents=True, exist_ok=True)
        program = Program(str(pathlib.Path(arguments.seedbed).resolve()), folder.resolve())
        folder = program.folder
        told = []

        def step(name, call):
            begin = time.monotonic()
            told.append(call())
            print(f"{name}: {told[-1]} ({time.monotonic() - begin:.0f} s)", flush=True)

        try:
            make_data(program, folder)
            step("loader", lambda: check_conversations(program, folder))
            step("training", lambda: (program.train("whole"), check_losses(folder))[1])
            step("resume", lambda: check_resume(program, folder))
            sample = data.read([folder / "tokens"], VOCAB, None)
            ids = (sample.prefixes[sample.prefix_of[0]].tolist() + sample.sequence(0)[0])[:3000]
            step("logits", lambda: check_logits(program, folder, ids))
            step("episodes", lambda: check_episodes(program, folder))
            step("bad input", lambda: check_refusals(program, folder))
        except Failed as failure:
            print(f"train: {failure}", file=sys.stderr)
            return 1
    print("; ".join(told) + f" (torch {torch.__version__}, transformers {transformers.__version__})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
