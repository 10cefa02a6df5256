"""The bundle: programs for a machine with a GPU, the libraries that they need, and what drives them, as one file.

    python3 bench/gpu/bundle.py --build build/gpu --out build/gpu-bundle.tar.xz     (./dev gpu --bundle builds first)

bin/ holds the programs, bin/lib/ their libraries (they look there first: the build's run path is $ORIGIN/lib), the rest lies as in
the tree. manifest.json comes first and names each file with its hash; what is unpacked is held against it.
"""
import argparse
import datetime
import io
import json
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import bars
import programs
import sources
from programs import Refused

FORMAT, VERSION = "seedbed-gpu-bundle", 1
MOST_MIB = 60
MOST_UNPACKED = 1 << 30
# Each program holds the same machine code for GPUs: a window over several of them keeps it once. With gzip it is twice the size.
PACKING = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 128 << 20}]
MOST_FILES = 2000
# program, where it lies in the build, whether the bundle is nothing without it
PROGRAMS = [
    ("test_kernels", "tests/test_kernels", True),
    ("bench_gpu", "bench/bench_gpu", False),
    ("bench_gpu_model", "bench/bench_gpu_model", False),
    ("seedbed", "seedbed", False),
    ("seedbed-program", "seedbed-program", False),
    ("seedbed-broker", "seedbed-broker", False),
    ("seedbed-sql-host", "seedbed-sql-host", False),
]
CARRIED = ("bench/gpu/*.py", "bench/bars.json", "bench/configs/nano.json", "tests/acceptance/model_parity.py", "tests/goldens/*.py",
           "tests/goldens/configs/*.json")
TEXTS = ("README.md", "*/*.md", "*/*.h", "*/*.cpp", "engine/*/*.cpp")  # enough for a vocabulary of nano's 8,192
# Of every Linux with glibc; the driver's own. All else is carried.
BASIC = re.compile(r"^(linux-vdso|ld-linux-x86-64|libc|libm|libpthread|libdl|librt|libresolv|libutil|libnsl|libstdc\+\+|libgcc_s|libcuda|libnvidia-.*)\.so")


def libraries_of(program):
    """{name: path} of the shared libraries that ldd finds, without the basic ones."""
    done = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    found = {}
    for line in done.stdout.splitlines():
        words = line.split()
        if "=>" not in words or BASIC.match(words[0]):
            continue
        if words[2] == "not":
            raise Refused(f"bundle: program '{program.name}': needs {words[0]}, which this machine lacks; install it and build again")
        found[words[0]] = words[2]
    return found


def stage_programs(build, folder):
    """What is not there: {name: why}."""
    absent, libraries = {}, {}
    (folder / "bin/lib").mkdir(parents=True)
    for name, below, needed in PROGRAMS:
        source = build / below
        if not source.is_file():
            if needed:
                raise Refused(f"bundle: program '{name}': {source} was not found; build it with: cmake --build --preset gpu --target {name}")
            absent[name] = "this build has no such program"
            continue
        target = folder / "bin" / name
        shutil.copyfile(source, target)
        target.chmod(0o755)
        subprocess.run(["strip", str(target)], check=True)
        libraries.update(libraries_of(source))
    for name, path in sorted(libraries.items()):
        shutil.copyfile(path, folder / "bin/lib" / name)
        (folder / "bin/lib" / name).chmod(0o755)
    return absent


def stage_tree(root, folder):
    for pattern in CARRIED:
        for path in sorted(root.glob(pattern)):
            target = folder / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    bars.load(folder / "bench/bars.json")


def check_names(folder):
    """Each bar is of a case that bench_gpu has; those of the model bench are its own."""
    program = folder / "bin/bench_gpu"
    if not program.is_file():
        return
    done = subprocess.run([str(program), "--list"], capture_output=True, text=True, check=False, timeout=60)
    there = set(done.stdout.split())
    data = bars.load(folder / "bench/bars.json")
    wanted = [name for bar in data["bars"] for name in bar["names"]] + list(data["ceilings"].values())
    unknown = [name for name in wanted if not name.startswith("model_") and name not in there]
    if done.returncode != 0 or unknown:
        raise Refused(f"bars 'bench/bars.json': {', '.join(unknown[:5]) or 'all names'} are no cases of bench_gpu; it has {len(there)} (bench_gpu --list); "
                      "name some of those")


def stage_data(root, folder, absent):
    """A small store to run a model through, and a tokenizer for it."""
    seedbed = folder / "bin/seedbed"
    if not seedbed.is_file():
        absent["data"] = "made by seedbed, which is not there"
        return
    (folder / "data").mkdir()
    texts = [str(path) for pattern in TEXTS for path in sorted(root.glob(pattern))]
    made = {
        "data/tokenizer.json": ["engine", "train-tokenizer", "--vocab", "8192", "--chat", "--out", folder / "data/tokenizer.json", *texts],
        "data/tasks.db": ["gen", "--envs", "4", "--tasks-per-env", "8", "--seed", "7", "--isolation", "standard", "--out", folder / "data/tasks.db"],
    }
    for what, command in made.items():
        done = subprocess.run([str(word) for word in [seedbed, *command]], capture_output=True, text=True, check=False, timeout=600)
        if done.returncode != 0 or not (folder / what).is_file():
            raise Refused(f"bundle: {what}: seedbed {command[0]} ended with {done.returncode}: {done.stderr.strip()[-300:]}; "
                          "run that command by itself")
    vocabulary = json.loads((folder / "data/tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    wanted = json.loads((root / "bench/configs/nano.json").read_text(encoding="utf-8"))["vocab_size"]
    if len(vocabulary) > wanted or len(vocabulary) < wanted - 64:  # special tokens stand beside it
        raise Refused(f"bundle: data/tokenizer.json: {len(vocabulary)} tokens, wanted nano's {wanted}; train it on more text (TEXTS in bench/gpu/bundle.py)")


def commit_of(root):
    done = subprocess.run(["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def stage(root, build, folder):
    """Fills an empty folder and returns the manifest, which lies in it too."""
    absent = stage_programs(build, folder)
    stage_tree(root, folder)
    check_names(folder)
    stage_data(root, folder, absent)
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            files[str(path.relative_to(folder))] = {
                "bytes": path.stat().st_size, "sha256": sources.sha256(path), "mode": "755" if os.access(path, os.X_OK) else "644"}
    manifest = {"format": FORMAT, "version": VERSION, "commit": commit_of(root),
                "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
                "absent": absent, "ops": sources.hashes(root), "sources": sources.all_sources(root), "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest


def pack(folder, out, most_mib=MOST_MIB):
    """Writes the file; returns its bytes. Raises Refused where it is too large, and leaves nothing then."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    part = out.with_name(out.name + ".part")
    out.parent.mkdir(parents=True, exist_ok=True)
    with open(part, "wb") as raw, lzma.LZMAFile(raw, "wb", filters=PACKING) as packed, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ["manifest.json", *manifest["files"]]:
            content = (folder / name).read_bytes()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), int(manifest["files"].get(name, {"mode": "644"})["mode"], 8)
            tar.addfile(member, io.BytesIO(content))
    size = part.stat().st_size
    if size > most_mib << 20:
        part.unlink()
        largest = sorted(manifest["files"], key=lambda name: -manifest["files"][name]["bytes"])[:4]
        raise Refused(f"bundle '{out}': {size / 2**20:.1f} MiB packed, at most {most_mib} MiB; the largest files are "
                      + ", ".join(f"{name} ({manifest['files'][name]['bytes'] / 2**20:.0f} MiB)" for name in largest)
                      + "; build for fewer devices (-DSEEDBED_CUDA_ARCHITECTURES=90a-real) or raise --most-mib")
    part.rename(out)
    return size


def checked_manifest(data, where):
    """The manifest out of its bytes. Raises Refused."""
    def no(found):
        return Refused(f"bundle '{where}': manifest.json: {found}; make the bundle anew with ./dev gpu --bundle")

    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError):
        raise no("no JSON") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise no(f"no {FORMAT}")
    if manifest.get("version") != VERSION:
        raise no(f"version {str(manifest.get('version'))[:20]}, this runner reads {VERSION}")
    files = manifest.get("files")
    if not isinstance(files, dict) or not 0 < len(files) <= MOST_FILES:
        raise no("files are missing or too many")
    for name, entry in files.items():
        parts = pathlib.PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\\" in name or name == "manifest.json" or str(pathlib.PurePosixPath(name)) != name:
            raise no(f"'{name[:80]}' is no name of a file below the folder")
        if not (isinstance(entry, dict) and isinstance(entry.get("sha256"), str) and re.fullmatch("[0-9a-f]{64}", entry["sha256"])
                and isinstance(entry.get("bytes"), int) and 0 <= entry["bytes"] <= MOST_UNPACKED and entry.get("mode") in ("644", "755")):
            raise no(f"the entry of '{name[:80]}' lacks sha256, bytes or mode")
    if sum(entry["bytes"] for entry in files.values()) > MOST_UNPACKED:
        raise no(f"files of more than {MOST_UNPACKED >> 20} MiB in all")
    for key in ("commit", "date"):
        if not isinstance(manifest.get(key), str) or not 0 < len(manifest[key]) <= 80:
            raise no(f"'{key}' is missing")
    for key in ("ops", "sources", "absent"):
        if not isinstance(manifest.get(key), dict) or not all(isinstance(value, str) for value in manifest[key].values()):
            raise no(f"'{key}' is missing")
    return manifest


def unpack(path, folder):
    """The manifest; each file was held against its hash. Raises Refused."""
    def no(found):
        return Refused(f"bundle '{path}': {found}; copy it again, or make it anew with ./dev gpu --bundle")

    try:
        with tarfile.open(path, "r:xz") as tar:
            first = tar.next()
            if first is None or first.name != "manifest.json" or not first.isreg() or first.size > 4 << 20:
                raise no("manifest.json does not come first")
            manifest = checked_manifest(tar.extractfile(first).read(), path)
            missing = dict(manifest["files"])
            while (member := tar.next()) is not None:
                entry = missing.pop(member.name, None)
                if entry is None or not member.isreg() or member.size != entry["bytes"]:
                    raise no(f"'{member.name[:80]}' is not as the manifest says: not named there, no plain file, or of another size")
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with open(target, "wb") as file:
                    shutil.copyfileobj(tar.extractfile(member), file, 1 << 20)
                if sources.sha256(target) != entry["sha256"]:
                    raise no(f"'{member.name}' has another sha256 than the manifest says")
                target.chmod(int(entry["mode"], 8))
    except FileNotFoundError:
        raise Refused(f"bundle '{path}': was not found; make it on a machine with nvcc: ./dev gpu --bundle") from None
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError) as error:
        raise no(f"unreadable ({str(error)[:120]})") from None
    if missing:
        raise no(f"{len(missing)} files are missing, '{next(iter(missing))}' among them")
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the bundle, or with --stage a folder for its files")
    parser.add_argument("--stage", action="store_true", help="a folder instead of a file")
    parser.add_argument("--most-mib", type=int, default=MOST_MIB)
    arguments = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    try:
        if arguments.stage:
            shutil.rmtree(arguments.out, ignore_errors=True)
            arguments.out.mkdir(parents=True)
            stage(root, arguments.build, arguments.out)
            return 0
        with tempfile.TemporaryDirectory(prefix="seedbed-gpu-") as folder:
            manifest = stage(root, arguments.build, pathlib.Path(folder))
            size = pack(pathlib.Path(folder), arguments.out, arguments.most_mib)
    except (Refused, ValueError) as error:
        print(error, file=sys.stderr)
        return 3
    if manifest["commit"].endswith("-dirty"):
        print("note: the tree has changes that are in no commit; a report of this bundle will say so", file=sys.stderr)
    for name, why in manifest["absent"].items():
        print(f"not in the bundle: {name}: {why}", file=sys.stderr)
    print(f"{arguments.out}: {size / 2**20:.1f} MiB, {len(manifest['files'])} files, commit {manifest['commit']}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
