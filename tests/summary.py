"""Counts test cases over result folders: gtest's XML reports, ctest's JUnit file, and .tsv lines (state, name, reason) of others.

Names every failure and every skip; the last line is `N passed, N failed, N skipped`. A skip that is not in the file of
expected ones is a failure, unless SEEDBED_ALLOW_SKIPS=1. A test program that left no report (it crashed, or ran out of time)
counts as one failure.
"""
import argparse
import fnmatch
import os
import pathlib
import sys
from xml.etree import ElementTree


def cases_of_gtest(path):
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            name = f"{path.stem}: {suite.get('name')}.{case.get('name')}"
            failure, skipped = case.find("failure"), case.find("skipped")
            if failure is not None:
                yield "failed", name, " ".join(failure.get("message", "").split())
            elif skipped is not None:  # the message begins with the line of the source
                text = " ".join(skipped.get("message", "").split("\n", 1)[-1].split())
                yield "skipped", name, text or "no reason given"
            elif case.get("status") == "notrun":
                yield "skipped", name, "disabled"
            else:
                yield "passed", name, ""


def cases_of_ctest(path, folder):
    """Only what the test could not report itself."""
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = case.get("name")
        reported = (folder / f"test_{name}.xml").exists() or (folder / f"{name}.tsv").exists()
        if case.get("status") == "run":
            if not reported:
                yield "passed", f"ctest: {name}", ""
        elif case.get("status") in ("notrun", "disabled"):
            yield "failed", f"ctest: {name}", "was not run"
        elif not reported:
            yield "failed", f"ctest: {name}", "ended without a report: crashed, or out of time"


def cases_of(folder):
    if not folder.is_dir():
        yield "failed", str(folder), "no results: the step before did not get so far"
        return
    for path in sorted(folder.glob("*.xml")):
        try:
            yield from cases_of_gtest(path)
        except ElementTree.ParseError as error:
            yield "failed", path.stem, f"unreadable report: {error}"
    for path in sorted(folder.glob("*.tsv")):
        for line in path.read_text().splitlines():
            yield tuple((line.split("\t") + ["", ""])[:3])
    for path in sorted(folder.glob("*.junit")):
        yield from cases_of_ctest(path, folder)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--expected", type=pathlib.Path, required=True, help="patterns of skips that are expected, one a line")
    parser.add_argument("folders", type=pathlib.Path, nargs="+")
    arguments = parser.parse_args()
    lines = (line.split("#")[0].strip() for line in arguments.expected.read_text().splitlines())
    expected = [line for line in lines if line]

    count = {"passed": 0, "failed": 0, "skipped": 0}
    unexpected = 0
    for folder in arguments.folders:
        for state, name, reason in cases_of(folder):
            count[state] += 1
            if state == "failed":
                print(f"FAILED  {name}: {reason}")
            elif state == "skipped":
                known = any(fnmatch.fnmatch(name, pattern) for pattern in expected)
                unexpected += not known
                print(f"SKIPPED {name}: {reason}{'' if known else ' (not expected)'}")
    bad = count["failed"] > 0 or count["passed"] == 0
    if unexpected and os.environ.get("SEEDBED_ALLOW_SKIPS") != "1":
        print(f"{unexpected} skips are not in {arguments.expected}: SEEDBED_ALLOW_SKIPS=1 lets them pass on this machine")
        bad = True
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
