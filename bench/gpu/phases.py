"""The phases of the check, in order, each with its own limit. A phase gives (state, why, facts); the driver adds times.

States: passed; failed; not run (something it needs is absent, or there was no time: `why` names it).
"""
import json
import os
import pathlib
import re

import agree
import device
import measurements
import programs
import suite
from programs import Refused

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"
SANITIZER_FOLDERS = ("/usr/local/cuda/bin", "/usr/local/cuda/compute-sanitizer", "/opt/nvidia/compute-sanitizer")


class Work:
    """What phases share."""

    def __init__(self, tree, scratch, log, gpu, manifest):
        self.tree, self.scratch, self.log, self.gpu, self.manifest = tree, scratch, log, gpu, manifest
        self.measurements, self.models, self.names = [], {}, None
        folders = device.folders_of_libraries()
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("GTEST_")}
        if folders:  # cuBLAS is opened at run time; the machine's own path comes first
            self.environment["LD_LIBRARY_PATH"] = ":".join(filter(None, [os.environ.get("LD_LIBRARY_PATH", ""), *folders]))

    def program(self, name):
        """Its path, or why it is not there."""
        path = self.tree / "bin" / name
        return (path, "") if path.is_file() else (None, f"{name} is not in the bundle ({self.manifest['absent'].get(name, 'not named')})")


def device_facts(work, seconds):
    fields = dict(work.gpu)
    work.log("device", ", ".join(f"{key} {value}" for key, value in fields.items()))
    return PASSED, "", {"gpu": fields}


# ---- the contract suite ----
def _names(work, program, seconds):
    if work.names is None:
        done = programs.run([program, "--gtest_list_tests"], min(20, seconds), work.log, "contract", show=lambda line: False, environment=work.environment)
        wrong = programs.what_went_wrong(done)
        work.names = suite.names_in(done.lines)
        if wrong or not work.names:
            work.names = None
            raise Refused(f"contract: test_kernels --gtest_list_tests: {wrong or 'it lists no case'}")
    return work.names


def _reason(case):
    """Of a skip; its first line is the place in the source."""
    return " ".join(case.text.split("\n", 1)[-1].split())[:200]


def _told(cases, who, log):
    by_state = {state: [case for case in cases if case.state == state] for state in ("passed", "failed", "skipped", "not run")}
    for i, case in enumerate(by_state["failed"]):  # all of them are in the log and in the report
        for line in [f"FAILED {case.name}", *("    " + line for line in case.text.splitlines())]:
            log(who, line, show=i < 20)
    for i, case in enumerate(by_state["skipped"]):
        log(who, f"skipped {case.name}: {_reason(case)}", show=i < 10)
    counts = {state: len(found) for state, found in by_state.items()}
    log(who, ", ".join(f"{count} {state}" for state, count in counts.items()))
    facts = {"counts": counts, "passed": [case.name for case in by_state["passed"]], "not_run": [case.name for case in by_state["not run"]]}
    for state in ("failed", "skipped"):
        facts[state] = [{"name": case.name, "text": case.text} for case in by_state[state]]
    facts["slowest"] = [{"name": case.name, "seconds": round(case.seconds, 2)} for case in sorted(cases, key=lambda case: -case.seconds)[:5]]
    no_device = next((case for case in by_state["skipped"] if case.name == suite.DEVICE_FOUND), None)
    if no_device:
        return FAILED, "the suite finds no device: " + _reason(no_device), facts
    if counts["failed"]:
        return FAILED, f"{counts['failed']} of {len(cases)} cases failed, first {by_state['failed'][0].name}", facts
    if counts["not run"]:
        return FAILED, f"{counts['not run']} of {len(cases)} cases were not run (time)", facts
    if not counts["passed"]:
        return FAILED, "no case of the backend cuda passed", facts
    return PASSED, "", facts


def _contract(work, seconds, part, who):
    program, why = work.program("test_kernels")
    if program is None:
        return NOT_RUN, why, {}
    deadline = programs.Deadline(seconds)
    names = suite.chosen(_names(work, program, seconds))[part]
    if not names:
        return FAILED, "the suite has no case of the backend cuda: it was built without CUDA", {}
    return _told(suite.run(program, names, deadline.left(), work.log, who, work.scratch, work.environment), who, work.log)


def contract_first(work, seconds):
    return _contract(work, seconds, 0, "contract first")


def contract(work, seconds):
    return _contract(work, seconds, 1, "contract")


# ---- compute-sanitizer ----
_SUMMARY = {
    "memcheck": re.compile(r"^=+ ERROR SUMMARY: (\d+) errors?"),
    "racecheck": re.compile(r"^=+ RACECHECK SUMMARY: (\d+) hazards? displayed"),
}


# Cases of bench_gpu for memcheck: their arrays are allocations of their own, so that a read beyond one is seen.
BENCH_PARTS = ("/t1", "/r1_l", "/m1_n24576", "/b1_l64k", "/b1_n1_")


def _sanitizer_tool():
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    return programs.find("compute-sanitizer", ([home + "/bin", home + "/compute-sanitizer"] if home else []) + list(SANITIZER_FOLDERS))


def _sanitized(work, kind, command, seconds, environment):
    """(outcome, findings or None where it printed no sum, what it said)"""
    done = programs.run(
        [_sanitizer_tool(), "--tool", kind, "--error-exitcode", "86", "--print-limit", "20", "--target-processes", "application-only", *command],
        seconds, work.log, kind, show=lambda line: "SUMMARY" in line or "FAILED" in line or line.startswith("========= Invalid"), environment=environment)
    said = [line for line in done.lines + done.errors if line.startswith("=====")]
    found = [int(match.group(1)) for match in map(_SUMMARY[kind].match, said) if match]
    return done, sum(found) if found else None, said[:60]


def _sanitizer(work, seconds, kind):
    program, why = work.program("test_kernels")
    if _sanitizer_tool() is None:
        return NOT_RUN, "compute-sanitizer was not found", {}
    if program is None:
        return NOT_RUN, why, {}
    names, without = suite.small(_names(work, program, seconds))
    done, found, said = _sanitized(work, kind, [program, "--gtest_color=no"], seconds, {**work.environment, "GTEST_FILTER": ":".join(names)})
    cases, running = suite.cases_of_console(done.lines)
    bad = [case for case in cases.values() if case.state == "failed"]
    facts = {"wanted": len(names), "ended": len(cases), "findings": found, "patterns_without_case": without,
             "failed": [{"name": case.name, "text": case.text} for case in bad], "said": said}
    if any("not supported" in line for line in said):
        return NOT_RUN, "compute-sanitizer refuses this device: " + next(line for line in said if "not supported" in line).strip("= ")[:200], facts
    if without:
        return FAILED, f"no case fits {without[0]}", facts
    if found:
        return FAILED, f"{found} findings", facts
    if done.ended:
        return FAILED, f"{len(cases)} of {len(names)} cases ended; {programs.what_went_wrong(done)}; running: {running}", facts
    if bad or found is None or done.code != 0 or len(cases) < len(names):
        return FAILED, (f"{len(bad)} cases failed" if bad else f"{programs.what_went_wrong(done) or 'no summary was printed'}, {len(cases)} of {len(names)} cases ended"), facts
    return PASSED, "", facts


def memcheck(work, seconds):
    deadline = programs.Deadline(seconds)
    state, why, facts = _sanitizer(work, 0.6 * seconds, "memcheck")
    bench, absent = work.program("bench_gpu")
    if state == NOT_RUN:
        return state, why, facts
    if bench is None:
        return (state, why, {**facts, "bench": absent}) if state == FAILED else (NOT_RUN, "the suite passed; " + absent, facts)
    facts["bench"] = []
    for part in BENCH_PARTS:
        if deadline.left() < 2:
            facts["bench"].append({"only": part, "why": "not run (time)"})
            continue
        done, found, said = _sanitized(work, "memcheck", [bench, "--only", part, "--budget", "1"], deadline.left(), work.environment)
        wrong = f"{found} findings" if found else programs.what_went_wrong(done) or ("no summary was printed" if found is None else "")
        facts["bench"].append({"only": part, "why": wrong, "said": said if wrong else []})
    wrong = [f"bench_gpu --only {one['only']}: {one['why']}" for one in facts["bench"] if one["why"]]
    return (state, why, facts) if state == FAILED or not wrong else (FAILED, "; ".join(wrong)[:500], facts)


def racecheck(work, seconds):
    return _sanitizer(work, seconds, "racecheck")


# ---- models ----
def _model(work, name, seconds):
    """A folder with seeded weights, the same bytes on every machine. name: config, seed, dtype. Raises Refused."""
    if name not in work.models:
        seedbed, why = work.program("seedbed")
        if seedbed is None:
            raise Refused(why)
        config, seed, dtype = name
        folder = work.scratch / f"{pathlib.Path(config).stem}-{seed}-{dtype}"
        command = [seedbed, "engine", "make-model", "--config", config, "--seed", seed, "--dtype", dtype, "--out", folder]
        command += ["--tokenizer", work.tree / "data/tokenizer.json"] if config == "nano" else []
        wrong = programs.what_went_wrong(programs.run(command, seconds, work.log, "models", show=lambda line: False, environment=work.environment))
        if wrong:
            raise Refused(f"models: make-model {config} {dtype}: {wrong}")
        work.models[name] = folder
    return work.models[name]


def _forced(work, seedbed, config, seed, deadline):
    """What agree.compare_logits says of one model, cpu against cuda."""
    folder = _model(work, (str(work.tree / f"tests/goldens/configs/{config}.json"), seed, "fp8"), deadline.left())
    vocab = json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    logits = {name: agree.forced(seedbed, folder, name, vocab, deadline.left(), work.log, work.environment, work.scratch) for name in ("cuda", "cpu")}
    seen = agree.compare_logits(logits["cpu"], logits["cuda"])
    work.log("agreement", f"fp8, teacher-forced, {config}: {seen['rows']} rows, {seen['clear']} with a clear leader, of them {seen['differ']} with another; "
             f"largest difference {seen['largest']:.2e} of a row's largest")
    return {**seen, "largest": min(seen["largest"], 1e30), "margin": agree.MARGIN}


def agreement(work, seconds):
    seedbed, why = work.program("seedbed")
    if seedbed is None:
        return NOT_RUN, why, {}
    deadline, facts = programs.Deadline(seconds), {}
    folder = _model(work, ("nano", 1, "f32"), deadline.left())
    ids = {name: agree.generated(seedbed, folder, name, deadline.left(), work.log, work.environment) for name in ("cuda", "cpu")}
    at = agree.first_difference(ids["cpu"], ids["cuda"])
    facts["greedy_f32"] = {"tokens": len(ids["cpu"]), "first_difference": at}
    work.log("agreement", f"f32, greedy: {len(ids['cpu'])} tokens, " + ("all equal" if at is None else f"the first that differs is {at}"))
    facts["forced_fp8"] = {config: _forced(work, seedbed, config, seed, deadline) for config, seed in agree.FORCED_MODELS}
    if at is not None:
        return FAILED, f"greedy tokens in f32 differ from token {at} on", facts
    if len(ids["cpu"]) < agree.GREEDY_TOKENS:
        return FAILED, f"{len(ids['cpu'])} tokens were generated, wanted {agree.GREEDY_TOKENS}", facts
    for config, seen in facts["forced_fp8"].items():
        if seen["differ"] or not seen["clear"]:
            return FAILED, f"{seen['differ']} of {seen['clear']} clear leaders differ in fp8, {config}", facts
    return PASSED, "", facts


def transformers(work, seconds):
    """tests/acceptance/model_parity.py with the device's logits; it ends with 2 where torch or transformers are absent."""
    seedbed, why = work.program("seedbed")
    if seedbed is None:
        return NOT_RUN, why, {}
    python = programs.find("python3")
    script = work.tree / "tests/acceptance/model_parity.py"
    if python is None or not script.is_file():
        return NOT_RUN, "python3 was not found" if python is None else "model_parity.py is not in the bundle", {}
    done = programs.run([python, "-u", script, "--seedbed", seedbed, "--device", "cuda"], seconds, work.log, "transformers", environment=work.environment)
    facts = {"lines": [line[:200] for line in done.lines[:40]]}
    if done.code == 2 and not done.ended:
        return NOT_RUN, (done.errors or ["it could not be tried"])[-1][:300], facts
    wrong = programs.what_went_wrong(done)
    return (FAILED, wrong, facts) if wrong else (PASSED, "", facts)


# ---- measurements ----
def _bench(work, seconds, name, words, who):
    program, why = work.program(name)
    if program is None:
        return NOT_RUN, why, {}
    done = programs.run([program, *words], seconds, work.log, who, show=lambda line: not line.lstrip().startswith("{"),
                        environment=work.environment, on_line=lambda line: _show(work, who, line))
    found, wrong = measurements.read(done.lines, who)
    work.measurements += found
    facts = {"measurements": sum("seconds" in one for one in found),
             "without": [f"{one['name']}: {measurements.rates(one)}" for one in found if "skipped" in one or "error" in one]}
    ended = programs.what_went_wrong(done)
    for line in wrong:
        work.log(who, line)
    if wrong:
        return FAILED, wrong[0] + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""), facts
    errors = [one for one in found if "error" in one]
    if errors:
        return FAILED, f"{len(errors)} cases failed, first {errors[0]['name']}: {errors[0]['error']}", facts
    if ended:
        return FAILED, f"{facts['measurements']} measurements, then: {ended}", facts
    if not facts["measurements"]:
        return FAILED, "it printed no measurement", facts
    return PASSED, "", facts


def _show(work, who, line):
    try:
        one = measurements.parse(line)
    except measurements.Malformed:
        return
    if one is not None:
        work.log(who, f"{one['name']} {measurements.text_of(one['shape'])}  {measurements.rates(one)}")


def budget(seconds):
    """For the program, which begins no case after it: the last one must end in the phase's time."""
    return f"{max(1.0, 0.8 * seconds):.0f}"


def ceilings(work, seconds):
    return _bench(work, seconds, "bench_gpu", ["--ceilings", "--budget", budget(seconds)], "ceilings")


def kernels(work, seconds):
    state, why, facts = _bench(work, seconds, "bench_gpu", ["--budget", budget(seconds)], "kernels")
    try:  # what the clocks were under load, or just after it
        facts["gpu_after"] = device.query(work.log, 5)[0]
    except (device.NoGpu, Refused) as error:
        facts["gpu_after"] = {"unknown": str(error)[:200]}
    return state, why, facts


def model(work, seconds):
    return _bench(work, seconds, "bench_gpu_model", ["--device", "cuda", "--budget", budget(seconds)], "model")


def rollouts(work, seconds):
    """Episodes of the agent loop a second, the model on the device; strict isolation, or the most that the machine gives."""
    seedbed, why = work.program("seedbed")
    tasks = work.tree / "data/tasks.db"
    if seedbed is None or not tasks.is_file():
        return NOT_RUN, why or "data/tasks.db is not in the bundle", {}
    deadline, refused = programs.Deadline(seconds), []
    folder = _model(work, ("nano", 1, "fp8"), deadline.left())
    for isolation in ("strict", "standard", "weak"):
        store = work.scratch / f"tasks-{isolation}.db"
        store.write_bytes(tasks.read_bytes())
        done = programs.run(
            [seedbed, "run", store, "--policy", "engine", "--model", folder, "--device", "cuda", "--samples", "2", "--concurrency", "32", "--max-tokens", "64",
             "--max-turns", "4", "--thinking", "off", "--isolation", isolation, "--json"], deadline.left(), work.log, "rollouts", environment=work.environment)
        if done.code != 3 or done.ended:
            break
        refused.append(f"{isolation}: {programs.what_went_wrong(done)}")
    facts = {"isolation": isolation, "refused": refused}
    wrong = programs.what_went_wrong(done)
    if wrong:
        return FAILED, wrong, facts
    try:
        told = json.loads("\n".join(done.lines))
        episodes, taken, errors = int(told["episodes"]), float(told["seconds"]), int(told["infra_errors"])
        if not (episodes > 0 and 0 < taken < 1e6):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        return FAILED, f"seedbed run printed no object with episodes, seconds and infra_errors: {' '.join(done.lines)[:200]}", facts
    facts.update({"episodes": episodes, "infra_errors": errors})
    work.measurements.append({"name": "rollouts", "shape": {"model": "nano", "max_tokens": 64, "max_turns": 4, "concurrency": 32, "isolation": isolation},
                              "seconds": taken / episodes, "repeats": episodes, "rollouts_per_second": episodes / taken, "source": "rollouts"})
    work.log("rollouts", f"{episodes / taken:.1f} rollouts/s, {episodes} episodes, {errors} infrastructure errors, isolation {isolation}")
    return (FAILED, f"{errors} infrastructure errors", facts) if errors else (PASSED, "", facts)


# name, what it is, its limit in seconds, function. Together below the nine minutes.
PHASES = [
    ("device", "what the device is", 5, device_facts),
    ("contract-first", "contract suite: what a host build cannot show", 40, contract_first),
    ("contract", "contract suite: all other cases", 105, contract),
    ("memcheck", "compute-sanitizer memcheck on small cases", 60, memcheck),
    ("racecheck", "compute-sanitizer racecheck on small cases", 45, racecheck),
    ("agreement", "cpu and cuda: greedy tokens, teacher-forced logits", 30, agreement),
    ("transformers", "logits against transformers", 50, transformers),
    ("ceilings", "what the device does at most", 20, ceilings),
    ("kernels", "kernels at the shapes of the bars", 80, kernels),
    ("model", "a slice of the published model", 70, model),
    ("rollouts", "the agent loop with a model", 30, rollouts),
]
