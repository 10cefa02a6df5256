"""Bundles, bars, reports and the table of docs/gpu.md, each by itself."""
import array
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench/gpu"), str(pathlib.Path(__file__).resolve().parent)]

import agree
import bars
import bundle
import device
import document
import measurements
import phases
import programs
import report
import run
import sources
import suite
from programs import Refused


for name in [name for name in os.environ if name.startswith("GTEST_")]:  # of the run that this one is a part of
    del os.environ[name]


def folder_of(test):
    folder = tempfile.TemporaryDirectory()
    test.addCleanup(folder.cleanup)
    return pathlib.Path(folder.name)


def manifest_of(files):
    """files: {name: bytes}"""
    entries = {name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "mode": "644"} for name, content in files.items()}
    return {"format": bundle.FORMAT, "version": bundle.VERSION, "commit": "1a2b3c4", "date": "2026-01-02 03:04 UTC", "absent": {}, "ops": {}, "sources": {}, "files": entries}


def packed(path, members):
    """members: [(name, bytes or a TarInfo)]"""
    with tarfile.open(path, "w:xz") as tar:
        for name, content in members:
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if not isinstance(content, tarfile.TarInfo):
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return path


class Bundle(unittest.TestCase):
    def setUp(self):
        self.folder = folder_of(self)
        self.files = {"bin/program": b"\x7fELF" * 9, "bench/bars.json": b"{}"}
        self.manifest = json.dumps(manifest_of(self.files)).encode()

    def refused(self, members, said):
        target = self.folder / "to"
        with self.assertRaises(Refused) as caught:
            bundle.unpack(packed(self.folder / "b.tar.xz", members), target)
        self.assertIn(said, str(caught.exception))
        self.assertFalse((self.folder / "escaped").exists())

    def test_what_was_packed_comes_out(self):
        source, target = self.folder / "from", self.folder / "to"
        for name, content in self.files.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(content)
        (source / "manifest.json").write_bytes(self.manifest)
        target.mkdir()
        bundle.pack(source, self.folder / "b.tar.xz")
        self.assertEqual(bundle.unpack(self.folder / "b.tar.xz", target)["commit"], "1a2b3c4")
        self.assertEqual({name: (target / name).read_bytes() for name in self.files}, self.files)
        with self.assertRaises(Refused) as caught:
            bundle.pack(source, self.folder / "c.tar.xz", most_mib=0)
        self.assertIn("at most 0 MiB", str(caught.exception))
        self.assertFalse((self.folder / "c.tar.xz").exists())

    def test_what_is_not_as_the_manifest_says_is_refused(self):
        good = [("manifest.json", self.manifest), *self.files.items()]
        link = tarfile.TarInfo("bin/program")
        link.type, link.linkname = tarfile.SYMTYPE, "/bin/sh"
        self.refused(good[:2], "1 files are missing")
        self.refused(good[1:], "manifest.json does not come first")
        self.refused([*good, ("bin/more", b"x")], "'bin/more' is not as")
        self.refused([*good, good[1]], "'bin/program' is not as")
        self.refused([good[0], ("bin/program", b"\x7fELG" * 9), good[2]], "another sha256")
        self.refused([good[0], ("bin/program", b""), good[2]], "'bin/program' is not as")
        self.refused([good[0], ("bin/program", link), good[2]], "'bin/program' is not as")
        for name in ("../escaped", "/tmp/escaped", "a/../../escaped", "manifest.json", "a//b", "."):
            self.refused([("manifest.json", json.dumps(manifest_of({name: b"x"})).encode()), (name, b"x")], "is no name of a file")
        for key, value in (("version", 99), ("format", "x"), ("files", {}), ("files", {"a": {"bytes": 1}}), ("commit", 7), ("ops", [])):
            self.refused([("manifest.json", json.dumps({**manifest_of(self.files), key: value}).encode())], "manifest.json: ")
        self.refused([("manifest.json", b"[" * 5000)], "no JSON")

    def test_damaged_files_are_refused(self):
        path = packed(self.folder / "b.tar.xz", [("manifest.json", self.manifest), *self.files.items()])
        whole = path.read_bytes()
        for data in (b"", b"no archive", whole[:60], whole[:len(whole) // 2], whole[:40] + b"\0\1\2\3" + whole[44:]):
            path.write_bytes(data)
            target = self.folder / "to"
            with self.assertRaises(Refused):
                bundle.unpack(path, target)
        with self.assertRaises(Refused) as caught:
            bundle.unpack(self.folder / "none.tar.xz", self.folder)
        self.assertIn("./dev gpu --bundle", str(caught.exception))


class Bars(unittest.TestCase):
    DATA = {"devices": [{"names": ["G"], "bandwidth": 1e12, "bf16": 1e14, "fp8": 0, "source": "s"}], "ceilings": {"bandwidth": "c", "bf16": "d", "fp8": "e"}}

    def judged(self, bar, *found, name="G"):
        data = {**self.DATA, "bars": [{"id": "x", "source": "s", **bar}]}
        bars._check(data)
        return bars.judge(data, list(found), name)[0]

    def test_the_worst_of_what_fits_counts(self):
        found = [{"name": "a", "shape": {"b": i}, "seconds": seconds, "bytes": 5e11} for i, seconds in enumerate((1.0, 2.0))]
        bar = {"names": ["a"], "metric": "share_of_bandwidth"}
        self.assertEqual(self.judged({**bar, "at_least": 0.3}, *found)["verdict"], "FAIL")
        self.assertEqual(self.judged({**bar, "at_least": 0.25}, *found)["verdict"], "PASS")
        self.assertEqual(self.judged({**bar, "at_least": 0.3, "shape": {"b": 0}}, *found)["figure"], 0.5)
        self.assertEqual(self.judged({**bar, "at_least": 0.3, "bytes": 1e12, "shape": {"b": 0}}, *found)["figure"], 1.0)
        self.assertEqual(self.judged({"names": ["a"], "metric": "seconds", "at_most": 1.5}, *found)["verdict"], "FAIL")

    def test_what_was_not_measured_never_passes(self):
        a = {"name": "a", "shape": {}, "seconds": 1.0, "bytes": 0}
        for bar, found, said in (
            ({"names": ["a", "b"], "metric": "seconds", "at_most": 9}, [a], "no measurement b"),
            ({"names": ["a"], "metric": "share_of_bandwidth", "at_least": 0.1}, [a], "without bytes"),
            ({"names": ["a"], "metric": "share_of_fp8_peak", "at_least": 0.1}, [{**a, "flop": 1e13}], "no fp8"),
            ({"names": ["a"], "metric": "seconds", "at_most": 9}, [{"name": "a", "shape": {}, "skipped": "no memory"}], "skipped: no memory"),
            ({"names": ["a"], "metric": "seconds", "at_most": 9}, [a, {"name": "a", "shape": {}, "error": "lost"}], "error: lost"),
            ({"names": ["a"], "metric": "time_ratio", "over": {"name": "b"}, "at_most": 9}, [a], "no measurement b"),
            ({"names": ["a"], "metric": "value", "at_most": 9}, [a], "without value"),
        ):
            row = self.judged(bar, *found)
            self.assertEqual((row["verdict"], row["figure"]), ("NOT MEASURED", None))
            self.assertIn(said, row["why"])
        row = self.judged({"names": ["a"], "metric": "share_of_bandwidth", "at_least": 0.1}, {**a, "bytes": 1e12}, name="another")
        self.assertIn("no datasheet", row["why"])

    def test_the_bars_of_the_tree_are_well_formed_and_have_sources(self):
        data = bars.load(ROOT / "bench/bars.json")
        self.assertGreaterEqual(len(data["bars"]), 10)
        self.assertIsNotNone(bars.datasheet(data, "NVIDIA H200"))

    def test_other_files_are_refused(self):
        path = folder_of(self) / "bars.json"
        good = {**self.DATA, "bars": [{"id": "x", "names": ["a"], "metric": "seconds", "at_most": 1, "source": "s"}]}
        path.write_text(json.dumps(good))
        bars.load(path)
        for change in ({"at_least": 1}, {"source": ""}, {"metric": "x"}, {"metric": "time_ratio"}, {"names": []}, {"typo": 1}, {"at_most": 0}):
            path.write_text(json.dumps({**good, "bars": [{**good["bars"][0], **change}]}))
            with self.assertRaises(ValueError):
                bars.load(path)
        path.write_text(json.dumps({**good, "bars": good["bars"] * 2}))
        with self.assertRaises(ValueError):
            bars.load(path)


def told(**changes):
    """A report of a run in which all passed."""
    row = {"id": "x", "metric": "seconds", "wanted": "<= 1", "figure": 0.5, "verdict": "PASS", "why": "", "measurements": 1}
    done = [{"name": name, "title": title, "began": 0, "limit": limit, "state": "passed", "why": "", "seconds": 1, "facts": {}} for name, title, limit, _ in phases.PHASES]
    done[2]["facts"] = {"passed": [suite.DEVICE_FOUND, "Table/Gemm.A/x_cuda", "Table/Rope.A/x_cuda"], "failed": [{"name": "Table/Embed.A/x_cuda", "text": "t"}], "skipped": [], "not_run": []}
    return {"format": report.FORMAT, "version": report.VERSION, "date": "2026-01-02 03:04 UTC", "commit": "1a2b3c4", "seconds": 9, "seconds_allowed": 540,
            "verdict": "passed", "asked": [], "machine": {"cpu": "c"}, "device": {"name": "NVIDIA H200"},
            "bundle": {"date": "d", "ops": {"gemm.cu": "aaa", "rope.cu": "bbb"}, "sources": {}, "absent": {}, "programs": {}},
            "ceilings": {}, "phases": done, "measurements": [], "bars": [row], **changes}


class Report(unittest.TestCase):
    def test_a_good_one_is_kept_under_device_date_and_commit(self):
        folder = folder_of(self)
        report.write(folder / "report.json", told())
        self.assertEqual(report.keep(folder / "report.json", folder / "kept").name, "nvidia-h200-20260102-0304-1a2b3c4.json")
        with self.assertRaises(Refused):
            report.keep(folder / "report.json", folder / "kept")

    def test_others_are_refused(self):
        folder, path = folder_of(self), None
        failed = [{**one, "state": "failed", "why": "w"} for one in told()["phases"]]
        row = told()["bars"][0]
        for change in ({"format": "x"}, {"version": 2}, {"date": "yesterday"}, {"commit": "a/../b"}, {"device": {}}, {"machine": []}, {"more": 1}, {"phases": []},
                       {"phases": failed}, {"bars": []}, {"bars": [{**row, "verdict": "FAIL"}]}, {"bars": [{**row, "figure": None}]},
                       {"bars": [{**row, "verdict": "NOT MEASURED", "figure": None}]}, {"measurements": [{"name": "a", "seconds": 0}]}, {"measurements": [3]},
                       {"verdict": "failed"}, {"bundle": {}}, {"phases": [{**one, "facts": 3} for one in told()["phases"]]}):
            path = folder / "report.json"
            path.write_text(json.dumps(told(**change)))
            with self.assertRaises(Refused, msg=str(change)):
                report.read(path)
        for text in ("", "[]", "[" * 100000, '{"format": NaN'):
            path.write_text(text)
            with self.assertRaises(Refused):
                report.read(path)
        with self.assertRaises(Refused):
            report.read(folder / "none.json")

    def test_long_texts_are_cut_so_that_it_fits(self):
        path, long = folder_of(self) / "report.json", told()
        long["phases"][2]["facts"]["failed"] = [{"name": f"Table/Gemm.A/{i}_cuda", "text": "x" * 10000} for i in range(2000)]
        report.write(path, long)
        self.assertLess(path.stat().st_size, report.MOST_BYTES)
        self.assertEqual(len(report.read(path)["phases"][2]["facts"]["failed"]), 2000)


class Document(unittest.TestCase):
    def test_a_row_says_what_a_gpu_saw_of_these_very_sources(self):
        kept = [("r.json", told())]
        self.assertIn("1 cases passed: NVIDIA H200", document.state_of("gemm.cu", "Gemm", "aaa", kept))
        self.assertIn("these sources: never run; older ones (`aaa`)", document.state_of("gemm.cu", "Gemm", "ccc", kept))
        self.assertIn("**1 failed**", document.state_of("embed.cu", "Embed", "x", kept))
        self.assertEqual(document.state_of("sample.cu", "Sample", "x", kept), "never run")
        without = told()
        without["phases"][2]["facts"]["passed"].remove(suite.DEVICE_FOUND)
        self.assertEqual(document.state_of("gemm.cu", "Gemm", "aaa", [("r.json", without)]), "never run")
        self.assertEqual(document.state_of("gemm.cu", "Gemm", "aaa", []), "never run")
        self.assertEqual(document.state_of("fused.cu", "", "aaa", kept), "never run")

    def test_the_section_alone_is_replaced(self):
        text = f"before\n{document.BEGIN}\nold\n{document.END}\nafter\n"
        self.assertEqual(document.replaced(text, "new"), "before\nnew\nafter\n")
        with self.assertRaises(Refused):
            document.replaced("nothing", "new")

    def test_a_header_is_part_of_an_ops_sources(self):
        root = folder_of(self)
        (root / "kernels/cuda").mkdir(parents=True)
        (root / "kernels/cuda/gemm.cu").write_text('#include "kernels/cuda/a.cuh"\n#include <cuda.h>\n')
        (root / "kernels/cuda/a.cuh").write_text('#include "kernels/b.h"\n')
        (root / "kernels/b.h").write_text("int b;\n")
        self.assertEqual(sources.closure(root, "kernels/cuda/gemm.cu"), ["kernels/b.h", "kernels/cuda/a.cuh", "kernels/cuda/gemm.cu"])
        before = sources.hashes(root)
        (root / "kernels/b.h").write_text("int c;\n")
        self.assertNotEqual(sources.hashes(root), before)
        (root / "kernels/cuda/more.cu").write_text("")
        self.assertEqual(sources.missing_rows(root), ["more.cu"])


class Tree(unittest.TestCase):
    def test_the_table_of_the_docs_is_that_of_the_sources_and_reports(self):
        page = (ROOT / "docs/gpu.md").read_text(encoding="utf-8")
        self.assertTrue(document.replaced(page, document.section(ROOT)) == page, "docs/gpu.md is stale; run: python3 bench/gpu/document.py")


class Programs(unittest.TestCase):
    def run_it(self, text, limit=60, **more):
        log = programs.Log(None, programs.Deadline(60), io.StringIO())
        return programs.run([sys.executable, "-c", text], limit, log, "x", **more)

    def test_what_does_not_end_is_ended_with_all_that_it_started(self):
        done = self.run_it("import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(50)'])\nprint(1, flush=True)\ntime.sleep(50)", 6)
        self.assertEqual((done.ended, done.lines), ("time", ["1"]))
        self.assertLess(done.seconds, 40)
        self.assertEqual(self.run_it("import time; time.sleep(50)", quiet=0.3).ended, "quiet")
        self.assertIn("signal 40", programs.what_went_wrong(self.run_it("import signal, os; os.kill(os.getpid(), 40)")))

    def test_long_lines_and_bytes_that_are_no_text_do_no_harm(self):
        done = self.run_it("import sys; sys.stdout.buffer.write(b'x' * 200000 + b'\\n\\xff\\xfe\\n' + b'end')")
        self.assertEqual([len(line) for line in done.lines], [programs.MOST_LINE + len(" (line cut)"), 2, 3])
        self.assertEqual(done.lines[2], "end")

    def test_the_log_is_cut_and_says_so(self):
        path = folder_of(self) / "log.txt"
        log = programs.Log(path, programs.Deadline(60), io.StringIO(), most=1000)
        for _ in range(100):
            log("x", "some line")
        log.close()
        self.assertLess(path.stat().st_size, 1200)
        self.assertIn("cut", path.read_text().splitlines()[-1])

    def test_a_program_that_cannot_start_is_refused(self):
        with self.assertRaises(Refused):
            programs.run(["/nowhere/program"], 1, programs.Log(None, programs.Deadline(60), io.StringIO()), "x")


class Facts(unittest.TestCase):
    def test_phases_fit_into_nine_minutes(self):
        self.assertLessEqual(sum(limit for _, _, limit, _ in phases.PHASES) + run.FOR_THE_TABLE, run.SECONDS)
        self.assertLessEqual(run.SECONDS, 540)

    def test_names_of_devices_become_names_of_files(self):
        self.assertEqual(device.slug("NVIDIA H100 80GB HBM3"), "nvidia-h100-80gb-hbm3")
        self.assertEqual(device.slug("/../"), "device")

    def test_other_logits_are_found(self):
        one = (1, 3, array.array("f", [1.0, 5.0, 4.0]))
        self.assertEqual(agree.compare_logits(one, one), {"rows": 1, "clear": 1, "differ": 0, "largest": 0.0})
        self.assertEqual(agree.compare_logits(one, (1, 3, array.array("f", [1.0, 4.0, 5.0])))["differ"], 1)
        near = (1, 3, array.array("f", [1.0, 5.0, 4.95]))
        self.assertEqual(agree.compare_logits(near, (1, 3, array.array("f", [1.0, 4.95, 5.0])))["differ"], 0)
        with self.assertRaises(ValueError):
            agree.compare_logits(one, (3, 1, one[2]))
        self.assertEqual((agree.first_difference([1, 2], [1, 2]), agree.first_difference([1, 2], [1, 3]), agree.first_difference([1, 2], [1])), (None, 1, 1))

    def test_measurements_are_read_with_their_further_members(self):
        found, wrong = measurements.read(['{"name": "a/b", "seconds": 1, "p90": 2, "tier": "generic", "list": [1]}', "talk", '{"name": "r", "value": 1.1}'], "x")
        self.assertEqual((found[0]["p90"], found[0]["tier"], "list" in found[0], found[1]["value"], wrong), (2, "generic", False, 1.1, []))


@unittest.skipUnless(os.environ.get("SEEDBED_TEST_KERNELS"), "SEEDBED_TEST_KERNELS does not name the built suite")
class TheSuiteItself(unittest.TestCase):
    """What the fakes stand in for, held against the program: names, patterns, and the forms of its output."""

    @classmethod
    def setUpClass(cls):
        cls.program = os.environ["SEEDBED_TEST_KERNELS"]
        listing = subprocess.run([cls.program, "--gtest_list_tests"], capture_output=True, text=True, check=True).stdout.splitlines()
        cls.names = suite.names_in(listing)

    def as_on_a_device(self):
        """Names of the cases of some backend that is there, as if it were the device's."""
        ends = next((end for end in ("cuda", "simt", "scalar", "avx2") if any(name.endswith("/" + end) for name in self.names)), None)
        self.assertIsNotNone(ends)
        return [name[:-len(ends)] + "cuda" if name.endswith(("/" + ends, "_" + ends)) else name for name in self.names]

    def test_each_pattern_for_the_sanitizers_has_a_case(self):
        found, without = suite.small(self.as_on_a_device())
        self.assertEqual(without, [])
        self.assertTrue(20 <= len(found) <= 80, len(found))

    def test_the_first_suites_are_there(self):
        first, then = suite.chosen(self.as_on_a_device())
        self.assertEqual({suite.suite_of(name) for name in first}, set(suite.FIRST))
        self.assertGreater(len(then), 300)

    def test_each_op_has_suites_that_are_there(self):
        there = {suite.suite_of(name) for name in self.names}
        for ops, file, _, suites in sources.OPS:
            self.assertEqual(set(suites.split()) - there, set(), file)

    def test_console_and_report_are_read(self):
        folder = folder_of(self)
        names = ["CudaBackend.IsBuiltAndFindsItsDevice", "E4m3.AllCodesHaveTheirValue"]
        log = programs.Log(None, programs.Deadline(60), io.StringIO())
        cases = suite.run(self.program, names, 60, log, "x", folder)
        self.assertEqual([case.name for case in cases], names)
        self.assertIn(cases[0].state, ("passed", "skipped"))
        self.assertEqual(cases[1].state, "passed")
        self.assertEqual(names[0], suite.DEVICE_FOUND)
        self.assertEqual(len(suite.cases_of_json(next(folder.glob("*.json")).read_text())), 2)


if __name__ == "__main__":
    unittest.main()
