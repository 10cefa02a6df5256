"""Does more data help? Short trainings that differ in nothing but how many environments and tasks they see.

    python train/grid.py --recipe train/recipes/cpu.json --work build/train/cpu --envs 50,200,1600 --tasks 2,8 --steps 200 --out grid.json

Each is the recipe's first stage, cut to so many steps with the last half of them decaying, on the first so many
environments of the exports that train/make_model.py made, and is measured on the held-out ones. What was done is not
done again; a run that was killed goes on. `--table` prints the grid of a file as Markdown.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from seedbed_train.recipe import read_recipe

MEASURES = (
    ("agent_loss", "loss of the agent's tokens", 1, ".3f"),
    ("agent_right", "tokens right, %", 100, ".1f"),
    ("turns_right", "turns right, %", 100, ".1f"),
)


def numbers(text):
    return [int(word) for word in text.split(",")]


def short(recipe, steps):
    """The recipe's first stage alone, in `steps` steps."""
    stage = {**recipe["stages"][0], "steps": steps, "warmup": min(recipe["stages"][0]["warmup"], steps // 5), "decay": steps // 2}
    return {**recipe, "stages": [stage], "evaluate_every": 0}


def table(grid):
    """-> lines of Markdown, one table a measure: environments down, tasks across."""
    envs, tasks = sorted({c["envs"] for c in grid["cells"]}), sorted({c["tasks"] for c in grid["cells"]})
    at = {(c["envs"], c["tasks"]): c for c in grid["cells"]}
    lines = []
    for key, name, factor, form in MEASURES:
        lines += [f"| {name} | " + " | ".join(f"{t} tasks each" for t in tasks) + " |", "|---|" + "---:|" * len(tasks)]
        for e in envs:
            cells = [format(factor * at[e, t]["held_out"][key], form) if (e, t) in at else "" for t in tasks]
            lines.append(f"| {e:,} environments | " + " | ".join(cells) + " |")
        lines.append("")
    return lines[:-1]


def commit():
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=Path(__file__).parent)
    return done.stdout.strip()


def train(options):
    from seedbed_train import data  # torch from here on
    from seedbed_train.evaluate import evaluate
    from seedbed_train.loop import Run

    recipe = read_recipe(options.recipe)
    vocab, longest = recipe["model"]["vocab_size"], recipe.get("longest", 8192)
    records = data.read([options.work / "train"], vocab, longest=longest)
    held = data.read([options.work / "held_out"], vocab, None, longest)
    grid = {"recipe": options.recipe.name, "steps": options.steps, "machine": platform.processor() or platform.machine(), "cells": []}
    grid.update({"date": time.strftime("%Y-%m-%d"), "commit": commit(), "held_out_sequences": len(held)})
    if options.out.exists():
        known = json.loads(options.out.read_text(encoding="utf-8"))
        if (known["recipe"], known["steps"]) == (grid["recipe"], grid["steps"]):
            grid["cells"] = known["cells"]
    for envs in sorted({min(n, len(records.prefixes)) for n in options.envs}):
        for tasks in options.tasks:
            if any((c["envs"], c["tasks"]) == (envs, tasks) for c in grid["cells"]):
                continue
            seen = data.part(records, envs, tasks)
            folder = options.work / f"grid/{options.steps}-{envs}x{tasks}"
            run = Run(short(recipe, options.steps), seen, folder, threads=options.threads, tokenizer=options.work / "tokenizer.json")
            run.train()
            shares = evaluate(run.model, held, recipe["stages"][0]["rows"], "dense", run.device, run.autocast)
            cell = {"envs": envs, "tasks": tasks, "sequences": len(seen), "tokens": run.tokens, "seconds": round(run.seconds), "held_out": shares}
            grid["cells"].append(cell)
            options.out.write_text(json.dumps(grid, indent=1) + "\n", encoding="utf-8")
            print(f"{envs} environments, {tasks} tasks each: held out {shares}", file=sys.stderr, flush=True)
    return grid


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", type=Path)
    parser.add_argument("--work", type=Path, help="of train/make_model.py: exports, tokenizer")
    parser.add_argument("--envs", type=numbers, default=[50, 200, 1600], metavar="N,N")
    parser.add_argument("--tasks", type=numbers, default=[2, 8], metavar="N,N")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out", type=Path, help="the JSON file")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print the tables of such a file, train nothing")
    options = parser.parse_args()
    if options.table:
        print("\n".join(table(json.loads(options.table.read_text(encoding="utf-8")))))
        return
    if not (options.recipe and options.work and options.out):
        parser.error("--recipe, --work and --out are needed")
    print("\n".join(table(train(options))))


if __name__ == "__main__":
    main()
