"""Are the levels real? The rates at which scripted solvers pass, level by level.

    python3 tests/acceptance/levels.py [STORE ...] [--seedbed PROGRAM] [--envs N] [--tasks N] [--seed N] [--least N] [--page] [--no-run]

Runs first-match, greedy, bfs-3 and no-policy on every task of the stores (without one it makes one), and says for each level and solver
how many pass, with Wilson's 95 % interval. What must hold, with at least --least tasks (500) a level:
  - a rate falls from level to level, or rises by no more than the 95 % interval of the difference;
  - first-match passes at most 50 % at level 1 and at most 5 % at level 4;
  - level 1 has >= 3 calls, >= 1 data-flow edge, >= 8 tools; >= 30 % of level 3 write; from level 6 on all have an obligation or an interaction;
  - no level holds less than 4 % or more than 18 % of the tasks.
The report goes to bench/results/levels-DATE.json. Levels are those that the tasks were admitted with; with --page they are worked out anew
from the tasks' knobs and the tables of docs/levels.md, so that other tables can be tried on a store that there is. --no-run takes the
episodes that the stores hold already.

Exit code: 0 all holds, 1 something does not, 2 it could not be tried.
"""

import argparse
import collections
import ctypes
import ctypes.util
import datetime
import json
import math
import os
import pathlib
import sqlite3
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
from record import commit, machine  # noqa: E402

SOLVERS = ("first-match", "greedy", "bfs-3", "no-policy")
LEVELS = range(1, 11)
Z = 1.96


def zstd():
    try:
        library = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
    except OSError as error:
        print(f"cannot be tried: {error}")
        sys.exit(2)
    library.ZSTD_decompress.restype = ctypes.c_size_t
    return library


def knobs_of(library, data, size):
    """Of the first section of a task's document."""
    out = ctypes.create_string_buffer(max(size, 1))
    if library.ZSTD_decompress(out, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data))) != size:
        raise ValueError("a blob is damaged")
    (length,) = struct.unpack_from("<I", out.raw, 0)
    return {k["name"]: k["value"] for k in json.loads(out.raw[4 : 4 + length])["knobs"]}


class Page:
    """The tables of docs/levels.md."""

    def __init__(self):
        cells = [
            [c.strip() for c in line.strip("|").split("|")]
            for line in (ROOT / "docs/levels.md").read_text().splitlines()
            if line.startswith("| ")
        ]
        self.weights = {c[0]: (int(c[1]), int(c[2])) for c in cells if len(c) == 3 and c[0] != "knob"}
        self.floors = [int(c[1]) for c in cells if len(c) == 2 and c[0].isdigit()]

    def level(self, knobs):
        if knobs.get("plan_calls", 0) < 3 or knobs.get("data_flow_edges", 0) < 1 or knobs.get("tools", 0) < 8:
            return 0
        points = sum(w * min(knobs.get(name, 0), most) for name, (w, most) in self.weights.items())
        level = max(1, sum(points >= floor for floor in self.floors))
        return level if knobs.get("obligations", 0) + knobs.get("interactions", 0) else min(level, 5)


def wilson(passed, n):
    if n == 0:
        return [0.0, 1.0]
    p = passed / n
    middle, half = p + Z * Z / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return [round(max(0.0, (middle - half) / (1 + Z * Z / n)), 4), round(min(1.0, (middle + half) / (1 + Z * Z / n)), 4)]


def rises(a, n, b, m):
    """Whether b of m is more than a of n by more than the 95 % interval of the difference."""
    pooled = (a + b) / (n + m)
    return b / m - a / n > Z * math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))


def read(path, library, page, tasks, passed):
    store = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    for task, kind, size, data in store.execute(
        "SELECT t.hash, t.kind, b.size, b.data FROM task t JOIN blob b ON b.id = t.document WHERE t.selected"
    ):
        knobs = knobs_of(library, data, size)
        tasks[task] = (kind, {**knobs, "level": page.level(knobs)} if page else knobs)
    for policy, task, solved in store.execute(
        "SELECT r.policy, t.hash, max(e.solved) FROM episode e JOIN run r ON r.id = e.run JOIN task t ON t.id = e.task"
        " WHERE t.selected GROUP BY 1, 2"
    ):
        passed[policy][task] = solved
    store.close()


def table(tasks, passed):
    rows = []
    for level in LEVELS:
        here = [task for task, (_, knobs) in tasks.items() if knobs.get("level") == level]
        row = {"level": level, "tasks": len(here), "share": round(len(here) / max(1, len(tasks)), 4)}
        row["with_writes"] = round(sum(tasks[t][1].get("writes", 0) > 0 for t in here) / max(1, len(here)), 4)
        for solver in SOLVERS:
            known = [passed[solver][t] for t in here if t in passed[solver]]
            row[solver] = {"tried": len(known), "passed": sum(known), "interval": wilson(sum(known), len(known))}
            row[solver]["rate"] = round(sum(known) / max(1, len(known)), 4)
        rows.append(row)
    return rows


def failures(rows, tasks, least):
    out = []
    for row in rows:
        if row["tasks"] < least or any(row[s]["tried"] < least for s in SOLVERS):
            out.append(f"level {row['level']}: {row['tasks']} tasks, wanted {least} tried by every solver")
        if not 0.04 <= row["share"] <= 0.18:
            out.append(f"level {row['level']} holds {row['share']:.1%} of the tasks")
    for a, b in zip(rows, rows[1:]):
        for s in SOLVERS:
            if a[s]["tried"] and b[s]["tried"] and rises(a[s]["passed"], a[s]["tried"], b[s]["passed"], b[s]["tried"]):
                out.append(f"{s}: {a[s]['rate']:.3f} at level {a['level']}, {b[s]['rate']:.3f} at level {b['level']}")
    for level, most in ((1, 0.5), (4, 0.05)):
        rate = rows[level - 1]["first-match"]["rate"]
        if rate > most:
            out.append(f"first-match passes {rate:.1%} at level {level}, at most {most:.0%} wanted")
    if rows[2]["with_writes"] < 0.3:
        out.append(f"{rows[2]['with_writes']:.1%} of level 3 write, at least 30 % wanted")
    for task, (_, k) in tasks.items():
        level = k.get("level", 0)
        if k.get("plan_calls", 0) < 3 or k.get("data_flow_edges", 0) < 1 or k.get("tools", 0) < 8 or level < 1:
            out.append(f"{task} is below the floor of level 1")
        elif level >= 6 and k.get("obligations", 0) + k.get("interactions", 0) == 0:
            out.append(f"{task} has level {level} and neither obligation nor interaction")
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="*", metavar="STORE")
    parser.add_argument("--seedbed", default=str(ROOT / os.environ.get("SEEDBED_BUILD", "build/release") / "seedbed"))
    parser.add_argument("--envs", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=60)
    parser.add_argument("--seed", type=int, default=601)
    parser.add_argument("--least", type=int, default=500)
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--no-run", action="store_true")
    args = parser.parse_args()
    library, page = zstd(), Page() if args.page else None
    tasks, passed = {}, collections.defaultdict(dict)
    with tempfile.TemporaryDirectory() as folder:
        stores = list(args.stores)
        try:
            if not stores:
                stores = [str(pathlib.Path(folder) / "levels.db")]
                command = [args.seedbed, "gen", "--envs", str(args.envs), "--tasks-per-env", str(args.tasks)]
                subprocess.run([*command, "--seed", str(args.seed), "--out", stores[0], "--json"], check=True, stdout=subprocess.DEVNULL)
            for store in stores:
                for solver in () if args.no_run else SOLVERS:
                    subprocess.run([args.seedbed, "run", store, "--policy", solver, "--json"], check=True, stdout=subprocess.DEVNULL)
                read(store, library, page, tasks, passed)
        except (OSError, subprocess.CalledProcessError, sqlite3.Error) as error:
            print(f"cannot be tried: {error}")
            return 2
    rows = table(tasks, passed)
    wrong = failures(rows, tasks, args.least)
    print("level tasks share writes " + " ".join(f"{s:>22}" for s in SOLVERS))
    for row in rows:
        cells = " ".join(f"{row[s]['rate']:>6.3f} [{row[s]['interval'][0]:.3f}, {row[s]['interval'][1]:.3f}]" for s in SOLVERS)
        print(f"{row['level']:>5} {row['tasks']:>5} {row['share']:.3f}  {row['with_writes']:.2f}  {cells}")
    kinds = {
        kind: {"tasks": n, **{s: round(sum(passed[s].get(t, 0) for t in tasks if tasks[t][0] == kind) / n, 4) for s in SOLVERS}}
        for kind, n in sorted(collections.Counter(kind for kind, _ in tasks.values()).items())
    }
    now = datetime.datetime.now(datetime.timezone.utc)
    report = {
        "date": now.isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "tasks": len(tasks),
        "levels_from": "docs/levels.md" if args.page else "the store",
        "levels": rows,
        "kinds": kinds,
        "failures": wrong[:50],
    }
    out = ROOT / "bench/results" / f"levels-{now:%Y%m%d-%H%M%S}.json"
    out.write_text(json.dumps(report, indent=1) + "\n")
    for line in wrong[:20]:
        print("FAILS: " + line)
    print(f"{len(tasks)} tasks, {len(wrong)} failures; {out}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
