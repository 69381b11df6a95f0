#!/usr/bin/python3
"""tools/gpu-report on tiny problems: test_gpu_report.py BUILD-FOLDER. What it says of a device that works, and of one whose
kernels do not compile. Exit status: 0, 1 a test failed, 77 no device."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) == 2 else ROOT / "build").resolve()
PROGRAM = ROOT / "tools" / "gpu-report"
TESTS = "^roi_statistics_arguments[.]"  # takes no time
SECTIONS = ["build", "device", "self-test", "tests", "benchmark, batch 1", "torchvision, batch 1"]


class GpuReport(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_it(self, *words, **environment):
        command = [str(PROGRAM), "--build", str(BUILD), "--no-build", "--quick", "--output", str(self.folder / "out"),
                   "--problem", "conv2d:in=8x9x10,out=6,kernel=3,pad=1", "--torchvision-device", "none", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})

    def read(self):
        """The sections by name, and the Markdown."""
        found = json.loads((self.folder / "out" / "report.json").read_text(encoding="utf-8"))
        self.assertEqual(found["schema"], "cldeform-gpu-report-1")
        self.assertEqual([section["name"] for section in found["sections"]], SECTIONS)
        markdown = (self.folder / "out" / "report.md").read_text(encoding="utf-8")
        for section in found["sections"]:
            self.assertIn(f"| {section['name']} | {section['status']} | {section['summary']} |", markdown)
        return {section["name"]: section for section in found["sections"]}, markdown

    def test_a_device_that_works(self):
        done = self.run_it("--device", "0:0", "--tests", TESTS)
        self.assertEqual(done.returncode, 0, done.stderr)
        sections, markdown = self.read()
        self.assertEqual([sections[name]["status"] for name in SECTIONS],
                         ["skipped", "ok", "ok", "ok", "ok", "skipped"])
        self.assertIn("(0:0)", sections["device"]["summary"])
        self.assertIn(" 0 failed on 0:0 ", sections["self-test"]["summary"])
        tests = sections["tests"]["data"]
        self.assertEqual([program["name"] for program in tests["programs"]], ["roi_statistics_arguments.chosen"])
        self.assertTrue(tests["passed"] > 0 and tests["failed"] == 0, tests)
        rows = sections["benchmark, batch 1"]["data"]["results"]
        self.assertEqual([row["pass"] for row in rows], ["forward", "backward"])
        self.assertIn("\n## benchmark, batch 1\n", markdown)
        self.assertIn("| conv2d:in=8x9x10,out=6,kernel=3,pad=1 | backward | ", markdown)

    def test_what_fails_is_a_line(self):
        (self.folder / "tuning").write_text('"*" gemm_clblast=0\n', encoding="utf-8")
        done = self.run_it("--tests", "^there is none$", CLDEFORM_KERNEL_DIR=str(self.folder),
                           CLDEFORM_TUNING_FILE=str(self.folder / "tuning"))
        self.assertEqual(done.returncode, 1, done.stderr)
        sections, markdown = self.read()
        self.assertEqual([sections[name]["status"] for name in SECTIONS],
                         ["skipped", "ok", "failed", "failed", "failed", "skipped"])
        self.assertNotIn(" 0 failed", sections["self-test"]["summary"])
        self.assertIn("FAIL conv2d v1 fp32 nchw", markdown)

    def test_tests_run_on_the_device_that_is_named(self):
        command = ["ctest", "--test-dir", str(BUILD), "-C", "chosen", "-R", TESTS + "chosen", "--output-on-failure"]
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              env={**os.environ, "CLDEFORM_TEST_DEVICE": "0:63"})
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('CLDEFORM_TEST_DEVICE is "0:63", which is no platform:device by index', done.stdout)

    def test_wrong_options(self):
        for words, text in ((["--device", "no such"], '--device is "no such", which does not fit one device'),
                            (["--batch", "3"], "unrecognized arguments: --batch 3")):
            done = self.run_it(*words)
            self.assertEqual(done.returncode, 2)
            self.assertIn(text, done.stderr)
            self.assertFalse((self.folder / "out" / "report.json").exists())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
