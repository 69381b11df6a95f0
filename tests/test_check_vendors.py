#!/usr/bin/python3
"""tools/check_vendors finds what it is for, in copies of the kernels. Exit status: 0, 1, 77 its compilers are missing."""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from vendors.targets import find_ptxas  # noqa: E402

CHECK = ROOT / "tools" / "check_vendors"
TABLE = ROOT / "docs" / "registers.md"
SPILL = """
__kernel void spills(__global float *x, int n)
{
    float a[400];
    _Pragma("unroll") for (int i = 0; i < 400; i++) a[i] = x[i * n + get_global_id(0)];
    for (int k = 0; k < n; k++)
        _Pragma("unroll") for (int i = 0; i < 399; i++) a[i] = fma(a[i], a[i + 1], a[(i + 7) % 400]);
    _Pragma("unroll") for (int i = 0; i < 400; i++) x[i * n + get_global_id(0)] = a[i];
}
"""


class CheckVendors(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.kernels = Path(self.directory.name) / "cl"
        shutil.copytree(ROOT / "cl", self.kernels)
        self.family = self.kernels / "roi_levels.cl"

    def run_check(self, target, *more):
        result = subprocess.run([CHECK, "--kernels", self.kernels, "--target", target, *more, "roi_levels"],
                                capture_output=True, text=True)
        if result.returncode == 77:
            self.skipTest(result.stdout)
        return result.returncode, result.stdout + result.stderr

    def expect(self, text, target="spirv", *more):
        status, output = self.run_check(target, *more)
        self.assertEqual(status, 1, output)
        self.assertRegex(output, text)

    def append(self, text):
        self.family.write_text(self.family.read_text() + text)

    def test_as_it_is(self):
        for target in "spirv", "gfx90a":
            status, output = self.run_check(target)
            self.assertEqual(status, 0, output)

    def test_spill(self):
        self.append(SPILL)
        for target in "gfx906", "sm_90", "acm-g10":
            with self.subTest(target=target):
                if target == "sm_90" and not find_ptxas():
                    continue  # PTX has no registers of its own
                self.expect("spills on .*: (\\d+ of spilled registers|private memory)", target)

    def test_double_literal(self):
        self.append("__kernel void wide(__global float *x) { x[0] = x[1] * 0.5; }\n")
        self.expect("double-promotion")
        self.expect("double", "gfx90a")

    def test_warning(self):
        self.append("__kernel void unused(__global float *x) { int number = 1; x[0] = 1; }\n")
        self.expect("unused variable 'number'")

    def test_missing_static(self):
        self.append("inline float half_of(float x) { return x / 2; }\n"
                    "__kernel void caller(__global float *x) { x[0] = half_of(x[1]); }\n")
        self.expect("Import Linkage")

    def test_growth(self):
        """A table of other numbers: registers grew, or the width fell."""
        table = Path(self.directory.name) / "registers.md"
        lines = []
        for line in TABLE.read_text().split("\n"):
            if line.startswith("| roi_count"):
                cells = line.split("|")
                line = "|".join(cells[:3] + [" 1/1 " if "/" in cell else " 64 " if cell.strip() in ("8", "16", "32") else cell
                                             for cell in cells[3:]])
            lines.append(line)
        table.write_text("\n".join(lines))
        status, output = self.run_check("gfx90a", "--table", table)
        if "not compared" in output and "grew" not in output:
            self.skipTest("the table has other compilers' numbers")
        self.assertEqual(status, 1, output)
        self.assertIn("roi_count on", output)
        self.assertIn("grew from", output)

    def test_unknown_family(self):
        (self.kernels / "newcomer.cl").write_text("__kernel void newcomer(void) {}\n")
        self.expect("newcomer.cl is a family that .* does not know")

    def test_unused_option(self):
        path = self.kernels / "transpose.cl"
        path.write_text(path.read_text().replace("WIDEN", "BROADEN"))
        self.expect("transpose.cl does not look at -DWIDEN")


if __name__ == "__main__":
    if subprocess.run([CHECK, "gemm"], capture_output=True).returncode == 77:
        print("no offline compiler is installed")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
