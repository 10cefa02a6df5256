"""The contract suite on the device: which of its cases, in pieces, and what each of them did.

A piece is one process of some forty cases, several at a time, since the oracle that each case is compared with computes on one
core. A kernel that faults takes its process's device with it: the cases after it in that process are run again in another.
"""
import collections
import fnmatch
import json
import os
import pathlib
import queue
import re
import threading

import programs

# In this order, before all else: what a host build cannot show (docs/gpu.md).
FIRST = ("GemmRows", "AlignedGemm", "AlignedGroupedGemm", "AlignedMla", "AlignedIndex")
DEVICE_FOUND = "CudaBackend.IsBuiltAndFindsItsDevice"  # passes on a device alone
EVERY_BACKEND_IN_ONE = ("Sample", "CudaBackend")  # suites whose cases go over the backends themselves
# For the sanitizers, which slow a case down by ten to a hundred times: each op once or twice, small, with ragged edges.
SMALL = (
    "All/Aligned.*/cuda", "Table/Gemm.*/f32_f32_3x5x7_cuda", "Table/Gemm.*/f32_bf16_17x95x256_cuda", "Table/Gemm.*/bf16_bf16_33x130x257_cuda",
    "Table/Gemm.*/f8_f8_5x129x129_cuda", "Table/Gemm.*/f8_f8_37x36x448_cuda", "Table/GroupedGemm.*/*_some_empty_cuda", "Table/LmHead.*/*_some_cuda",
    "Table/IndexLogits.*/*_odd_heads_cuda", "Table/IndexLogits.*/f8_block_and_one_cuda", "Table/SparseMla.*/*_ragged_cuda",
    "Table/SparseMla.*/f8_invalid_between_cuda", "Table/DenseMla.*/*_ragged_cuda", "Table/DenseMha.*/ragged_selected_cuda",
    "Table/Topk.*/relu_plateau_k64_cuda", "Table/Topk.*/normal_odd_k_cuda", "Table/MoeRoute.*/odd_cuda", "Table/MoeRoute.*/ties_cuda",
    "Table/MoeMove.*/some_cuda", "Table/CacheWrite.*/f8_ragged_cuda", "Table/Norm.*/*", "Table/Rope.*/*", "Table/Hadamard.*/normal_128_cuda",
    "Table/Quant.*/*", "Table/Embed.*/bf16_cuda", "Table/MapSlots.*/many_sequences_cuda",
    "Table/CopyRows.*/*", "Table/FoldWeights.*/*",
)
MOST_OF_A_PATTERN = 3
PIECE, MOST_AT_ONCE, MOST_REPEATS = 40, 4, 60
QUIET = 40  # seconds without a line after which a case counts as hanging

Case = collections.namedtuple("Case", "name state text seconds")  # state: passed, failed, skipped, not run


def names_in(listing):
    """Full names in what --gtest_list_tests prints."""
    names, suite = [], ""
    for line in listing:
        line = line.split("  # ")[0].rstrip()
        if line and not line.startswith(" ") and line.endswith("."):
            suite = line
        elif line.startswith("  ") and suite:
            names.append(suite + line.strip())
    return names


def suite_of(name):
    """'All/GemmRows.Case/cuda' -> 'GemmRows'"""
    return name.split(".")[0].split("/")[-1]


def chosen(names, backend="cuda"):
    """(first, then): cases of the backend's row."""
    mine = [name for name in names
            if name.endswith(("/" + backend, "_" + backend)) or suite_of(name) in EVERY_BACKEND_IN_ONE]
    rank = {suite: i for i, suite in enumerate(FIRST)}
    first = sorted((name for name in mine if suite_of(name) in rank), key=lambda name: rank[suite_of(name)])
    return first, [name for name in mine if suite_of(name) not in rank]


def small(names, patterns=SMALL):
    """([cases for the sanitizers], [patterns that no case fits])"""
    mine = [name for name in names if name.endswith(("/cuda", "_cuda"))]
    found, without = [], []
    for pattern in patterns:
        fit = [name for name in mine if fnmatch.fnmatchcase(name, pattern)]
        most = len(fit) if pattern.startswith("All/") else MOST_OF_A_PATTERN
        found += [name for name in fit[:most] if name not in found]
        if not fit:
            without.append(pattern)
    return found, without


_MARK = re.compile(r"^\[ +(RUN|OK|FAILED|SKIPPED) +\] (\S+)(?: \((\d+) ms\))?$")


def cases_of_console(lines):
    """({name: Case}, the one that was running at the end or None)"""
    cases, running, said = {}, None, []
    for line in lines:
        mark = _MARK.match(line)
        if not mark:
            if running:
                said.append(line)
            continue
        kind, name, ms = mark.group(1), mark.group(2).rstrip(","), mark.group(3)
        if kind == "RUN":
            running, said = name, []
        elif running == name:
            state = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}[kind]
            cases[name] = Case(name, state, "" if state == "passed" else shortened(said), int(ms or 0) / 1000)
            running = None
    return cases, running


def shortened(lines, most=12):
    """The first lines of a failure."""
    lines = [line.rstrip()[:400] for line in lines if line.strip()]
    return "\n".join(lines[:most] + ([f"({len(lines) - most} more lines)"] if len(lines) > most else []))


def cases_of_json(text):
    """{name: Case} of gtest's report. Raises ValueError with one line where it is none."""
    try:
        report = json.loads(text)
        found = {}
        for suite in report["testsuites"]:
            for case in suite["testsuite"]:
                name = f"{suite['name']}.{case['name']}"
                failures = [str(failure["failure"]) for failure in case.get("failures", [])]
                seconds = float(str(case.get("time", "0s")).rstrip("s") or 0)
                state = "failed" if failures else {"COMPLETED": "passed", "SKIPPED": "skipped"}.get(case.get("result"), "not run")
                found[name] = Case(name, state, shortened("\n".join(failures).splitlines()), seconds)
        return found
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"gtest's report is unreadable ({type(error).__name__}: {str(error)[:100]})") from None


def faulted(case):
    """The device itself failed in it: what follows in that process says nothing."""
    return case.state == "failed" and "CUDA error" in case.text


def sort_out(names, outcome, report):
    """What a piece tells: ({name: Case} that count, [names to run again]). `report`: gtest's JSON text, or None."""
    cases, running = cases_of_console(outcome.lines)
    if report is not None:
        try:
            of_report = cases_of_json(report)
        except ValueError as error:
            of_report = {}
            if not cases:
                return {name: Case(name, "failed", str(error), 0) for name in names}, []
        for name, case in of_report.items():  # it says more of failures, the console of skips
            if name in names and case.state in ("passed", "failed"):
                cases[name] = case
    cases = {name: case for name, case in cases.items() if name in names}
    order = [name for name in names if name in cases]
    again = []
    first_fault = next((i for i, name in enumerate(order) if faulted(cases[name])), None)
    if first_fault is not None:
        again = [name for name in order[first_fault + 1:] if faulted(cases[name])]
        for name in again:
            del cases[name]
    wrong = programs.what_went_wrong(outcome)
    if running in names and running not in cases:
        state = "not run" if outcome.ended == "time" else "failed"
        cases[running] = Case(running, state, "not run (time): it was running when the phase ended" if state == "not run" else wrong or "it did not end", outcome.seconds)
    missing = [name for name in names if name not in cases and name not in again]
    if missing and not cases:  # no progress: running them again would not help
        state = "not run" if outcome.ended == "time" else "failed"
        text = "not run (time)" if state == "not run" else f"the program ran no case: {wrong or 'it printed none'}"
        return {name: Case(name, state, text, 0) for name in missing}, []
    return cases, again + missing


def run(program, names, seconds, log, who, folder, environment=None, at_once=MOST_AT_ONCE, prefix=(), quiet=QUIET):
    """[Case] for each of the names, in their order; takes at most about `seconds`."""
    deadline = programs.Deadline(seconds)
    waiting, done, lock, repeats = queue.Queue(), {}, threading.Lock(), [0]
    for i in range(0, len(names), PIECE):
        waiting.put(names[i:i + PIECE])
    numbers = iter(range(1 << 30))

    def work():
        while True:
            try:
                piece = waiting.get_nowait()
            except queue.Empty:
                return
            if deadline.left() < 1:
                with lock:
                    done.update({name: Case(name, "not run", "not run (time)", 0) for name in piece})
                continue
            with lock:
                path = pathlib.Path(folder) / f"{who}-{next(numbers)}.json"
            cases = {name: Case(name, "failed", "the runner failed", 0) for name in piece}
            again = []
            try:
                outcome = programs.run(
                    [*prefix, program, f"--gtest_output=json:{path}", "--gtest_color=no"], deadline.left(), log, who,
                    show=lambda line: "FAILED" in line, quiet=quiet,
                    environment={**(environment or os.environ), "GTEST_FILTER": ":".join(piece)})
                report = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
                cases, again = sort_out(piece, outcome, report)
            except programs.Refused as error:
                cases = {name: Case(name, "failed", str(error), 0) for name in piece}
            with lock:
                done.update(cases)
                repeats[0] += bool(again)
                if again and repeats[0] > MOST_REPEATS:
                    done.update({name: Case(name, "failed", "after so many faults it was not run again", 0) for name in again})
                elif again:
                    waiting.put(again)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(max(1, min(at_once, waiting.qsize())))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    while not waiting.empty():  # put back by the last worker to end
        done.update({name: Case(name, "not run", "not run (time)", 0) for name in waiting.get_nowait()})
    return [done.get(name, Case(name, "not run", "not run (time)", 0)) for name in names]
