"""Runs benchmark programs and keeps what they print.

    python3 bench/record.py build/release [NAME]     all programs bench_* of the build, or bench_NAME

A result line is `bench <op> key=value ...`. Each program's lines become bench/results/NAME-DATE.json with the facts of the
machine, the date and the commit. Exit code 1 where a program fails or prints no result line.
"""
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys


def machine():
    model = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory_kib = int(pathlib.Path("/proc/meminfo").read_text().split()[1])
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_kib / 2**20, 1),
        "kernel": platform.release(),
        "arch": platform.machine(),
    }


def commit():
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def number(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def parse(line):
    words = line.split()
    result = {"op": words[1]}
    for word in words[2:]:
        key, equals, value = word.partition("=")
        if equals:
            result[key] = number(value)
        else:
            result.setdefault("tags", []).append(word)
    return result


def main():
    build = pathlib.Path(sys.argv[1])
    wanted = sys.argv[2] if len(sys.argv) > 2 and sys.argv[2] else "*"
    programs = sorted(p for p in build.rglob(f"bench_{wanted}") if p.is_file() and os.access(p, os.X_OK))
    if not programs:
        print(f"bench '{wanted}': no program bench_{wanted} under {build}; see bench/", file=sys.stderr)
        return 1
    failed = False
    now = datetime.datetime.now(datetime.timezone.utc)
    for program in programs:
        name = program.name.removeprefix("bench_")
        done = subprocess.run([str(program)], stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, check=False)
        sys.stdout.write(done.stdout)
        sys.stdout.flush()
        results = [parse(line) for line in done.stdout.splitlines() if line.startswith("bench ") and len(line.split()) > 1]
        if done.returncode != 0 or not results:
            print(f"bench {name}: exit code {done.returncode}, {len(results)} results", file=sys.stderr)
            failed = True
            continue
        record = {"name": name, "date": now.strftime("%Y-%m-%d %H:%M UTC"), "commit": commit(), "machine": machine(), "results": results}
        path = pathlib.Path("bench/results") / f"{name}-{now:%Y%m%d-%H%M%S}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")
        print(f"kept: {path}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
