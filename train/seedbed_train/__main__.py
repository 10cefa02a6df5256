"""python -m seedbed_train train | write | plot | measure: one recipe's run, its model, its curves, what its selection keeps."""

import argparse
import json
import os
import sys
from pathlib import Path

from .grain import KEPT_KERNELS

for name, value in KEPT_KERNELS.items():  # read when torch is loaded
    os.environ.setdefault(name, value)

import torch  # noqa: E402

from . import checkpoint, conversations, data, plot, recall
from .errors import TrainError
from .evaluate import evaluate
from .loop import Run
from .recipe import read_recipe


def parse(arguments):
    parser = argparse.ArgumentParser(prog="seedbed_train", description="train a small DeepSeek-V3.2-class model on seedbed's exports")
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="run a recipe, or go on with it")
    write = commands.add_parser("write", help="write the model of a run in the published format")
    for p in (train, write):
        p.add_argument("--recipe", required=True, metavar="FILE", help="sizes, stages, rates")
        p.add_argument("--data", required=True, nargs="+", metavar="DIR", help="exports to learn from: all of them tokens, or all trl or openai")
        p.add_argument("--run", required=True, metavar="DIR", help="state, metrics; the same command continues it")
        p.add_argument("--threads", type=int, default=0, metavar="N", help="0: one for each core")
        p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
        p.add_argument("--tokenizer", required=p is write, metavar="FILE", help="tokenizer.json: for the model, trl and openai exports, renaming")
        p.add_argument("--program", default="seedbed", metavar="FILE", help="seedbed, which renders trl and openai exports")
    train.add_argument("--held-out", nargs="+", metavar="DIR", help="exports to measure on")
    train.add_argument("--minutes", type=float, default=float("inf"), metavar="M", help="stop after so long; the same command goes on")
    write.add_argument("--out", required=True, metavar="DIR", help="the model folder; an earlier one is replaced")
    write.add_argument("--dtype", choices=("bf16", "f32"), default="bf16")
    drawn = commands.add_parser("plot", help="draw a run's metrics as one SVG")
    drawn.add_argument("--run", required=True, metavar="DIR", help="whose metrics.jsonl")
    drawn.add_argument("--out", required=True, metavar="FILE", help="the SVG")
    measured = commands.add_parser("measure", help="a model folder on tokens exports: loss dense and sparse, attention that the selection keeps")
    measured.add_argument("--model", required=True, metavar="DIR")
    measured.add_argument("--data", required=True, nargs="+", metavar="DIR", help="tokens exports made with the model's tokenizer")
    measured.add_argument("--thinking", choices=("on", "off"), default="on")
    measured.add_argument("--longest", type=int, default=16384, metavar="N", help="longer sequences are left out")
    measured.add_argument("--least-position", type=int, default=4096, metavar="N", help="recall is taken from this position on")
    measured.add_argument("--packs", type=int, default=0, metavar="N", help="so many packs; 0: all")
    measured.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args(arguments)


def read_records(options, recipe, paths, split):
    """The records of exports of either kind."""
    vocab, longest, thinking = recipe["model"]["vocab_size"], recipe.get("longest", 8192), recipe.get("thinking")
    if not conversations.is_conversation_export(paths, split):
        return data.read(paths, vocab, split, longest, thinking)
    if not options.tokenizer:
        raise TrainError("export", paths[0], "conversations, which need a tokenizer", "name --tokenizer FILE, or export --format tokens")
    return conversations.read(paths, options.tokenizer, vocab, options.program, split, longest, thinking)


def measure(options):
    """Dense and sparse losses of one model, and the recall of its selection."""
    model = checkpoint.read(options.model).to(options.device)
    device = torch.device(options.device)
    records = data.read(options.data, model.config.vocab_size, None, options.longest, options.thinking == "on")
    out = {"model": options.model, "index_topk": model.config.index_topk, "trajectories": len(records)}
    for stage in ("dense", "sparse"):
        out[stage] = evaluate(model, records, options.longest, stage, device, False, options.packs)
    out["recall"] = recall.measure(model, records, options.longest, device, False, options.least_position, limit=options.packs)
    return out


def run(options):
    """-> what the command prints."""
    if options.command == "measure":
        return measure(options)
    if options.command == "plot":
        lines = plot.read_metrics(Path(options.run) / "metrics.jsonl")
        Path(options.out).write_text(plot.svg(lines), encoding="utf-8")
        return {"out": options.out, "steps": len(lines)}
    recipe = read_recipe(options.recipe)
    records = read_records(options, recipe, options.data, recipe.get("split", "train"))
    prompts = sum(map(len, records.prefixes))
    counts = f"{len(records)} trajectories of {len(records.prefixes)} prompts, {len(records.ids)} tokens and {prompts} of prompts"
    print(f"{counts}, {sum(records.learn)} under loss", file=sys.stderr)
    if options.command == "write":
        if not (Path(options.run) / "state.pt").exists():
            raise TrainError("training state", options.run, "holds no state.pt", "train first, or name the folder that was trained in")
        made = Run(recipe, records, options.run, None, options.device, options.threads, tokenizer=options.tokenizer)
        made.write_model(options.out, torch.bfloat16 if options.dtype == "bf16" else torch.float32, [options.tokenizer])
        return {"out": options.out, "step": made.step, "tokens": made.tokens, "parameters": sum(p.numel() for p in made.model.parameters())}
    held = read_records(options, recipe, options.held_out, None) if options.held_out else None
    made = Run(recipe, records, options.run, held, options.device, options.threads, tokenizer=options.tokenizer)
    done = made.train(options.minutes)
    return {"run": options.run, "step": made.step, "tokens": made.tokens, "seconds": round(made.seconds, 1), "done": done}


def main(arguments=None):
    options = parse(arguments)
    try:
        print(json.dumps(run(options)))
        return 0
    except (TrainError, OSError) as error:
        print(f"seedbed_train: {error}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
