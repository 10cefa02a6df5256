"""Loads an export of each format with Hugging Face `datasets`, as a user would: by its folder alone.

    ./dev acceptance light
    build/venv/bin/python tests/acceptance/datasets_load.py [--seedbed PROGRAM]

Makes a small store, runs the oracle and the random policy on it, exports both formats, and checks that splits, row counts and
rows are what stands in the files. The trainer's own functions are tried in datasets_trl.py.

Exit code: 0 all hold, 1 something does not, 2 it could not be tried.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
ROOT = pathlib.Path(__file__).resolve().parents[2]

try:
    import datasets
except ImportError as error:
    print(f"datasets_load: {error}; run it through ./dev acceptance, or: {sys.executable} -m pip install datasets", file=sys.stderr)
    sys.exit(2)


def seedbed(program, *words):
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        sys.exit(f"datasets_load: seedbed {' '.join(words)}: exit code {done.returncode}: {done.stderr.strip()[-800:]}")
    return done.stdout


def differences(folder, cache):
    """What the loader gives against the lines of the files, in words."""
    loaded = datasets.load_dataset(str(folder), cache_dir=cache)
    files = sorted((folder / "data").glob("*.jsonl"))
    if not files:
        yield f"{folder.name}: no data files"
    for path in files:
        split = path.name.rsplit("-", 1)[0]
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if split not in loaded:
            yield f"{path.name}: split {split} is not offered, there are {list(loaded)}"
        elif len(loaded[split]) != len(lines):
            yield f"{path.name}: {len(loaded[split])} rows for {len(lines)} lines"
        else:
            for line, row in zip(lines, loaded[split]):
                wrong = [key for key, value in line.items() if row[key] != value]
                if wrong:
                    yield f"{path.name}: row {line.get('id')}: columns {wrong} read otherwise"
                    break


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seedbed", default=str(ROOT / os.environ.get("SEEDBED_BUILD", "build/release") / "seedbed"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = f"{folder}/a.db"
        seedbed(arguments.seedbed, "gen", "--envs", "20", "--tasks-per-env", "5", "--seed", "7", "--out", store)
        for policy in ("oracle", "random"):
            seedbed(arguments.seedbed, "run", store, "--policy", policy)
        wrong, rows = [], 0
        for form in ("trl", "openai"):
            out = pathlib.Path(folder, form)
            rows += json.loads(seedbed(arguments.seedbed, "export", store, "--format", form, "--out", str(out), "--json"))["episodes"]
            wrong += differences(out, f"{folder}/cache")
    for what in wrong:
        print(what)
    print(f"datasets {datasets.__version__}: {rows} rows of two exports, {len(wrong)} differences")
    return 1 if wrong or rows == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
