"""python -m seedbed_train train | write | evaluate"""

import argparse
import json
import sys

import torch

from . import checkpoint, data
from .errors import TrainError
from .loop import Run, read_recipe


def parse(arguments):
    parser = argparse.ArgumentParser(prog="seedbed_train", description="train a small DeepSeek-V3.2-class model on seedbed's exports")
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="run a recipe, or go on with it")
    write = commands.add_parser("write", help="write the model of a run in the published format")
    for p in (train, write):
        p.add_argument("--recipe", required=True, metavar="FILE", help="sizes, stages, rates")
        p.add_argument("--data", required=True, nargs="+", metavar="DIR", help="tokens exports to learn from")
        p.add_argument("--run", required=True, metavar="DIR", help="state, metrics; the same command continues it")
        p.add_argument("--threads", type=int, default=0, metavar="N", help="0: one for each core")
        p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    train.add_argument("--held-out", nargs="+", metavar="DIR", help="tokens exports to measure on")
    train.add_argument("--minutes", type=float, default=float("inf"), metavar="M", help="stop after so long; the same command goes on")
    write.add_argument("--out", required=True, metavar="DIR", help="the model folder; an earlier one is replaced")
    write.add_argument("--tokenizer", required=True, metavar="FILE", help="tokenizer.json to put beside the weights")
    write.add_argument("--dtype", choices=("bf16", "f32"), default="bf16")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    try:
        recipe = read_recipe(options.recipe)
        vocab, longest = recipe["model"]["vocab_size"], recipe.get("longest", 8192)
        records = data.read(options.data, vocab, recipe.get("split", "train"), longest, recipe.get("thinking"))
        print(f"{len(records)} trajectories of {len(records.prefixes)} prompts, {len(records.ids)} tokens and {sum(map(len, records.prefixes))} of prompts, {int(records.learn.sum())} under loss", file=sys.stderr)
        held = None
        if getattr(options, "held_out", None):
            held = data.read(options.held_out, vocab, None, longest, recipe.get("thinking"))
        run = Run(recipe, records, options.run, held, options.device, options.threads)
        if options.command == "write":
            run.write_model(options.out, torch.bfloat16 if options.dtype == "bf16" else torch.float32, [options.tokenizer])
            print(json.dumps({"out": options.out, "step": run.step, "tokens": run.tokens, "parameters": sum(p.numel() for p in run.model.parameters())}))
            return 0
        done = run.train(options.minutes)
        print(json.dumps({"run": options.run, "step": run.step, "tokens": run.tokens, "seconds": round(run.seconds, 1), "done": done}))
        return 0
    except TrainError as error:
        print(f"seedbed_train: {error}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
