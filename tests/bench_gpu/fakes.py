"""Programs that stand in for those of a bundle and of the machine. Each reads what to do from a JSON file beside it."""
import json
import pathlib
import sys
import textwrap

SUITE = '''
import json, os, pathlib, signal, sys, time
plan = json.loads((pathlib.Path(__file__).parent / "test_kernels.plan").read_text())
names = list(plan["cases"])
if "--gtest_list_tests" in sys.argv:
    print("Running main() from somewhere")
    last = ""
    for name in names:
        suite, case = name.split(".", 1)
        if suite != last:
            print(suite + ".  # TypeParam = int")
        last = suite
        print("  " + case + "  # GetParam() = cuda")
    sys.exit(plan.get("list_code", 0))
wanted = os.environ["GTEST_FILTER"].split(":")
output = next((word.split("json:", 1)[1] for word in sys.argv if word.startswith("--gtest_output=")), None)
report, bad = {}, False
faulty = False
with open(pathlib.Path(__file__).parent / "ran.txt", "a") as ran:
    ran.write(" ".join(wanted) + "\\n")
for name in [one for one in names if one in wanted]:
    does = plan["cases"][name]
    print("[ RUN      ] " + name, flush=True)
    if does == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if does == "hang":
        time.sleep(100)
    if does == "slow":
        time.sleep(plan["slow"])
    failure = ""
    if faulty or does == "fault":
        faulty, failure = True, "C++ exception with description: device.cpp:3: CUDA error 700: an illegal memory access"
    elif does == "fail":
        failure = "mla_test.cpp:7: Failure\\nelement 3 is 1, wanted 2"
    suite, case = name.split(".", 1)
    entry = {"name": case, "status": "RUN", "result": "SKIPPED" if does == "skip" else "COMPLETED", "time": "0.01s", "classname": suite}
    if failure:
        entry["failures"] = [{"failure": failure, "type": ""}]
        bad = True
        print(failure)
        print("[  FAILED  ] " + name + ", where GetParam() = cuda (10 ms)")
    elif does == "skip":
        print("device_test.cpp:21: Skipped\\nno device: why not")
        print("[  SKIPPED ] " + name + " (0 ms)")
    else:
        print("[       OK ] " + name + " (10 ms)", flush=True)
    report.setdefault(suite, []).append(entry)
if output:
    text = json.dumps({"testsuites": [{"name": suite, "testsuite": cases} for suite, cases in report.items()]})
    pathlib.Path(output).write_text(plan.get("report", text))
if os.environ.get("FAKE_SANITIZER"):
    print(os.environ["FAKE_SANITIZER"])
sys.exit(1 if bad else 0)
'''

SAYS = '''
import json, pathlib, sys, time
plan = json.loads(pathlib.Path(__file__).with_suffix(".plan").read_text())
for word in sys.argv[1:]:
    plan = plan["with"].get(word, plan) if isinstance(plan.get("with"), dict) else plan
for line in plan.get("lines", []):
    print(line, flush=True)
for line in plan.get("errors", []):
    print(line, file=sys.stderr)
time.sleep(plan.get("sleep", 0))
sys.exit(plan.get("code", 0))
'''

SEEDBED = '''
import array, json, pathlib, sys
plan = json.loads(pathlib.Path(__file__).with_suffix(".plan").read_text())
words = sys.argv[1:]
flag = lambda name: words[words.index(name) + 1]
if words[:2] == ["engine", "make-model"]:
    folder = pathlib.Path(flag("--out"))
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"vocab_size": 8}))
elif words[:2] == ["engine", "generate"]:
    ids = list(range(int(flag("--max-tokens"))))
    if flag("--device") == "cuda":
        for at, value in plan.get("swap", {}).items():
            ids[int(at)] = value
    print(json.dumps({"text": "", "tokens": ids}))
elif words[:2] == ["engine", "logits"]:
    rows = len(pathlib.Path(flag("--tokens")).read_text().split())
    values = array.array("f", [float((r + c) % 8) for r in range(rows) for c in range(8)])
    if flag("--device") == "cuda":
        for at, value in plan.get("logits", {}).items():
            values[int(at)] = value
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 8), }" % rows
    header += " " * (-(len(header) + 11) % 64) + "\\n"
    pathlib.Path(flag("--out")).write_bytes(b"\\x93NUMPY\\x01\\x00" + len(header).to_bytes(2, "little") + header.encode() + values.tobytes())
elif words[0] == "run":
    if flag("--isolation") in plan.get("refuse", []):
        print("isolation: not here", file=sys.stderr)
        sys.exit(3)
    print(json.dumps(plan.get("run", {"episodes": 64, "seconds": 2.0, "infra_errors": 0})))
else:
    sys.exit(2)
'''

SANITIZER = '''
import json, os, pathlib, sys
plan = json.loads(pathlib.Path(__file__).with_suffix(".plan").read_text())
kind = sys.argv[sys.argv.index("--tool") + 1]
if plan.get("refuse"):
    print("========= Error: Device not supported. Please refer to the manual")
    sys.exit(1)
lines = {"memcheck": "========= ERROR SUMMARY: %d errors", "racecheck": "========= RACECHECK SUMMARY: %d hazards displayed (%d errors, 0 warnings)"}
found = plan.get(kind, 0)
os.environ["FAKE_SANITIZER"] = "" if plan.get("silent") else lines[kind] % ((found,) * lines[kind].count("%d"))
words = sys.argv[1:]
at = next(i for i, word in enumerate(words) if word.endswith(("test_kernels", "bench_gpu")))
if words[at].endswith("bench_gpu"):
    found = plan.get("bench", {}).get(words[at + 2], 0)
    print(lines[kind] % found)
    sys.exit(86 if found else 0)
if found:
    print("========= Invalid __global__ read of size 4 bytes")
code = os.spawnv(os.P_WAIT, words[at], words[at:])
sys.exit(86 if found else code)
'''


def program(path, text, plan=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable} -SE\n" + textwrap.dedent(text).lstrip())
    path.chmod(0o755)
    path.with_suffix(".plan").write_text(json.dumps(plan or {}))
    return path


def cases(**other):
    """The least suite that has a case for each pattern of the sanitizers, as plan; `other` by the case's last word."""
    names = ["CudaBackend.IsBuiltAndFindsItsDevice", "All/GemmRows.AnyNumberOfRows/cuda", "All/GemmRows.AnyNumberOfRows/cpu_avx2",
             "All/AlignedMla.Published/cuda", "Sample.Draws", "E4m3.AllCodes"]
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench/gpu"))
    import suite
    for pattern in suite.SMALL:
        name = pattern.replace(".*/", ".Case/").replace("/*", "/any").replace("*", "f8")
        names.append(name if name.endswith("cuda") else name + "_cuda")
    plan = {name: "pass" for name in names}
    for name, does in other.items():
        hit = [one for one in names if name in one]
        assert hit, name
        plan.update({one: does for one in hit})
    return plan
