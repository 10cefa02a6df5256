"""What the CUDA kernels take of a multiprocessor: the table of docs/gpu.md, made by compiling each .cu for every target.

    python3 bench/gpu/resources.py --build build/gpu       compiles (minutes, no cache, one at a time) and writes the table
    python3 bench/gpu/resources.py --check                 exit code 1 where a source is not the one that the table tells of

The build folder is a configured one with SEEDBED_CUDA: its compile_commands.json has nvcc's options. Dynamic shared memory is a
launch's choice and unknown to the compiler. Exit code 2: usage; 1: stale, or the compiler failed.
"""
import argparse
import collections
import datetime
import json
import os
import pathlib
import re
import resource
import shlex
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import sources

BEGIN, END = "<!-- resources:begin -->", "<!-- resources:end -->"
DOCUMENT = "docs/gpu.md"
# Kernels that a model's time goes into, as long as their operands are aligned; the others serve odd sizes, f32 and short rows.
HOT = re.compile(r"few_rows_kernel|tile_rows_kernel|few_groups_kernel|tile_groups_kernel|index_decode_kernel|index_prefill_kernel"
                 r"|topk_kernel|mla_\w*kernel|mla_combine")

Usage = collections.namedtuple("Usage", "registers shared stack spill_stores spill_loads")
_ENTRY = re.compile(r"Compiling entry function '([^']+)' for '([^']+)'")
_FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


def parse(text):
    """{(mangled name, target): Usage} from what ptxas says with -v."""
    found, entry, frame = {}, None, (0, 0, 0)
    for line in text.splitlines():
        if match := _ENTRY.search(line):
            entry, frame = match.groups(), (0, 0, 0)
        elif match := _FRAME.search(line):
            frame = tuple(int(x) for x in match.groups())
        elif entry and (match := _USED.search(line)):
            shared = _SHARED.search(line)
            found[entry] = Usage(int(match[1]), int(shared[1]) if shared else 0, *frame)
            entry = None
    return found


def short(demangled):
    """'seedbed::kernels::cuda::(anonymous namespace)::f<(Kind)0, 1>(A, B)' -> 'f<0, 1>'"""
    name = re.sub(r"\((?:\w+::)*(?:\(anonymous namespace\)::)?\w+\)(?=-?\d|true|false)", "", demangled)  # casts of template arguments
    name = name.replace("(anonymous namespace)::", "").removeprefix("void ")
    depth = 0
    for i, c in enumerate(name):
        depth += (c == "<") - (c == ">")
        if c == "(" and depth == 0:
            name = name[:i]
            break
    return re.sub(r"\b(?:\w+::)+", "", name)


def demangle(names):
    names = sorted(names)
    done = subprocess.run(["c++filt"], input="\n".join(names) + "\n", capture_output=True, text=True, check=True)
    return dict(zip(names, done.stdout.splitlines()))


def compile_commands(root, build):
    """{file name: (folder, words)} for the .cu of the kernels, without a cache in front and writing nothing."""
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        path = (pathlib.Path(entry["directory"]) / entry["file"]).resolve()
        if path.suffix != ".cu" or path.parent != (root / sources.FOLDER).resolve():
            continue
        words = shlex.split(entry["command"])
        if "nvcc" not in pathlib.Path(words[0]).name:
            words = words[1:]
        if "nvcc" not in pathlib.Path(words[0]).name:
            continue  # the build for the host
        words[words.index("-o") + 1] = os.devnull
        words = [word for i, word in enumerate(words) if word != "-MD" and word not in ("-MF", "-MT") and words[i - 1] not in ("-MF", "-MT")]
        found[path.name] = (entry["directory"], words + ["--resource-usage"])
    return found


def compile_all(commands):
    """({file: {(name, target): Usage}}, wall seconds, processor seconds). Raises RuntimeError."""
    usage, begin, before = {}, time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    for file, (folder, words) in sorted(commands.items()):
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{file}: nvcc ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
        usage[file] = parse(done.stdout + done.stderr)
        print(f"{file}: {len(usage[file])} kernels x targets, {time.monotonic() - begin:.0f} s so far", file=sys.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage, time.monotonic() - begin, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cell(usage):
    if usage is None:
        return "-"
    text = f"{usage.registers}"
    text += f", {usage.shared} B" if usage.shared else ""
    text += f", stack {usage.stack}" if usage.stack else ""
    return text + (f", **spills {usage.spill_stores}/{usage.spill_loads}**" if usage.spill_stores or usage.spill_loads else "")


def section(usage, hashes, circumstances):
    names = demangle({name for kernels in usage.values() for name, _ in kernels})
    targets = sorted({target for kernels in usage.values() for _, target in kernels})
    spilling = sorted({(short(names[name]), target, file, one.spill_stores, one.spill_loads)
                       for file, kernels in usage.items() for (name, target), one in kernels.items() if one.spill_stores or one.spill_loads})
    hot = [row for row in spilling if HOT.search(row[0])]
    lines = [circumstances, "", "Hot kernels that spill: " + ("none." if not hot else "")]
    lines += [f"- `{name}` ({file}) for {target}: {stores} bytes stored, {loads} loaded" for name, target, file, stores, loads in hot]
    other = [row for row in spilling if row not in hot]
    if other:
        lines += ["", "Others that spill: " + ", ".join(f"`{name}` ({target}, {stores}/{loads} bytes)" for name, target, _, stores, loads in other) + "."]
    lines += ["", "A cell: registers, static shared memory, stack frame and spills (stored/loaded) in bytes, where there are any.", "",
              "| kernel | " + " | ".join(targets) + " |", "|---|" + "---|" * len(targets)]
    for file in sorted(usage):
        lines.append(f"| **{file}** sources {hashes[file]} |" + " |" * len(targets))
        for name in sorted({name for name, _ in usage[file]}, key=lambda one: short(names[one])):
            cells = [cell(usage[file].get((name, target))) for target in targets]
            lines.append(f"| `{short(names[name])}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def put(document, text):
    """The document with the text between the markers; they are added at its end where they are missing."""
    if BEGIN not in document:
        document = document.rstrip("\n") + f"\n\n## Resources of the kernels\n{BEGIN}\n{END}\n"
    before, rest = document.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    return before + BEGIN + "\n" + text + END + after


def stale(document, hashes):
    """What is wrong with the table, one line each."""
    if BEGIN not in document or END not in document:
        return [f"{DOCUMENT} has no table of resources"]
    told = dict(re.findall(r"^\| \*\*([\w.]+)\*\* sources ([0-9a-f]+) \|", document.split(BEGIN, 1)[1].split(END, 1)[0], re.MULTILINE))
    wrong = [f"{file}: the table tells of sources {told[file]}, they are {now}" for file, now in hashes.items() if file in told and told[file] != now]
    wrong += [f"{file}: not in the table" for file in hashes if file not in told]
    return wrong + [f"{file}: in the table, but not in the tree" for file in told if file not in hashes]


def hashes_of(root):
    return {path.name: sources.hash_of(root, path.name) for path in sorted((root / sources.FOLDER).glob("*.cu"))}


def nvcc_version(words):
    done = subprocess.run([words[0], "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"release [\d.]+, V([\d.]+)", done.stdout)
    return match[1] if match else "of unknown version"


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    args = parser.parse_args(arguments)
    if args.check == (args.build is not None):
        parser.error("one of --build DIR and --check")
    path, hashes = args.root / DOCUMENT, hashes_of(args.root)
    if args.check:
        wrong = stale(path.read_text(encoding="utf-8"), hashes)
        for line in wrong:
            print(line)
        if wrong:
            print("write it anew: python3 bench/gpu/resources.py --build build/gpu, with nvcc")
        return 1 if wrong else 0
    commands = compile_commands(args.root, args.build)
    if set(commands) != set(hashes):
        print(f"{args.build}: compiles {sorted(commands)}, the tree has {sorted(hashes)}; configure it anew with SEEDBED_CUDA", file=sys.stderr)
        return 1
    load = os.getloadavg()[0]
    try:
        usage, wall, processor = compile_all(commands)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    if hashes_of(args.root) != hashes:
        print("a source changed meanwhile; nothing was written", file=sys.stderr)
        return 1
    words = next(iter(commands.values()))[1]
    circumstances = (f"Compiled with nvcc {nvcc_version(words)} on {datetime.date.today()}: {len(usage)} files for all targets, no cache, one at a time: "
                     f"{wall:.0f} s, of which {processor:.0f} s of a processor ({os.cpu_count()} cores; load before the start {load:.1f}).")
    path.write_text(put(path.read_text(encoding="utf-8"), section(usage, hashes, circumstances)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
