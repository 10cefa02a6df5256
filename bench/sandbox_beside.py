"""`seedbed sandbox run` beside Debian's bubblewrap and firejail: /bin/true in a full jail, counted whole, in turns.

    apt-get install bubblewrap firejail strace && ./dev build
    python3 bench/sandbox_beside.py [--rounds 200] [--program build/release/seedbed] [--out FILE]

Each round starts every program but firejail once, in an order drawn anew, so that what else the machine does hits all alike. Firejail
comes last, alone: it takes ten times as long, and what it leaves the kernel to take down lasts into the next program's time. All unshare
users' processes, mounts, network, ipc and host names, show /usr read-only and drop capabilities; ours adds limits by control
groups, Landlock and a system call filter. The bar: ours at most 0.6 times bubblewrap's median.
"""

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import time

BWRAP = "bwrap --unshare-all --cap-drop ALL --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64"
BWRAP += " --proc /proc --dev /dev --tmpfs /tmp --die-with-parent"
FIREJAIL = "firejail --quiet --noprofile --net=none --caps.drop=all --seccomp --private --private-dev --private-tmp"


def programs(program):
    """name -> words of the command line that runs /bin/true."""
    found = {"plain": ["/bin/true"], "seedbed sandbox run": [program, "sandbox", "run", "--", "/bin/true"]}
    if shutil.which("bwrap"):
        found["bubblewrap"] = [*BWRAP.split(), "/bin/true"]
    if shutil.which("firejail"):
        found["firejail"] = [*FIREJAIL.split(), "/bin/true"]
    return found


def once(words):
    """Seconds from before the start until it is reaped; the exit code must be 0."""
    begin = time.perf_counter()
    pid = os.posix_spawnp(words[0], words, {"PATH": "/usr/bin:/bin", "HOME": "/tmp"})
    _, status = os.waitpid(pid, 0)
    seconds = time.perf_counter() - begin
    if status != 0:
        sys.exit(f"sandbox_beside: {' '.join(words)}: status {status}")
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--program", default="build/release/seedbed")
    parser.add_argument("--out", help="a JSON file")
    options = parser.parse_args()
    commands = programs(options.program)
    times = {name: [] for name in commands}
    order = random.Random(1)
    for _ in range(options.rounds):
        names = [name for name in commands if name != "firejail"]
        order.shuffle(names)
        for name in names:
            times[name].append(once(commands[name]))
    for _ in range(options.rounds // 5 if "firejail" in commands else 0):
        times["firejail"].append(once(commands["firejail"]))
    rows = {}
    for name, values in times.items():
        values.sort()
        rows[name] = {"runs": len(values), "p10_ms": values[len(values) // 10] * 1e3, "median_ms": statistics.median(values) * 1e3}
        rows[name]["p95_ms"] = values[len(values) * 95 // 100] * 1e3
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    out = {"date": time.strftime("%Y-%m-%d"), "commit": commit, "kernel": platform.release(), "cores": os.cpu_count(), "programs": rows}
    if "bubblewrap" in rows:
        out["of_bubblewrap"] = rows["seedbed sandbox run"]["median_ms"] / rows["bubblewrap"]["median_ms"]
    text = json.dumps(out, indent=1)
    print(text)
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    main()
