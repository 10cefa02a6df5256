"""The whole check with programs that stand in for a GPU's (fakes.py)."""
import io
import json
import os
import pathlib
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench/gpu"), str(pathlib.Path(__file__).resolve().parent)]

import bundle
import device
import fakes
import phases
import programs
import report
import run
import sources

SMI = "NVIDIA H200, 580.1, 143771, 3, 9.0, 345, 1980, 3201, 3201, 700.00, 31, Enabled"
BARS = {
    "devices": [{"names": ["NVIDIA H200"], "bandwidth": 4e12, "bf16": 1e15, "fp8": 2e15, "source": "a datasheet"}],
    "ceilings": {"bandwidth": "ceiling/copy", "bf16": "ceiling/bf16", "fp8": "ceiling/fp8"},
    "bars": [
        {"id": "half", "names": ["op/a"], "metric": "share_of_bandwidth", "at_least": 0.5, "source": "s"},
        {"id": "longer", "names": ["model_decode/long"], "metric": "time_ratio", "over": {"name": "model_decode/short"}, "at_most": 1.5, "source": "s"},
    ],
}


def measured(name, seconds, bytes_=0, flop=0):
    return json.dumps({"name": name, "shape": {"b": 1}, "seconds": seconds, "bytes": bytes_, "flop": flop, "repeats": 9})


class Machine:
    """A folder with a bundle's files and another with the machine's own programs; all of it passes."""

    def __init__(self, folder):
        self.tree, self.path, self.out = folder / "tree", folder / "path", folder / "out"
        self.kernels = fakes.program(self.tree / "bin/test_kernels", fakes.SUITE, {"cases": fakes.cases()})
        self.plan("bin/bench_gpu", {
            "lines": ['{"name": "device", "device": "NVIDIA H200", "arch": 90}', "talk", measured("op/a", 1e-3, 3e9)],
            "with": {"--ceilings": {"lines": [measured("ceiling/copy", 1e-3, 3.5e9), measured("ceiling/bf16", 1e-3, 0, 8e11)]}}})
        self.plan("bin/bench_gpu_model", {"lines": [measured("model_decode/long", 1.4e-3), measured("model_decode/short", 1e-3)]})
        fakes.program(self.tree / "bin/seedbed", fakes.SEEDBED)
        (self.tree / "data").mkdir()
        for name in ("tokenizer.json", "tasks.db"):
            (self.tree / "data" / name).write_text("{}")
        (self.tree / "bench").mkdir()
        (self.tree / "bench/bars.json").write_text(json.dumps(BARS))
        parity = self.tree / "tests/acceptance/model_parity.py"
        parity.parent.mkdir(parents=True)
        parity.write_text("import sys\nprint('dense 256')\nassert '--device' in sys.argv\n")
        fakes.program(self.path / "nvidia-smi", fakes.SAYS, {"lines": [SMI]})
        fakes.program(self.path / "compute-sanitizer", fakes.SANITIZER)
        (self.path / "python3").symlink_to(sys.executable)

    def plan(self, name, plan):
        fakes.program(self.tree / name, fakes.SAYS, plan)

    def plan_of(self, path, **plan):
        path.with_suffix(".plan").write_text(json.dumps(plan))

    def manifest(self):
        files = {str(path.relative_to(self.tree)): {"bytes": path.stat().st_size, "sha256": sources.sha256(path), "mode": "755" if os.access(path, os.X_OK) else "644"}
                 for path in sorted(self.tree.rglob("*")) if path.is_file()}
        files.pop("manifest.json", None)
        manifest = {"format": bundle.FORMAT, "version": bundle.VERSION, "commit": "1a2b3c4", "date": "2026-01-02 03:04 UTC", "absent": {},
                    "ops": {"gemm.cu": "0123456789ab"}, "sources": {}, "files": files}
        (self.tree / "manifest.json").write_text(json.dumps(manifest))

    def run(self, *words):
        """(exit code, console, report or None)"""
        self.manifest()
        console = io.StringIO()
        with mock.patch.dict(os.environ, {"PATH": str(self.path)}), mock.patch.object(device, "SMI_FOLDERS", ()), \
                mock.patch.object(phases, "SANITIZER_FOLDERS", ()), mock.patch.dict(os.environ, {"CUDA_HOME": "", "CUDA_PATH": ""}):
            code = run.main(["--unpacked", str(self.tree), "--out", str(self.out), *words], console)
        told = self.out / "report.json"
        return code, console.getvalue(), report.read(told) if told.is_file() else None


def phase(told, name):
    return next(one for one in told["phases"] if one["name"] == name)


class Check(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.machine = Machine(pathlib.Path(folder.name))

    def fails(self, name, *words, only=True):
        """The phase of a run in which that phase fails; the others do what they did."""
        code, console, told = self.machine.run(*(("--only", name) if only else ()), *words)
        self.assertEqual(code, 1, console)
        self.assertNotIn("Traceback", console)
        return phase(told, name), console, told

    def test_all_that_passes_passes(self):
        code, console, told = self.machine.run()
        self.assertEqual(code, 0, console)
        self.assertEqual([one["state"] for one in told["phases"]], ["passed"] * len(phases.PHASES), console)
        self.assertEqual([bar["verdict"] for bar in told["bars"]], ["PASS", "PASS"])
        self.assertAlmostEqual(told["bars"][0]["figure"], 3e9 / 1e-3 / 4e12)
        self.assertEqual(told["ceilings"], {"bandwidth": 3.5e12, "bf16": 8e14})
        self.assertEqual(told["device"]["name"], "NVIDIA H200")
        self.assertEqual(told["verdict"], "passed")
        self.assertIn("32.0 rollouts/s", console)
        self.assertTrue((self.machine.out / "log.txt").is_file())

    def test_first_come_the_cases_that_a_host_cannot_show_and_no_other_backend_is_run(self):
        _, _, told = self.machine.run("--only", "contract-first,contract")
        self.assertEqual(sorted(phase(told, "contract-first")["facts"]["passed"]), ["All/AlignedMla.Published/cuda", "All/GemmRows.AnyNumberOfRows/cuda"])
        ran = (self.machine.tree / "bin/ran.txt").read_text()
        self.assertNotIn("cpu_avx2", ran)
        self.assertNotIn("E4m3", ran)
        self.assertIn("Sample.Draws", phase(told, "contract")["facts"]["passed"])

    def test_no_gpu_is_exit_3_and_nothing_is_done(self):
        for plan in (None, {"code": 9, "errors": ["NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver"]}, {"lines": []}, {"lines": ["a, b"]}):
            smi = self.machine.path / "nvidia-smi"
            if plan is None:
                smi.rename(smi.with_name("not-there"))
            else:
                fakes.program(smi, fakes.SAYS, plan)
            code, console, told = self.machine.run()
            self.assertEqual((code, told), (3, None), console)
            self.assertIn("no GPU", console)
            self.assertEqual(len(console.splitlines()), 1)
            self.assertFalse(self.machine.out.exists())

    def test_a_failing_case_is_named_with_its_first_lines(self):
        self.machine.plan_of(self.machine.kernels, cases=fakes.cases(ragged_selected="fail"))
        one, console, _ = self.fails("contract")
        self.assertEqual([case["name"] for case in one["facts"]["failed"]], ["Table/DenseMha.Case/ragged_selected_cuda"])
        self.assertIn("element 3 is 1, wanted 2", one["facts"]["failed"][0]["text"])
        self.assertIn("element 3 is 1, wanted 2", console)

    def test_a_crash_costs_its_case_alone(self):
        self.machine.plan_of(self.machine.kernels, cases=fakes.cases(ragged_selected="crash"))
        one, _, _ = self.fails("contract")
        self.assertEqual(one["facts"]["counts"]["failed"], 1)
        self.assertEqual(one["facts"]["counts"]["not run"], 0)
        self.assertIn("SIGSEGV", one["facts"]["failed"][0]["text"])

    def test_a_fault_of_the_device_costs_its_case_alone(self):
        self.machine.plan_of(self.machine.kernels, cases=fakes.cases(ragged_selected="fault"))
        one, _, _ = self.fails("contract")
        self.assertEqual([case["name"] for case in one["facts"]["failed"]], ["Table/DenseMha.Case/ragged_selected_cuda"])

    def test_a_case_that_hangs_is_ended_and_named(self):
        self.machine.plan_of(self.machine.kernels, cases=fakes.cases(ragged_selected="hang"))
        with mock.patch.object(phases.suite.run, "__defaults__", (None, 4, (), 6)):
            one, _, _ = self.fails("contract")
        self.assertEqual([case["name"] for case in one["facts"]["failed"]], ["Table/DenseMha.Case/ragged_selected_cuda"])
        self.assertEqual(one["facts"]["counts"]["not run"], 0)

    def test_what_has_no_time_left_is_not_run_and_named(self):
        self.machine.plan_of(self.machine.kernels, cases=fakes.cases(ragged_selected="slow"), slow=60)
        self.machine.plan("bin/bench_gpu", {"sleep": 60})
        begin = time.monotonic()
        with mock.patch.multiple(run, SHORTEST=1, FOR_THE_TABLE=0.5, LEAST=0.5):
            code, console, told = self.machine.run("--seconds", "10")
        self.assertEqual(code, 1)
        self.assertLess(time.monotonic() - begin, 50)
        self.assertIn("not run (time)", phase(told, "contract")["why"])
        self.assertIn("Table/DenseMha.Case/ragged_selected_cuda", phase(told, "contract")["facts"]["not_run"])
        for name in ("memcheck", "kernels", "rollouts"):
            self.assertEqual((phase(told, name)["state"], phase(told, name)["why"]), ("not run", "not run (time)"))
        self.assertEqual({bar["verdict"] for bar in told["bars"]}, {"NOT MEASURED"})

    def test_a_suite_without_a_device_fails(self):
        self.machine.plan_of(self.machine.kernels, cases={**fakes.cases(), "CudaBackend.IsBuiltAndFindsItsDevice": "skip"})
        one, _, _ = self.fails("contract")
        self.assertIn("finds no device", one["why"])
        self.machine.plan_of(self.machine.kernels, cases={"All/GemmRows.AnyNumberOfRows/cpu_avx2": "pass"})
        self.assertIn("built without CUDA", self.fails("contract")[0]["why"])
        self.machine.plan_of(self.machine.kernels, cases={}, list_code=127)
        self.assertIn("exit code 127", self.fails("contract")[0]["why"])

    def test_a_malformed_report_of_gtest_changes_nothing_that_the_console_said(self):
        self.machine.plan_of(self.machine.kernels, cases=fakes.cases(), report='{"testsuites": 3')
        code, console, told = self.machine.run("--only", "contract")
        self.assertEqual((code, phase(told, "contract")["state"]), (0, "passed"), console)

    def test_findings_of_the_sanitizers_fail_and_their_absence_is_named(self):
        tool = self.machine.path / "compute-sanitizer"
        self.machine.plan_of(tool, racecheck=3)
        one, _, told = self.fails("racecheck", only=False)
        self.assertEqual((one["why"], one["facts"]["findings"]), ("3 findings", 3))
        self.assertEqual(phase(told, "memcheck")["state"], "passed")
        self.machine.plan_of(tool, bench={"/t1": 2})
        self.assertEqual(self.fails("memcheck")[0]["why"], "bench_gpu --only /t1: 2 findings")
        self.machine.plan_of(tool, silent=True)
        self.assertIn("no summary", self.fails("memcheck")[0]["why"])
        self.machine.plan_of(tool, refuse=True)
        one = self.fails("memcheck")[0]
        self.assertEqual(one["state"], "not run")
        self.assertIn("Device not supported", one["why"])
        tool.unlink()
        self.assertEqual(self.fails("memcheck")[0]["state"], "not run")

    def test_programs_that_are_not_in_the_bundle_are_named(self):
        (self.machine.tree / "bin/bench_gpu_model").unlink()
        one, _, told = self.fails("model", only=False)
        self.assertEqual(one["state"], "not run")
        self.assertIn("bench_gpu_model is not in the bundle", one["why"])
        self.assertEqual([bar["verdict"] for bar in told["bars"]], ["PASS", "NOT MEASURED"])

    def test_a_bar_that_is_missed_fails_the_whole(self):
        self.machine.plan("bin/bench_gpu", {"lines": [measured("op/a", 1e-3, 1e9)], "with": {"--ceilings": {"lines": [measured("ceiling/copy", 1e-3, 1e9)]}}})
        code, console, told = self.machine.run()
        self.assertEqual((code, told["bars"][0]["verdict"], told["verdict"]), (1, "FAIL", "failed"))
        self.assertEqual({one["state"] for one in told["phases"]}, {"passed"})

    def test_malformed_measurements_are_refused_by_line(self):
        for line, said in (('{"name": "op/a", "seconds": NaN}', "NaN"), ('{"name": "op/a", "seconds": -1}', "more than 0"), ('{"name": "op/a"', "no JSON"),
                           ('{"name": "op/a", "shape": {}}', "wanted one of"), ('{"name": 7, "seconds": 1}', "name is"), ("{" * 3000, "no JSON"),
                           ('{"name": "op/a", "seconds": 1, "bytes": -4}', "bytes is -4"), ('{"name": "op/a", "shape": "x", "seconds": 1}', "shape is")):
            self.machine.plan("bin/bench_gpu", {"lines": ["talk", line, measured("op/a", 1e-3, 3e9)]})
            one, console, _ = self.fails("kernels")
            self.assertIn("line 2 is no measurement", one["why"])
            self.assertIn(said, one["why"])

    def test_a_bench_that_fails_keeps_what_it_measured(self):
        self.machine.plan("bin/bench_gpu", {"lines": [measured("op/a", 1e-3, 3e9), '{"name": "op/b", "error": "CUDA error 700"}'], "code": 1})
        one, _, told = self.fails("kernels")
        self.assertIn("op/b: CUDA error 700", one["why"])
        self.assertEqual(told["bars"][0]["verdict"], "PASS")
        self.machine.plan("bin/bench_gpu", {"lines": ["talk"]})
        self.assertIn("no measurement", self.fails("kernels")[0]["why"])

    def test_other_tokens_or_leaders_on_the_device_fail(self):
        seedbed = self.machine.tree / "bin/seedbed"
        self.machine.plan_of(seedbed, swap={"300": 5})
        self.assertIn("differ from token 300 on", self.fails("agreement")[0]["why"])
        self.machine.plan_of(seedbed, logits={"3": 100.0})
        one = self.fails("agreement")[0]
        self.assertEqual(one["facts"]["forced_fp8"]["fp8_two"]["differ"], 1)
        self.machine.plan_of(seedbed, logits={"3": float("nan")})
        self.assertEqual(self.fails("agreement")[0]["facts"]["forced_fp8"]["fp8_layer"]["differ"], 1)
        self.machine.plan_of(seedbed, logits={"3": 3.01})
        self.assertEqual(self.machine.run("--only", "agreement")[0], 0)

    def test_transformers_absent_is_named_and_a_difference_fails(self):
        parity = self.machine.tree / "tests/acceptance/model_parity.py"
        parity.write_text("import sys\nprint('model_parity: No module named torch', file=sys.stderr)\nsys.exit(2)\n")
        one = self.fails("transformers")[0]
        self.assertEqual((one["state"], one["why"]), ("not run", "model_parity: No module named torch"))
        parity.write_text("import sys\nprint('1 models, over 1e-4 in dense')\nsys.exit(1)\n")
        self.assertEqual(self.fails("transformers")[0]["state"], "failed")

    def test_rollouts_take_the_strictest_isolation_that_the_machine_gives(self):
        seedbed = self.machine.tree / "bin/seedbed"
        self.machine.plan_of(seedbed, refuse=["strict"])
        code, _, told = self.machine.run("--only", "rollouts")
        self.assertEqual((code, phase(told, "rollouts")["facts"]["isolation"]), (0, "standard"))
        self.machine.plan_of(seedbed, run={"episodes": 9, "seconds": 1, "infra_errors": 2})
        self.assertIn("2 infrastructure errors", self.fails("rollouts")[0]["why"])
        self.machine.plan_of(seedbed, run=[1])
        self.assertIn("printed no object", self.fails("rollouts")[0]["why"])

    def test_a_fault_of_the_runner_ends_one_phase(self):
        with mock.patch.object(phases.agree, "generated", side_effect=ZeroDivisionError("x")):
            one, _, told = self.fails("agreement", only=False)
        self.assertIn("the runner failed: ZeroDivisionError", one["why"])
        self.assertEqual(phase(told, "rollouts")["state"], "passed")

    def test_stopped_by_hand_it_leaves_nothing_running(self):
        self.machine.plan_of(self.machine.kernels, cases=fakes.cases(ragged_selected="hang"))

        seen, join = [], threading.Thread.join

        def stop(thread, timeout=None):
            if timeout is not None:
                return join(thread, timeout)
            deadline = time.monotonic() + 30
            while not seen and time.monotonic() < deadline:
                seen.extend(programs._running)
                time.sleep(0.01)
            raise KeyboardInterrupt

        self.addCleanup(programs._stopped.clear)
        with mock.patch.object(threading.Thread, "join", stop):
            code, console, told = self.machine.run("--only", "contract")
        self.assertEqual((code, told), (130, None), console)
        self.assertTrue(seen)
        self.assertTrue(all(process.poll() is not None for process in seen))

    def test_what_is_no_folder_phase_or_time_is_refused(self):
        self.assertEqual(self.machine.run("--only", "everything")[0], 2)
        self.assertEqual(self.machine.run("--seconds", "1")[0], 2)
        (self.machine.tree / "bench/bars.json").write_text("[]")
        code, console, told = self.machine.run()
        self.assertEqual((code, told), (3, None))
        self.assertNotIn("Traceback", console)


if __name__ == "__main__":
    unittest.main()
