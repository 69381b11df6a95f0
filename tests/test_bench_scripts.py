#!/usr/bin/python3
"""The Python scripts of bench/: problems and data, the float64 reference, taking turns, result files, and pictures.

Nothing is measured: the programs that take turns here are fakes. Exit status: 0, 1 a test failed, 77 no NumPy."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = ROOT / "bench" / "peers"
sys.path[:0] = [str(PEERS), str(ROOT / "bench")]
sys.dont_write_bytecode = True

try:
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

import common  # noqa: E402
import problems  # noqa: E402
import reference  # noqa: E402
import report  # noqa: E402
import run  # noqa: E402

SMALL = "conv2d:in=4x6x5,out=6,kernel=3,pad=1"
OTHER = "conv2d:in=4x6x5,out=6,kernel=3,stride=2"
ROI = "roi-pool:in=3x40x30,rois=5,output-size=3x2,spatial-scale=0.0625,offset=0"


class Problems(unittest.TestCase):
    def test_conv2d(self):
        p = problems.read_problem("conv2d:batch=2,in=128x100x168,out=64,kernel=3x5,stride=2x1,pad=1x0x2x3,dilation=1x2,"
                                  "groups=4,offset-groups=2,kind=modulated,dtype=fp64,offset-dtype=fp32,layout=nhwc")
        self.assertEqual((p.operation, p.batch, p.channels, p.in_h, p.in_w, p.out), ("conv2d", 2, 128, 100, 168, 64))
        self.assertEqual((p.kernel, p.stride, p.pad, p.dilation), ((3, 5), (2, 1), (1, 0, 2, 3), (1, 2)))
        self.assertEqual((p.groups, p.offset_groups, p.kind, p.dtype, p.offset_dtype, p.layout),
                         (4, 2, "modulated", "fp64", "fp32", "nhwc"))
        self.assertEqual((p.taps, p.out_h, p.out_w), (15, 51, 163))

    def test_defaults(self):
        p = problems.read_problem(SMALL)
        self.assertEqual((p.batch, p.kernel, p.stride, p.pad, p.dilation), (1, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1)))
        self.assertEqual((p.groups, p.offset_groups, p.kind, p.dtype, p.offset_dtype, p.layout),
                         (1, 1, "deformable", "fp32", "fp32", "nchw"))
        self.assertEqual(problems.read_problem("conv2d:in=4x6x5,out=6,kernel=1,pad=1x2").pad, (1, 2, 1, 2))
        self.assertEqual(problems.read_problem(ROI).mode, "align")
        self.assertEqual(problems.read_problem(ROI.replace("offset=0", "mode=max")).offset, "0")
        p = problems.read_problem("psroi-pool:in=18x9x9,rois=2,output-dim=2,output-size=3,spatial-scale=0.5")
        self.assertEqual((p.mode, p.offset, p.sample_per_part, p.trans_std), ("deformable", "1", (4, 4), 0.1))

    def test_refused(self):
        for text, part in (("conv3d:in=1x1x1", "begins with none of: conv2d:, roi-pool:, psroi-pool:"),
                           ("conv2d", "begins with none of"),
                           ("conv2d:in=4x6x5,kernel=3", "out is missing"),
                           (SMALL + ",rois=3", 'has no "rois=3", expected FIELD=VALUE with a field of: dtype,'),
                           (SMALL + ",pad=2", "pad is given twice"),
                           (SMALL + ",stride=0", 'stride is "0", expected 1 or 2 whole numbers from 1 on'),
                           (SMALL + ",stride=1x1x1", 'stride is "1x1x1"'),
                           (SMALL + ",dilation=-1", 'dilation is "-1"'),
                           (SMALL + ",groups=3", "groups is 3, expected a divisor"),
                           (SMALL + ",kind=odd", 'kind is "odd", expected one of: deformable, modulated, plain'),
                           (SMALL + ",", 'has no ""'),
                           ("conv2d:in=4x2x5,out=6,kernel=3", "the output has no pixel"),
                           (ROI.replace("0.0625", "-1"), 'spatial-scale is "-1", expected a number')):
            with self.subTest(text), self.assertRaises(problems.ProblemError) as caught:
                problems.read_problem(text)
            self.assertIn(part, str(caught.exception))

    def test_layers_are_read(self):
        path = ROOT / "bench" / "layers.txt"
        if not path.exists():
            self.skipTest("no list of layers")
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        self.assertGreater(len(lines), 10)
        for line in lines:
            problems.read_problem(line[2])

    def test_gflop(self):
        p = problems.read_problem("conv2d:batch=3,in=8x6x5,out=6,kernel=3x2,pad=1x0,groups=2")
        self.assertAlmostEqual(problems.gflop(p, "forward"), 2e-9 * 3 * 6 * 6 * 4 * 4 * 6)
        self.assertAlmostEqual(problems.gflop(p, "backward"), 2 * problems.gflop(p, "forward"))
        self.assertIsNone(problems.gflop(problems.read_problem(ROI), "forward"))


class Data(unittest.TestCase):
    def test_shapes_and_types(self):
        data = problems.draw(problems.read_problem(
            "conv2d:batch=2,in=6x7x9,out=4,kernel=3x2,groups=2,offset-groups=3,kind=modulated,dtype=fp64,"
            "offset-dtype=fp32,layout=nhwc"))
        self.assertEqual({name: value.shape for name, value in data.items()},
                         {"input": (2, 6, 7, 9), "weight": (4, 3, 3, 2), "offset": (2, 36, 5, 8), "mask": (2, 18, 5, 8),
                          "grad_output": (2, 4, 5, 8)})
        self.assertEqual([str(data[name].dtype) for name in ("input", "weight", "offset", "mask", "grad_output")],
                         ["float64", "float64", "float32", "float32", "float64"])
        self.assertNotIn("offset", problems.draw(problems.read_problem(SMALL + ",kind=plain")))

    def test_distributions(self):
        p = problems.read_problem("conv2d:in=64x30x30,out=64,kernel=3,pad=1,kind=modulated")
        data = problems.draw(p)
        self.assertAlmostEqual(float(data["offset"].std()), 1, 1)
        self.assertAlmostEqual(float(data["weight"].std()) * np.sqrt(64 * 9), 1, 1)
        self.assertTrue(0 <= data["mask"].min() < 0.1 and 0.9 < data["mask"].max() <= 1)
        self.assertFalse(problems.draw(p, "zero")["offset"].any())
        spread = problems.draw(p, "uniform")["offset"]
        self.assertTrue(-8 <= spread.min() < -7.9 and 7.9 < spread.max() <= 8)
        again = problems.draw(p)
        self.assertTrue(all((again[name] == value).all() for name, value in data.items()))

    def test_rois_lie_inside(self):
        p = problems.read_problem("roi-pool:batch=3,in=4x200x336,rois=400,output-size=7,spatial-scale=0.25")
        rois = problems.draw(p)["rois"]
        side = rois[:, 3:] - rois[:, 1:3]
        self.assertEqual(set(rois[:, 0]), {0, 1, 2})
        self.assertTrue((rois[:, 1:] >= 0).all() and (rois[:, 3] <= 1344).all() and (rois[:, 4] <= 800).all())
        self.assertTrue(27.9 <= side.min() < 60 and 400 < side.max() <= 448.1)


class Reference(unittest.TestCase):
    def test_whole_offsets_shift(self):
        p = problems.read_problem("conv2d:in=2x6x7,out=2,kernel=1,kind=modulated")
        data = problems.draw(p)
        data["offset"][:] = np.array([1, -2]).reshape(1, 2, 1, 1)
        data["mask"][:] = 0.5
        data["weight"] = np.eye(2).reshape(2, 2, 1, 1)
        expected = np.zeros((1, 2, 6, 7))
        expected[:, :, :-1, 2:] = 0.5 * data["input"][:, :, 1:, :-2]
        np.testing.assert_allclose(reference.conv2d(p, data), expected)

    def test_groups_taps_and_pads(self):
        """Offsets of 0 are the ordinary convolution, summed here term by term."""
        p = problems.read_problem("conv2d:in=4x5x6,out=2,kernel=2x3,stride=2x1,pad=1x2x0x1,dilation=1x2,groups=2,"
                                  "offset-groups=2")
        data = problems.draw(p, "zero")
        padded = np.pad(data["input"], ((0, 0), (0, 0), (1, 0), (2, 1)))
        output = np.zeros((1, 2, p.out_h, p.out_w))
        for o, c, i, j in np.ndindex(2, 2, 2, 3):
            part = padded[0, 2 * o + c, i:i + 2 * p.out_h - 1:2, 2 * j:2 * j + p.out_w]
            output[0, o] += data["weight"][o, c, i, j] * part
        np.testing.assert_allclose(reference.conv2d(p, data), output, atol=1e-6)

    def test_roi_align_of_a_plane(self):
        """Averages of a plane are its value in the middle of the bin."""
        p = problems.read_problem("roi-pool:in=1x40x50,rois=1,output-size=2x3,spatial-scale=0.5,offset=0")
        y, x = np.mgrid[0:40, 0:50]
        data = {"input": (3.0 * y + x)[None, None], "rois": np.array([[0, 10.0, 20.0, 46.0, 52.0]])}
        rows, columns = 10 - 0.5 + 8 * (np.arange(2) + 0.5), 5 - 0.5 + 6 * (np.arange(3) + 0.5)
        np.testing.assert_allclose(reference.roi_align(p, data)[0, 0], 3 * rows[:, None] + columns)

    def test_checks_find_errors(self):
        reference.check("x", [1.0, 2.0], np.array([1.0, 2.00001]))
        for found in ([1.0, 2.1], [1.0, float("nan")]):
            with self.assertRaises(ArithmeticError):
                reference.check("x", found, np.array([1.0, 2.0]))
        p = problems.read_problem(SMALL + ",dtype=fp64")
        data = problems.draw(p)
        right = np.zeros(data["weight"].shape)
        for index in np.ndindex(*right.shape):  # linear in the weight: the gradient is the output of one weight of 1
            one = np.zeros(right.shape)
            one[index] = 1
            right[index] = (reference.conv2d(p, {**data, "weight": one}) * data["grad_output"]).sum()
        forward = lambda values: reference.conv2d(p, values)  # noqa: E731
        reference.check_gradients("x", forward, data, {"weight": right}, data["grad_output"])
        with self.assertRaises(ArithmeticError):
            reference.check_gradients("x", forward, data, {"weight": 1.01 * right}, data["grad_output"])


class WithFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.cases = self.folder / "cases.txt"
        self.cases.write_text(f"# comment\nsmall/a {SMALL}\n\nsmall/b {OTHER} # more\n", encoding="utf-8")
        self.json = self.folder / "result.json"

    def fake(self, *words, said="", **environment):
        """Runs the fake peer on the cases; its exit status, and what it printed."""
        command = [sys.executable, str(ROOT / "tests" / "fake_peer.py"), "--cases", str(self.cases), *words]
        return subprocess.run(command, input=said, capture_output=True, text=True, check=False,
                              env={**os.environ, "FAKE_PEERS": str(PEERS), **environment})

    def read(self):
        return json.loads(self.json.read_text(encoding="utf-8"))


class Turns(WithFolder):
    WORDS = ("--turns", "--json")

    def test_go_and_next(self):
        done = self.fake("--turns", "--json", str(self.json), "--threads", "3", said="go\ngo\nnext\ngo\nnext\n" +
                         "go\nnext\n" * 2)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.assertEqual([line for line in lines if line.startswith("ready")],
                         [f"ready small/{case} {way} nothing" for case in "ab" for way in ("forward", "backward")])
        self.assertEqual(len(lines), 4 + 5)
        result = self.read()
        self.assertEqual((result["schema"], result["metadata"]["program"], result["metadata"]["version"],
                          result["metadata"]["threads"]), ("cldeform-bench-1", "fake", "1.5", 3))
        rows = result["results"]
        self.assertEqual([(row["case"], row["problem"], row["pass"], row["samples"], row["status"]) for row in rows],
                         [("small/a", SMALL, "forward", 2, "ok"), ("small/a", SMALL, "backward", 1, "ok"),
                          ("small/b", OTHER, "forward", 1, "ok"), ("small/b", OTHER, "backward", 1, "ok")])
        self.assertEqual([float(line) for line in lines[1:3]], [round(time, 6) for time in rows[0]["times_ms"]])
        self.assertEqual((rows[0]["threads"], rows[0]["dtype"], rows[0]["layout"], rows[0]["algorithm"]),
                         (3, "fp32", "nchw", "nothing"))

    def test_rows_that_fail_or_are_left_out(self):
        done = self.fake("--turns", "--json", str(self.json), "--pass", "forward", FAKE_FAILS=SMALL, said="go\nnext\n")
        self.assertEqual(done.returncode, 0)
        self.assertTrue(done.stdout.startswith("ready small/b forward"))
        row = self.read()["results"][0]
        self.assertEqual((row["status"], row["error"], row["median_ms"], row["samples"], row["times_ms"]),
                         ("fail", "RuntimeError: cannot do this", None, 0, []))
        done = self.fake("--turns", "--json", str(self.json), "--pass", "forward", FAKE_LEAVES_OUT=SMALL,
                         said="go\nnext\n")
        self.assertEqual(done.stderr, "left out: small/a forward: not this one\n")
        self.assertEqual([row["case"] for row in self.read()["results"]], ["small/b"])
        done = self.fake("--turns", "--json", str(self.json), "--pass", "forward", said="next\ngo\nnext\n")
        self.assertEqual([row["status"] for row in self.read()["results"]], ["fail", "ok"])  # no samples, no time

    def test_broken_talk(self):
        for said, part in (("go\n", "standard input ended"), ("stop\n", '"stop" on standard input, expected "go" or')):
            done = self.fake("--turns", "--json", str(self.json), said=said)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(part, done.stderr)
            self.assertFalse(self.json.exists())

    def test_without_turns(self):
        done = self.fake("--json", str(self.json), "--samples", "7,7", "--min-time", "0", "--pass", "backward",
                         "--threads", "2", "--best-threads")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        rows = self.read()["results"]
        self.assertEqual([row["samples"] for row in rows], [7, 7])
        for row in rows:
            times = sorted(row["times_ms"])
            self.assertEqual((row["median_ms"], row["min_ms"]), (times[3], times[0]))
            self.assertAlmostEqual(row["gflops"] * row["median_ms"], 1e3 * row["gflop"])
            self.assertIn(row["threads"], (1, 2))

    def test_ends_early(self):
        done = self.fake(FAKE_MISSING="1")
        self.assertEqual((done.returncode, done.stdout), (77, "skipped: No module named 'fake'\n"))
        done = self.fake(FAKE_IS_WRONG="1")
        self.assertEqual((done.returncode, done.stderr), (1, "fake: wrong by 7\n"))

    def test_refused(self):
        self.cases.write_text("small/a\n", encoding="utf-8")
        rows = [((), f'{self.cases}, line 1: expected "CASE PROBLEM", found 1 words'),
                (("--turns",), "--turns needs --json"),
                (("--cases", "missing.txt"), "missing.txt cannot be read: No such file or directory"),
                (("--pass", "both"), 'argument --pass: "both", expected forward,backward or one of them'),
                (("--samples", "5,3"), 'argument --samples: "5,3", expected LEAST or LEAST,MOST'),
                (("--threads", "0"), 'argument --threads: "0", expected a whole number from 1 on')]
        for words, message in rows:
            done = self.fake(*words)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (2, "", f"fake_peer.py: {message}\n"))
        self.cases.write_text("# nothing\n", encoding="utf-8")
        self.assertEqual(self.fake().stderr,
                         f"fake_peer.py: {self.cases} has no case, expected lines of CASE PROBLEM\n")
        self.cases.write_text("small/a conv2d:in=3\n", encoding="utf-8")
        self.assertIn(f"{self.cases}, line 1: problem \"conv2d:in=3\": in is \"3\"", self.fake().stderr)


class Driver(WithFolder):
    def start(self, name, **environment):
        """A fake under its own name, as run.py starts one."""
        command = [sys.executable, str(ROOT / "tests" / "fake_peer.py"), "--turns", "--cases", str(self.cases),
                   "--json", str(self.folder / f"{name}.json")]
        os.environ.update({"FAKE_PEERS": str(PEERS), **environment})
        try:
            program = run.Program(name, command, subprocess.DEVNULL)
        finally:
            for key in environment:
                del os.environ[key]
        self.addCleanup(program.process.stdout.close)
        self.addCleanup(program.process.stdin.close)
        self.addCleanup(program.process.kill)
        return program

    def run_all(self, *programs):
        pairs = [(f"small/{case}", way) for case in "ab" for way in ("forward", "backward")]
        options = run.parse_arguments(["--rounds", "3", "--pause", "0"])
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            before, sys.stderr = sys.stderr, nowhere
            try:
                run.run_all(programs, {pair: number for number, pair in enumerate(pairs)}, options)
            finally:
                sys.stderr = before

    def samples(self, name):
        result = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        return [(row["case"], row["pass"], row["samples"]) for row in result["results"]]

    def test_programs_take_turns(self):
        one, two = self.start("one"), self.start("two", FAKE_LEAVES_OUT=SMALL)
        said = []
        for program in (one, two):
            sample = program.sample
            program.sample = lambda program=program, sample=sample: said.append((program.name, program.at)) or sample()
        self.run_all(one, two)
        self.assertEqual((one.status, two.status), (0, 0))
        everything = [(f"small/{case}", way, 3) for case in "ab" for way in ("forward", "backward")]
        self.assertEqual(self.samples("one"), everything)
        self.assertEqual(self.samples("two"), everything[2:])
        self.assertEqual([name for name, at in said if at == ("small/b", "forward")],
                         ["one", "two", "two", "one", "one", "two"])

    def test_a_program_that_dies_is_dropped(self):
        one, two = self.start("one"), self.start("two", FAKE_DIES_AFTER="40")
        self.run_all(one, two)
        self.assertEqual(one.status, 0)
        self.assertEqual(len(self.samples("one")), 4)
        self.assertNotIn(two.status, (0, None))

    def test_a_program_that_is_missing_is_left_out(self):
        before, sys.stderr = sys.stderr, open(os.devnull, "w", encoding="utf-8")
        try:
            program = self.start("one", FAKE_MISSING="1")
        finally:
            sys.stderr.close()
            sys.stderr = before
        self.assertEqual((program.at, program.status), (None, 77))

    def test_the_python_that_has_the_modules(self):
        before = run.PYTHONS
        try:
            run.PYTHONS = ("/missing/python", sys.executable)
            self.assertEqual(run.find_python("openblas"), sys.executable)
            run.MODULES["nothing"] = ["no_such_module_here"]
            self.assertEqual(run.find_python("nothing"), "/missing/python")
        finally:
            run.PYTHONS = before
            del run.MODULES["nothing"]

    def test_options(self):
        options = run.parse_arguments(["--peers", "openblas", "--python", "openvino=/x/python", "--", "--preset", "r50",
                                       "--offsets", "uniform"])
        self.assertEqual((options.peers, options.python, options.bench),
                         (["openblas"], {"openvino": "/x/python"}, ["--preset", "r50", "--offsets", "uniform"]))
        command = run.peer_command("openvino", options, "c.txt", "r.json")
        self.assertEqual((command[0], command[command.index("--offsets") + 1]), ("/x/python", "uniform"))


class Report(WithFolder):
    def put(self, name, times, algorithm="auto", failed=()):
        """A file; times: {(case, pass): milliseconds}."""
        rows = []
        for (case, way), time in times.items():
            fine = (case, way) not in failed
            rows.append({"case": case, "problem": SMALL, "pass": way, "algorithm": algorithm, "dtype": "fp32",
                         "status": "ok" if fine else "fail", "median_ms": time if fine else None, "min_ms": time,
                         "samples": 1, "gflops": 1})
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps({"schema": "cldeform-bench-1", "metadata": {
            "program": name, "version": "3", "device": "CPU <1>", "threads": 2, "date": "2026-01-02T03:04:05Z"},
            "results": rows}), encoding="utf-8")
        return str(path)

    def report(self, *words):
        return subprocess.run([sys.executable, str(ROOT / "bench" / "report.py"), *words], capture_output=True,
                              text=True, check=False)

    def test_markdown(self):
        ours = self.put("ours", {("a", "forward"): 10.0, ("b", "forward"): 20.0, ("a", "backward"): 5.0})
        theirs = self.put("theirs", {("a", "forward"): 40.0, ("b", "forward"): 20.0, ("a", "backward"): 1.0},
                          failed=[("a", "backward")])
        done = self.report(ours, theirs, "--markdown", "-")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout.startswith("| case | pass | ours ms | theirs ms | ratio |\n"
                                               "| --- | --- | --: | --: | --: |\n"
                                               "| a | forward | 10.00 | 40.00 | 4.00 |\n"
                                               "| b | forward | 20.00 | 20.00 | 1.00 |\n"
                                               "| a | backward | 5.000 | FAIL |  |\n"
                                               "| **geometric mean** | forward |  |  | 2.00 |\n"), done.stdout)
        self.assertIn("\n* ours: ours 3, CPU <1>, 2 threads, 2026-01-02\n", done.stdout)

    def test_paired(self):
        """Medians and times are made up to differ: paired ratios are of times."""
        paths = []
        for name, factor in (("ours", 1), ("theirs", 3)):
            path = pathlib.Path(self.put(name, {("a", "forward"): 10.0 + factor}))
            found = json.loads(path.read_text("utf-8"))
            found["results"][0]["times_ms"] = [10.0 * factor, 10.0 * factor, 20.0 * factor]
            path.write_text(json.dumps(found), encoding="utf-8")
            paths.append(str(path))
        self.assertIn("| a | forward | 11.00 | 13.00 | 1.18 |\n", self.report(*paths, "--markdown", "-").stdout)
        self.assertIn("| a | forward | 11.00 | 13.00 | 3.00 |\n",
                      self.report(*paths, "--markdown", "-", "--paired").stdout)

    def test_svg(self):
        ours = self.put("ours", {("a<&", "forward"): 10.0, ("b", "backward"): 20.0})
        theirs = self.put("theirs", {("a<&", "forward"): 35.0, ("b", "backward"): 10.0})
        picture = self.folder / "p.svg"
        for metric, numbers in (("ratio", ["3.50", "0.50", "10.00 ms"]), ("time", ["10.00", "35.00", "20.00"])):
            done = self.report(ours, theirs, "--svg", str(picture), "--metric", metric)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            root = xml.etree.ElementTree.parse(picture).getroot()
            texts = [element.text for element in root.iter() if element.tag.endswith("text")]
            for text in ["a<&", "b", "forward", "backward", "theirs", *numbers]:
                self.assertIn(text, texts)
            width, height = float(root.get("width")), float(root.get("height"))
            for bar in (element for element in root.iter() if element.tag.endswith("rect")):
                x, y, w, h = (float(bar.get(name, 0)) for name in ("x", "y", "width", "height"))
                self.assertTrue(0 <= x and x + w <= width and 0 <= y and y + h <= height and w > 0)

    def test_lengths_of_bars(self):
        axis = report.Axis("ratio", [0.5, 1.0, 8.0], 100, 500)
        self.assertEqual((axis.at(0.5), axis.at(8)), (100, 500))
        self.assertAlmostEqual(axis.at(4) - axis.start(), 2 * (axis.at(2) - axis.start()))
        self.assertEqual(axis.ticks(), [0.5, 1, 2, 5])
        axis = report.Axis("time", [30.0, 60.0], 100, 500)
        self.assertEqual((axis.start(), axis.at(30), axis.at(60)), (100, 300, 500))
        self.assertEqual(axis.ticks(), [0, 10, 20, 30, 40, 50, 60])

    def test_algorithms_are_series(self):
        path = self.put("ours", {("a", "forward"): 10.0})
        other = json.loads(pathlib.Path(self.put("other", {("a", "forward"): 30.0}, "im2col")).read_text("utf-8"))
        both = json.loads(pathlib.Path(path).read_text("utf-8"))
        both["results"] += other["results"]
        pathlib.Path(path).write_text(json.dumps(both), encoding="utf-8")
        done = self.report(path, "--markdown", "-")
        self.assertIn("| a | forward | 10.00 | 30.00 | 3.00 |\n", done.stdout)
        self.assertIn("ours auto ms | ours im2col ms", done.stdout)

    def test_refused(self):
        path = self.put("ours", {("a", "forward"): 10.0})
        bad = self.folder / "bad.json"
        for text, message in (("[", "is not JSON"), ("[]", 'schema is not "cldeform-bench-1"'),
                              ('{"schema": "cldeform-bench-1"}', "metadata is no object"),
                              ('{"schema": "cldeform-bench-1", "metadata": {}, "results": [{}]}',
                               "results[0].case is missing, or no string"),
                              ('{"schema": "cldeform-bench-1", "metadata": {}, "results": []}', "have no rows")):
            bad.write_text(text, encoding="utf-8")
            done = self.report(str(bad), "--markdown", "-")
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1), text)
            self.assertIn(message, done.stderr)
        self.assertEqual(self.report(path).returncode, 2)
        self.assertEqual(self.report(path, "--markdown", "-", "--names", "a,b").returncode, 2)
        self.assertIn("cannot be read", self.report("missing.json", "--markdown", "-").stderr)


class Threads(unittest.TestCase):
    def test_one_thread_where_it_is_faster(self):
        """Samples are made up: `slow` is the number of threads that takes twice as long."""
        for slow, expected in ((2, 1), (1, 2), (None, 2)):
            row = common.Row.__new__(common.Row)
            row.peer, row.problem, row.direction = common.Peer(), None, "forward"
            row.peer.prepare = lambda problem, direction, data, threads: threads
            row.call, row.calls, row.threads, row.times = 2, 1, 2, []
            row.warm_up = lambda: None
            row.sample = lambda keep, row=row, slow=slow: 2.0 if row.threads == slow else 1.0
            row.choose_threads(None)
            self.assertEqual((row.threads, row.call, row.times), (expected, expected, []))


if __name__ == "__main__":
    unittest.main()
