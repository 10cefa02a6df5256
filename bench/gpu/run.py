"""Checks the program on a GPU within nine minutes and writes report.json and log.txt.

    python3 bench/gpu/run.py --bundle-file build/gpu-bundle.tar.xz [--out DIR]      (./dev gpu)
    python3 bench/gpu/run.py --unpacked DIR                                         a bundle's files, unpacked or staged

Exit code: 0 all phases ran and all bars hold; 1 something failed, was missed or was not run; 2 usage; 3 no GPU, or a damaged
bundle; 130 stopped by Ctrl-C. Nothing is needed but Python; what phases need besides, and lack, they name.
"""
import argparse
import datetime
import json
import pathlib
import sys
import tempfile
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import bars
import bundle
import device
import phases
import programs
import report
from programs import Refused

SECONDS, SHORTEST = 540, 20
FOR_THE_TABLE = 5  # seconds kept for the table and the report
LEAST = 2  # seconds under which no phase is begun


def run_phase(work, row, deadline):
    name, title, limit, function = row
    begin, left = deadline.elapsed(), deadline.left() - FOR_THE_TABLE
    entry = {"name": name, "title": title, "began": round(begin, 2), "limit": limit}
    if left < LEAST:
        return {**entry, "state": phases.NOT_RUN, "why": "not run (time)", "seconds": 0, "facts": {}}
    work.log(name, f"begins: {title}; at most {min(limit, left):.0f} s")
    try:
        state, why, facts = function(work, min(limit, left))
    except Refused as error:
        state, why, facts = phases.FAILED, str(error)[:1000], {}
    except Exception as error:  # a fault of this runner ends one phase, not all; the log has where
        for line in traceback.format_exc().splitlines():
            work.log(name, line, show=False)
        state, why, facts = phases.FAILED, f"the runner failed: {type(error).__name__}: {str(error)[:200]}", {}
    seconds = round(deadline.elapsed() - begin, 2)
    work.log(name, f"{state} after {seconds:.1f} s{': ' + why if why else ''}")
    return {**entry, "state": state, "why": why, "seconds": seconds, "facts": facts}


def verdict_of(done, rows, asked):
    good = all(phase["state"] == phases.PASSED for phase in done if not asked or phase["name"] in asked)
    return "passed" if good and (asked or all(row["verdict"] == bars.PASS for row in rows)) else "failed"


def table(done, rows, ceilings, sheet):
    lines = [f"{'phase':<16}{'seconds':>8}  state"]
    lines += [f"{phase['name']:<16}{phase['seconds']:>8.1f}  {phase['state']}{': ' + phase['why'][:160] if phase['why'] else ''}" for phase in done]
    for key, rate in ceilings.items():
        share = f", {100 * rate / sheet[key]:.0f} % of the datasheet" if sheet and sheet.get(key) else ""
        lines.append(f"ceiling {key}: {rate / 1e12:.2f} T/s{share}")
    return lines + bars.table(rows)


def check(tree, manifest, gpu, arguments, log, deadline, console):
    """The exit code; report.json lies in arguments.out."""
    data = bars.load(tree / "bench/bars.json")
    asked, done = arguments.only, []
    with tempfile.TemporaryDirectory(prefix="seedbed-gpu-") as scratch:
        work = phases.Work(tree, pathlib.Path(scratch), log, gpu, manifest)
        for row in phases.PHASES:
            if asked and row[0] not in asked:
                done.append({"name": row[0], "title": row[1], "began": 0, "limit": row[2], "state": phases.NOT_RUN, "why": "not asked for", "seconds": 0, "facts": {}})
                continue
            try:
                done.append(run_phase(work, row, deadline))
            except KeyboardInterrupt:
                programs.end_all()
                log("gpu", "stopped; no report")
                return 130
    rows = bars.judge(data, work.measurements, gpu["name"])
    ceilings = bars.ceilings(data, work.measurements)
    verdict = verdict_of(done, rows, asked)
    told = {
        "format": report.FORMAT, "version": report.VERSION,
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), "commit": manifest["commit"],
        "seconds": round(deadline.elapsed(), 1), "seconds_allowed": arguments.seconds, "verdict": verdict, "asked": asked,
        "machine": device.machine(), "device": gpu,
        "bundle": {"date": manifest["date"], "ops": manifest["ops"], "sources": manifest["sources"], "absent": manifest["absent"],
                   "programs": {name: entry["sha256"] for name, entry in manifest["files"].items() if name.startswith("bin/") and "/lib/" not in name}},
        "ceilings": ceilings, "phases": done, "measurements": work.measurements, "bars": rows}
    report.write(arguments.out / "report.json", told)
    for line in table(done, rows, ceilings, bars.datasheet(data, gpu["name"])):
        print(line, file=console)
    count = {kind: sum(row["verdict"] == kind for row in rows) for kind in (bars.PASS, bars.FAIL, bars.NOT_MEASURED)}
    print(f"{gpu['name']}, commit {manifest['commit']}: {verdict}; bars: " + ", ".join(f"{n} {kind}" for kind, n in count.items())
          + f"; {deadline.elapsed():.0f} s; {arguments.out / 'report.json'}", file=console, flush=True)
    return 0 if verdict == "passed" else 1


def open_tree(arguments, scratch):
    """(folder, manifest) of the files to run. Raises Refused."""
    if arguments.unpacked:
        try:
            return arguments.unpacked, bundle.checked_manifest((arguments.unpacked / "manifest.json").read_bytes(), arguments.unpacked)
        except OSError as error:
            raise Refused(f"folder '{arguments.unpacked}': manifest.json: {error.strerror}; name a bundle's unpacked folder") from None
    return pathlib.Path(scratch), bundle.unpack(arguments.bundle_file, pathlib.Path(scratch))


def main(words=None, console=sys.stderr):
    parser = argparse.ArgumentParser(prog="dev gpu")
    parser.add_argument("--bundle-file", type=pathlib.Path, default=pathlib.Path("build/gpu-bundle.tar.xz"))
    parser.add_argument("--unpacked", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("build/gpu-report"), help="folder of report.json and log.txt")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of the whole (540)")
    parser.add_argument("--only", default="", help="names of phases, with commas; the report then says so")
    parser.add_argument("--probe", action="store_true", help="only tell whether there is a GPU")
    arguments = parser.parse_args(words)
    arguments.only = [name for name in arguments.only.split(",") if name]
    known = [name for name, _, _, _ in phases.PHASES]
    if set(arguments.only) - set(known) or not SHORTEST <= arguments.seconds <= 7200:
        print(f"dev gpu: --only takes of {','.join(known)}; --seconds {SHORTEST} to 7200", file=console)
        return 2
    deadline = programs.Deadline(arguments.seconds)
    try:
        gpu = device.query(programs.Log(None, deadline, console))[0]
    except (device.NoGpu, Refused) as error:
        print(f"dev gpu: no GPU: {error}; nothing was run. Run it on a machine with an NVIDIA driver; ./dev test holds the kernels to their contracts without one", file=console)
        return 3
    if arguments.probe:
        return 0
    arguments.out.mkdir(parents=True, exist_ok=True)
    log = programs.Log(arguments.out / "log.txt", deadline, console)
    try:
        with tempfile.TemporaryDirectory(prefix="seedbed-gpu-") as scratch:
            tree, manifest = open_tree(arguments, scratch)
            log("gpu", f"{gpu['name']}; commit {manifest['commit']}, bundle of {manifest['date']}; absent: {json.dumps(manifest['absent'])}")
            return check(tree, manifest, gpu, arguments, log, deadline, console)
    except (Refused, ValueError) as error:
        log("gpu", str(error))
        return 3
    finally:
        log.close()


if __name__ == "__main__":
    sys.exit(main())
