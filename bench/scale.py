"""Generation at scale: one command, watched.

    python3 bench/scale.py build/release/seedbed --envs 10000 --tasks 60 --seed 1 [--out FILE.db] [--digests] [--check N]

Runs `gen` on two lanes and samples the memory of the whole process tree (the jails included) twice a second; then the store's
size, what `stats` counts, and with --check N a run of the oracle and of the empty policies on N tasks. With --digests the same
request, a twentieth of it, is made on one lane, on two, and in four shards merged, and the digests must be equal. The report goes
to bench/results/scale-DATE.json with machine, date and commit; figures come from there.
"""
import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from record import commit, machine  # noqa: E402


def tree(root):
    """Process ids of `root` and of all below it."""
    children = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fields = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry))
    todo, out = [root], []
    while todo:
        pid = todo.pop()
        out.append(pid)
        todo += children.get(pid, [])
    return out


def pss_mib(pids):
    """Proportional set size: shared pages count once."""
    total = 0
    for pid in pids:
        try:
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            continue
    return total / 1024


def watched(command):
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, pss_mib(tree(process.pid)))
        time.sleep(0.5)
    text = process.stdout.read().decode()
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}\n{text}")
    return json.loads(text.strip().splitlines()[-1]), time.monotonic() - began, peak


def said(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def gen(binary, out, args, envs, extra):
    return [binary, "gen", "--family", "general", "--envs", str(envs), "--tasks-per-env", str(args.tasks), "--seed", str(args.seed),
            "--out", out, "--json", *extra]


def digests(binary, args):
    envs = max(8, args.envs // 20)
    with tempfile.TemporaryDirectory() as folder:
        ways = {}
        for name, extra in {"one lane": ["--jobs", "1"], "two lanes": ["--jobs", "2"]}.items():
            ways[name] = said(gen(binary, f"{folder}/{name.replace(' ', '_')}.db", args, envs, extra))["digest"]
        shards = [f"{folder}/shard{i}.db" for i in range(4)]
        for i, shard in enumerate(shards):
            said(gen(binary, shard, args, envs, ["--jobs", "2", "--shard", f"{i}/4"]))
        said([binary, "merge", f"{folder}/merged.db", *shards, "--json"])
        ways["four shards merged"] = said([binary, "stats", f"{folder}/merged.db", "--json"])["digest"]
    return {"envs": envs, **ways, "equal": len(set(ways.values())) == 1}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--envs", type=int, default=10_000)
    parser.add_argument("--tasks", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default="")
    parser.add_argument("--digests", action="store_true")
    parser.add_argument("--check", type=int, default=0)
    args = parser.parse_args()
    report = {"machine": machine(), "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "commit": commit(),
              "request": {"envs": args.envs, "tasks_per_env": args.tasks, "seed": args.seed}}
    with tempfile.TemporaryDirectory() as folder:
        out = args.out or f"{folder}/scale.db"
        made, seconds, peak = watched(gen(args.binary, out, args, args.envs, ["--jobs", "2", "--fresh"]))
        size = os.path.getsize(out)
        report["gen"] = {"environments": made["environments"], "tasks": made["tasks"], "slots": made["slots"], "seconds": round(seconds, 1),
                         "tasks_per_s": round(made["tasks"] / seconds, 1), "peak_pss_mib": round(peak), "store_mib": round(size / 2**20),
                         "bytes_per_task": round(size / max(1, made["tasks"])), "digest": made["digest"], "rejected": made["rejected"]}
        print(json.dumps(report["gen"]), flush=True)
        if args.check:
            report["policies"] = {}
            for policy in ("oracle", "nop", "refuse-all", "prompt-echo", "random"):
                done = said([args.binary, "run", out, "--policy", policy, "--limit", str(args.check), "--json"])
                report["policies"][policy] = {k: done[k] for k in ("episodes", "solved", "infra_errors", "seconds")}
            print(json.dumps(report["policies"]), flush=True)
        if args.digests:
            report["digests"] = digests(args.binary, args)
            print(json.dumps(report["digests"]), flush=True)
    name = datetime.datetime.now(datetime.timezone.utc).strftime("scale-%Y%m%d-%H%M%S.json")
    path = pathlib.Path(__file__).parent / "results" / name
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
