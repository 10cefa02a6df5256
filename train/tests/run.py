"""Runs the trainer's tests under a Python that has torch; where none has, those tests that need none.

    python3 train/tests/run.py [--light] [NAME...]

The Python that runs this is asked first, then the virtual environments that ./dev makes. Without torch one skip is written,
`train: TorchTests`, with what it stands for. $SEEDBED_RESULTS names a folder for train.tsv (state, name, reason a line), which
tests/summary.py counts.

Exit code: 0 all that ran holds, 1 something does not.
"""

import argparse
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parents[1]
NEEDED = ("torch", "safetensors", "tokenizers")
ENVIRONMENTS = ("build/train-venv", "build/venv")


def imports(python, modules):
    """Whether this Python has the modules; they are looked up, not loaded."""
    code = f"import importlib.util, sys; sys.exit(any(importlib.util.find_spec(m) is None for m in {modules!r}))"
    try:
        return subprocess.run([python, "-c", code], check=False, capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def python_with_torch():
    """The first Python at hand that has what the tests need, or None."""
    candidates = [sys.executable] + [str(ROOT / folder / "bin/python") for folder in ENVIRONMENTS]
    return next((python for python in candidates if imports(python, NEEDED)), None)


def modules():
    """(light, heavy): names of the test files; a heavy one needs what may be missing."""
    found = sorted(TESTS.glob("test_*.py"))
    heavy = [f.stem for f in found if re.search(r"^import (torch|tokenizers)", f.read_text(encoding="utf-8"), re.MULTILINE)]
    return [f.stem for f in found if f.stem not in heavy], heavy


class Lines(unittest.TextTestResult):
    """Keeps a line for each test, as tests/summary.py reads them."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.lines = []

    def keep(self, state, test, reason=""):
        case = test.id().split(".")[-2:]
        self.lines.append("\t".join((state, f"train: {'.'.join(case)}", " ".join(str(reason).split())[-300:])))

    def addSuccess(self, test):
        super().addSuccess(test)
        self.keep("passed", test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.keep("failed", test, error[1])

    def addError(self, test, error):
        super().addError(test, error)
        self.keep("failed", test, repr(error[1]))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.keep("skipped", test, reason)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.keep("failed", test, error[1])


def run(names):
    """-> (lines, whether all held)."""
    sys.path[:0] = [str(TESTS), str(TESTS.parent)]
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    result = unittest.TextTestRunner(resultclass=Lines, verbosity=1).run(suite)
    return result.lines, result.wasSuccessful() and result.testsRun > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--light", action="store_true", help="only what needs no torch, as where there is none")
    parser.add_argument("names", nargs="*", help="test_model, or test_model.Packs; without: all")
    options = parser.parse_args()
    python = None if options.light else python_with_torch()
    if python is not None and python != sys.executable:
        return subprocess.run([python, "-B", __file__, *options.names], check=False).returncode
    light, heavy = modules()
    names = options.names or (light if python is None else light + heavy)
    lines, held = run(names)
    if python is None and not options.names:
        reason = f"no Python at hand has {', '.join(NEEDED)}: {', '.join(heavy)} did not run"
        print(f"skipped: train: TorchTests: {reason}")
        lines.append(f"skipped\ttrain: TorchTests\t{reason}")
    if folder := os.environ.get("SEEDBED_RESULTS"):
        (Path(folder) / "train.tsv").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
