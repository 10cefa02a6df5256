#!/usr/bin/env python3
"""Prompts of a store for a strict reader: one task of each environment, drawn by a seed, unedited.

usage: prompt_samples.py SEEDBED OUT [SEED]

Generates 30 environments with 30 tasks each from the seed and writes OUT (docs/samples.md).
"""
import json
import random
import subprocess
import sys
import tempfile


def show(seedbed, store, *rest):
    return subprocess.run([seedbed, "show", store, *rest], check=True, capture_output=True, text=True).stdout


def prompt_of(page):
    """The text between the heading of the prompt and the next heading."""
    return page.split("## Prompt\n", 1)[1].split("\n## ", 1)[0].strip("\n")


def kind_of(page):
    return next(line.split()[1] for line in page.splitlines() if line.startswith("kind "))


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    seedbed, out = sys.argv[1:3]
    seed = sys.argv[3] if len(sys.argv) > 3 else "2031"
    with tempfile.TemporaryDirectory() as folder:
        store = folder + "/samples.db"
        subprocess.run([seedbed, "gen", "--envs", "30", "--tasks-per-env", "30", "--seed", seed, "--out", store],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        draw = random.Random(seed)
        environments = json.loads(show(seedbed, store, "--limit", "30", "--json"))["environments"]
        lines = ["# Thirty prompts", "",
                 "One task of each of 30 environments, drawn by a seed and unedited:", "",
                 "```", "tests/acceptance/prompt_samples.py build/release/seedbed docs/samples.md " + seed, "```", ""]
        for n, environment in enumerate(environments, 1):
            page = show(seedbed, store, draw.choice(environment["tasks"]))
            lines += [f"**{n}. {environment['title']}, {kind_of(page)}**", ""]
            lines += [("> " + line).rstrip() for line in prompt_of(page).split("\n")]
            lines.append("")
        with open(out, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))


if __name__ == "__main__":
    main()
