"""What bench/gpu/resources.py reads and writes: no compiler is run."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench" / "gpu"))
import resources
from resources import Usage

PTXAS = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_ZN1a6kernelILi2EEEvi' for 'sm_80'
ptxas info    : Function properties for _ZN1a6kernelILi2EEEvi
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 4096 bytes smem, 380 bytes cmem[0]
ptxas info    : Function properties for _ZN1a6helperEv
    8 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads
ptxas info    : Compiling entry function '_ZN1a6kernelILi2EEEvi' for 'sm_90a'
ptxas info    : Function properties for _ZN1a6kernelILi2EEEvi
    16 bytes stack frame, 12 bytes spill stores, 20 bytes spill loads
ptxas info    : Used 255 registers, used 0 barriers, 16 bytes cumulative stack size
"""


class Resources(unittest.TestCase):
    def test_reads_what_ptxas_says_of_each_kernel_and_target(self):
        self.assertEqual(resources.parse(PTXAS), {
            ("_ZN1a6kernelILi2EEEvi", "sm_80"): Usage(40, 4096, 0, 0, 0),
            ("_ZN1a6kernelILi2EEEvi", "sm_90a"): Usage(255, 0, 16, 12, 20)})

    def test_names_are_short(self):
        space = "seedbed::kernels::cuda::(anonymous namespace)::"
        self.assertEqual(resources.short(f"void {space}f<({space}Kind)2, 1, true>({space}Product, int)"), "f<2, 1, true>")
        self.assertEqual(resources.short(f"{space}g(seedbed::kernels::Scales)"), "g")

    def test_the_table_names_spills_and_tells_when_it_is_stale(self):
        usage = {"gemm.cu": {("_Z15few_rows_kernelv", "sm_80"): Usage(255, 0, 8, 4, 12), ("_Z15few_rows_kernelv", "sm_90a"): Usage(128, 64, 0, 0, 0)},
                 "norm.cu": {("_Z4normv", "sm_80"): Usage(32, 0, 0, 0, 0)}}
        hashes = {"gemm.cu": "0123456789ab", "norm.cu": "ba9876543210"}
        text = resources.section(usage, hashes, "Compiled.")
        self.assertIn("- `few_rows_kernel` (gemm.cu) for sm_80: 4 bytes stored, 12 loaded", text)
        self.assertIn("| `few_rows_kernel` | 255, stack 8, **spills 4/12** | 128, 64 B |", text)
        self.assertIn("| `norm` | 32 | - |", text)
        document = resources.put("# GPU\n\nText.\n", text)
        self.assertEqual(resources.put(document, text), document)
        self.assertEqual(resources.stale(document, hashes), [])
        self.assertEqual(len(resources.stale(document, {**hashes, "norm.cu": "000000000000"})), 1)
        self.assertEqual(len(resources.stale(document, {**hashes, "new.cu": "000000000000"})), 1)
        self.assertEqual(len(resources.stale(document, {"gemm.cu": "0123456789ab"})), 1)
        self.assertEqual(len(resources.stale("# GPU\n", hashes)), 1)


if __name__ == "__main__":
    unittest.main()
