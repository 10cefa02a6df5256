"""Counts again, by other means, a few of the numbers that `seedbed stats --diversity` says of a store.

    build/venv/bin/python tests/acceptance/diversity_recount.py [STORE] [--seedbed PROGRAM]

Read straight from the SQLite file (zstd through ctypes), with no code of the project's: the share of prompts with a neighbour at
Jaccard 0.8 and 0.5 (sets of word 5-grams as strings, an inverted index instead of MinHash: every pair that shares a gram is seen; of
a store with more than 5,000 prompts for 1,000 of them), the shapes of the gold plans (own merging of repeats, told apart by networkx
as labelled graphs), Hill numbers, distinct-2, schema classes, crossing tasks. Without a store it makes one of its own.

Exit code: 0 all agree, 1 something does not, 2 it could not be tried.
"""

import argparse
import collections
import ctypes
import ctypes.util
import hashlib
import json
import math
import os
import pathlib
import re
import sqlite3
import string
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
try:
    import networkx
    ZSTD = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
except (ImportError, OSError) as error:
    print(f"cannot be tried: {error}")
    sys.exit(2)
ZSTD.ZSTD_decompress.restype = ctypes.c_size_t
held, failures = [], []


def check(holds, what):
    print(("agrees: " if holds else "DIFFERS: ") + what)
    (held if holds else failures).append(what)


def unpacked(data, size):
    out = ctypes.create_string_buffer(max(size, 1))
    if ZSTD.ZSTD_decompress(out, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data))) != size:
        raise ValueError("a blob is damaged")
    return out.raw[:size]


def sections(data):
    out, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        out.append(json.loads(data[at + 4:at + 4 + size]))
        at += 4 + size
    return out


def read_store(path):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    environments = []
    for row, size, data in db.execute("SELECT e.id, b.size, b.data FROM environment e JOIN blob b ON b.id = e.spec WHERE e.selected = 1 ORDER BY e.slot").fetchall():
        tasks = [sections(unpacked(d, s)) for s, d in db.execute(
            "SELECT b.size, b.data FROM task t JOIN blob b ON b.id = t.document WHERE t.environment = ? AND t.selected = 1 ORDER BY t.number", (row,))]
        environments.append((json.loads(unpacked(data, size)), tasks))
    return environments


def words_of(text):
    """Blanks are bytes up to 0x20; signs at the ends come off; ASCII letters alone lose their case."""
    words = (w.strip(string.punctuation) for w in re.split("[\x00-\x20]+", text))
    return ["".join(c.lower() if c in string.ascii_uppercase else c for c in w) for w in words if w]


def grams_of(text):
    words = words_of(text)
    size = min(5, len(words))
    return {tuple(words[i:i + size]) for i in range(len(words) - size + 1)} if words else set()


def near_shares(prompts):
    """(share at 0.8, share at 0.5, how many were looked at)"""
    grams = [grams_of(p) for p in prompts]
    index = collections.defaultdict(list)
    for i, g in enumerate(grams):
        for gram in g:
            index[gram].append(i)
    asked = range(len(prompts))
    if len(prompts) > 5000:
        asked = sorted(asked, key=lambda i: hashlib.sha256(prompts[i].encode()).digest())[:1000]
    near80 = near50 = 0
    for i in asked:
        both = collections.Counter()
        for gram in grams[i]:
            both.update(index[gram])
        del both[i]
        at80 = at50 = not grams[i] and sum(not g for g in grams) > 1
        for j, n in both.items():
            either = len(grams[i]) + len(grams[j]) - n
            at80 = at80 or 5 * n >= 4 * either
            at50 = at50 or 2 * n >= either
        near80 += at80
        near50 += at50
    return near80 / len(asked), near50 / len(asked), len(asked)


def role_of(tool):
    program = tool["program"]
    if any("run" in s or "each" in s for s in program["steps"]):
        return "write"
    must = bool(tool["input"].get("required"))
    if program.get("shape") == "rows":
        return "list" if "page_size" in program or not must else "find"
    return "read" if must else "query"


def shape_of(steps, roles):
    """Further pages into their first page; then, again and again, calls of one tool with the same needs into one."""
    group = list(range(len(steps)))
    needs_of = lambda i: {group[n] for n in steps[i]["needs"] if 0 <= n < i}
    bare = lambda s: (s["tool"], json.dumps({k: v for k, v in s["args"].items() if k != "offset"}, sort_keys=True))
    for i, step in enumerate(steps):
        if step["kind"] == "call" and "offset" in step["args"]:
            for first in sorted(needs_of(i)):
                if bare(steps[first]) == bare(step) and needs_of(i) <= needs_of(first) | {first}:
                    group[i] = first
    while True:
        needs = collections.defaultdict(set)
        for i in range(len(steps)):
            needs[group[i]] |= needs_of(i) - {group[i]}
        by_key = collections.defaultdict(list)
        for g in sorted(set(group)):
            if steps[g]["kind"] == "call":
                by_key[steps[g]["tool"], frozenset(needs[g])].append(g)
        into = {g: same[0] for same in by_key.values() for g in same}
        merged = [into.get(g, g) for g in group]
        if merged == group:
            break
        group = merged
    graph = networkx.DiGraph()
    for g in sorted(set(group)):
        kind = steps[g]["kind"]
        graph.add_node(g, label=roles.get(steps[g]["tool"], "call") if kind == "call" else kind)
        graph.add_edges_from((n, g) for n in needs[g])
    reduced = networkx.transitive_reduction(graph)
    reduced.add_nodes_from(graph.nodes(data=True))
    return reduced


def shape_counts(environments):
    classes = collections.defaultdict(list)  # invariant -> [[graph, count]]
    match = networkx.algorithms.isomorphism.categorical_node_match("label", "")
    for env, tasks in environments:
        roles = {t["name"]: role_of(t) for t in env["tools"]}
        for _, _, gold, _ in tasks:
            graph = shape_of(gold["steps"], roles)
            key = networkx.weisfeiler_lehman_graph_hash(graph, node_attr="label")
            for entry in classes[key]:
                if networkx.is_isomorphic(entry[0], graph, node_match=match):
                    entry[1] += 1
                    break
            else:
                classes[key].append([graph, 1])
    return [count for entries in classes.values() for _, count in entries]


def close(a, b, by=1e-5):
    return abs(a - b) <= by * max(1, abs(a), abs(b))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("store", nargs="?")
    parser.add_argument("--seedbed", default=str(ROOT / os.environ.get("SEEDBED_BUILD", "build/release") / "seedbed"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        return recount(options, options.store or make_store(options.seedbed, scratch))


def make_store(seedbed, folder):
    store = str(pathlib.Path(folder) / "a.db")
    command = [seedbed, "gen", "--envs", "12", "--tasks-per-env", "20", "--seed", "13", "--out", store]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        print(f"cannot be tried: seedbed gen ended with {made.returncode}: {made.stderr.strip()[-500:]}")
        sys.exit(2)
    return store


def recount(options, path):
    if not pathlib.Path(options.seedbed).exists() or not pathlib.Path(path).exists():
        print(f"cannot be tried: {options.seedbed} or {path} is not there")
        return 2
    said = json.loads(subprocess.run([options.seedbed, "stats", path, "--diversity", "--json"], check=True, stdout=subprocess.PIPE).stdout)
    environments = read_store(path)
    tasks = [t for _, own in environments for t in own]
    prompts = [t[0]["prompt"] for t in tasks]
    check(said["environments"] == len(environments) and said["tasks"] == len(tasks), f"{len(environments)} environments, {len(tasks)} tasks")

    near80, near50, asked = near_shares(prompts)
    for name, mine in (("near_80_share", near80), ("near_50_share", near50)):
        theirs = said["near_duplicates"][name]
        if asked == len(prompts):  # MinHash may miss a neighbour, and never invents one
            fine = mine * 0.985 - 1 / len(prompts) - 1e-6 <= theirs <= mine + 1e-6
        else:
            fine = abs(theirs - mine) <= 4 * math.sqrt(max(mine * (1 - mine), 1 / asked) / asked) + 0.005
        check(fine, f"{name}: {theirs:.4f} said, {mine:.4f} counted on {asked} prompts")

    shapes = shape_counts(environments)
    total = sum(shapes)
    theirs = said["solution_shapes"]
    check(theirs["distinct"] == len(shapes), f"solution shapes: {theirs['distinct']} said, {len(shapes)} told apart by networkx")
    hill1 = math.exp(-sum(n / total * math.log(n / total) for n in shapes))
    hill2 = 1 / sum((n / total) ** 2 for n in shapes)
    check(close(theirs["hill_1"], hill1) and close(theirs["hill_2"], hill2), f"Hill numbers of shapes: {hill1:.3f}, {hill2:.3f}")
    check(theirs["singletons"] == shapes.count(1), f"shapes seen once: {shapes.count(1)}")

    skeletons = collections.Counter(t[0]["skeleton"] for t in tasks)
    theirs = said["task_skeletons"]
    f1, f2 = (sum(n == k for n in skeletons.values()) for k in (1, 2))
    check(theirs["distinct"] == len(skeletons) and close(theirs["chao1"], len(skeletons) + f1 * (f1 - 1) / (2 * (f2 + 1))), f"task skeletons: {len(skeletons)}, Chao1")
    for observations, distinct in theirs["rarefaction"][:3]:  # C(N - n, m) / C(N, m) with whole numbers
        mine = sum(1 - math.comb(len(tasks) - n, observations) / math.comb(len(tasks), observations) for n in skeletons.values()) if len(tasks) <= 20000 else distinct
        check(close(mine, distinct), f"rarefaction at {observations}: {distinct:.3f}")
    for key in ("schema_class", "core_schema_class"):
        mine = len({env["recipe"][key] for env, _ in environments})
        check(said[key + "es"]["distinct"] == mine, f"{key}es: {mine}")
    crossing = sum(t[2]["interactions"] > 0 and t[2]["mechanisms"] > 1 for t in tasks)
    check(said["crossing_tasks"] == crossing, f"crossing tasks: {crossing}")
    if len(prompts) <= said["sample"]["prompts"]:
        pairs = [p for text in prompts for w in [words_of(text)] for p in zip(w, w[1:])]
        mine = len(set(pairs)) / max(1, len(pairs))
        check(close(said["sample"]["distinct_2"], mine), f"distinct-2: {mine:.6f}")
    print(f"{len(environments)} environments, {len(tasks)} tasks: {len(held)} statements agree, {len(failures)} do not (networkx {networkx.__version__})")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
