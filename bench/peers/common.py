"""What the peers share: the command line, sampling, taking turns, and result files ("cldeform-bench-1").

A peer is another program on the same cases. It subclasses Peer and calls main(). Exit status: 0 done, 1 it failed, 2 a
wrong file or option, 77 something it needs is not installed.
"""

import argparse
import datetime
import json
import math
import os
import subprocess
import sys
import time

SCHEMA = "cldeform-bench-1"
PASSES = ("forward", "backward")
BLOCK_SECONDS = 0.02  # a sample is a block of calls that takes at least so long
WARM_UP_SECONDS, WARM_UP_CALLS = 0.1, 3
THREAD_TRIALS, ONE_THREAD_GAIN = 5, 0.95


def skip(reason):
    """Ends a peer whose module is not there."""
    print(f"skipped: {reason}", flush=True)
    sys.exit(77)


try:
    import numpy as np
    from problems import ProblemError, draw, gflop, read_problem
except ImportError as missing:
    skip(missing)


class Peer:
    program = algorithm = None
    devices = ("cpu",)  # what --device may say
    device = "cpu"

    def facts(self):
        """Of the metadata: version, device, driver, whatever is known."""
        return {}

    def refuses(self, problem, direction):
        """Why it cannot do this, or None."""
        raise NotImplementedError

    def check(self):
        """Raises ArithmeticError where its own results are not right on a small problem."""
        raise NotImplementedError

    def algorithm_of(self, problem):
        return self.algorithm

    def use_threads(self, threads):
        """Before calls, where the number is a setting of the process."""

    def prepare(self, problem, direction, data, threads):
        """A function without arguments: one call of the work, whose end it waits for (on a GPU run_block does)."""
        raise NotImplementedError

    def run_block(self, call, calls):
        """Seconds of the wall clock for so many calls up to the end of the last, and the device's own, or None."""
        start = time.perf_counter()
        for _ in range(calls):
            call()
        return time.perf_counter() - start, None


# ---- one row ----


class Row:
    """A case and pass that is set up: takes samples, and becomes a row of the results."""

    def __init__(self, peer, name, problem, direction, options):
        self.peer, self.name, self.problem, self.direction = peer, name, problem, direction
        self.times, self.error, self.first, self.threads = [], None, None, options.threads
        self.device_times = []
        self.algorithm = peer.algorithm_of(problem)
        try:
            data = draw(problem, options.offsets)
            start = time.perf_counter()
            self.call = peer.prepare(problem, direction, data, options.threads)
            peer.use_threads(options.threads)
            peer.run_block(self.call, 1)
            self.first = 1e3 * (time.perf_counter() - start)
            self.warm_up()
            if options.best_threads and options.threads > 1 and peer.device == "cpu":
                self.choose_threads(data)
        except Exception as error:  # whatever a library throws: the row says so, and the others go on
            self.error = f"{type(error).__name__}: {error}".splitlines()[0]

    def warm_up(self):
        """Finds how many calls make a block, too."""
        start, took, count = time.perf_counter(), math.inf, 0
        while count < WARM_UP_CALLS or time.perf_counter() - start < WARM_UP_SECONDS:
            took = min(took, self.peer.run_block(self.call, 1)[0])
            count += 1
        self.calls = max(1, math.ceil(BLOCK_SECONDS / took))

    def choose_threads(self, data):
        """Some programs are slower with more threads: one is tried, in turns, and kept where it is clearly faster."""
        many = (self.call, self.calls, self.threads)
        self.call, self.threads = self.peer.prepare(self.problem, self.direction, data, 1), 1
        self.peer.use_threads(1)
        self.warm_up()
        one, best = (self.call, self.calls, self.threads), {}
        for setting in (many, one) * THREAD_TRIALS:
            self.call, self.calls, self.threads = setting
            best[setting] = min(best.get(setting, math.inf), self.sample(keep=False))
        self.call, self.calls, self.threads = one if best[one] < ONE_THREAD_GAIN * best[many] else many

    def sample(self, keep=True):
        """Milliseconds per call."""
        self.peer.use_threads(self.threads)
        wall, device = (1e3 * seconds / self.calls if seconds is not None else None
                        for seconds in self.peer.run_block(self.call, self.calls))
        if keep:
            self.times.append(wall)
            self.device_times += [] if device is None else [device]
        return wall

    def sample_until_done(self, options):
        least, most = options.samples
        start = time.perf_counter()
        while len(self.times) < least or (len(self.times) < most and time.perf_counter() - start < options.min_time):
            self.sample()

    def result(self):
        work, fine = gflop(self.problem, self.direction), self.error is None and bool(self.times)
        error = self.error or (None if self.times else "no samples were taken")
        low, middle, high = np.percentile(self.times, (10, 50, 90)) if fine else (None, None, None)
        return {"case": self.name, "problem": self.problem.text, "pass": self.direction, "algorithm": self.algorithm,
                "dtype": self.problem.dtype, "layout": self.problem.layout, "cache": "hot",
                "status": "ok" if fine else "fail", "error": error, "median_ms": middle,
                "min_ms": min(self.times) if fine else None, "p10_ms": low, "p90_ms": high, "samples": len(self.times),
                "times_ms": self.times,
                "device_ms": float(np.median(self.device_times)) if self.device_times else None,
                "first_ms": self.first, "gflop": work,
                "gflops": 1e3 * work / middle if fine and work else None, "threads": self.threads, "bound_ms": None,
                "bound": None, "percent_of_bound": None, "workspace_bytes": None}


# ---- all rows ----


def print_result(result):
    if result["status"] == "fail":
        print(f"{result['case']:20} {result['pass']:8} FAIL: {result['error']}", flush=True)
        return
    rate = f" {result['gflops']:8.1f} GFLOP/s" if result["gflops"] else ""
    print(f"{result['case']:20} {result['pass']:8} {result['algorithm']:21} {result['threads']} threads "
          f"{result['median_ms']:10.3f} ms  least {result['min_ms']:10.3f} of {result['samples']:3}{rate}", flush=True)


def take_turns(row):
    """Samples on demand: "go" takes one, "next" ends the row."""
    print("ready", row.name, row.direction, row.algorithm, flush=True)
    for line in sys.stdin:
        if line.strip() == "next":
            return
        if line.strip() != "go":
            sys.exit(f'{row.peer.program}: "{line.strip()}" on standard input, expected "go" or "next"')
        print(f"{row.sample():.6f}", flush=True)
    sys.exit(f"{row.peer.program}: standard input ended before the last \"next\"")


def run_rows(peer, cases, options):
    results = []
    for name, problem in cases:
        for direction in options.passes:
            reason = peer.refuses(problem, direction)
            if reason:
                print(f"left out: {name} {direction}: {reason}", file=sys.stderr, flush=True)
                continue
            row = Row(peer, name, problem, direction, options)
            if row.error is None and options.turns:
                take_turns(row)
            elif row.error is None:
                row.sample_until_done(options)
            results.append(row.result())
            if not options.turns:
                print_result(results[-1])
            elif row.error is not None:
                print(f"{name} {direction} FAIL: {row.error}", file=sys.stderr, flush=True)
    return results


# ---- results ----


def cpu_name():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return None


def load():
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def collect(peer, results, options, load_before):
    now = datetime.datetime.now(datetime.timezone.utc)
    metadata = {"program": peer.program, "version": None, "device": cpu_name(), "platform": None, "driver": None,
                "threads": options.threads, "date": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "host": {"cpu": cpu_name(), "cores": cores(), "load_before": load_before, "load_after": load()},
                "tuning": None, "options": {"command": [os.path.basename(sys.argv[0]), *sys.argv[1:]]}, "peaks": None, **peer.facts()}
    return {"schema": SCHEMA, "metadata": metadata, "results": results}


def write_json(path, value):
    """Whole or not at all."""
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.write("\n")
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


# ---- the command line ----


def read_cases(lines, source):
    """Of "CASE PROBLEM" lines; "#" begins a comment."""
    cases = []
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        try:
            if len(words) != 2:
                raise ProblemError(f'expected "CASE PROBLEM", found {len(words)} words')
            cases.append((words[0], read_problem(words[1])))
        except ProblemError as error:
            sys.exit(refuse(f"{source}, line {number}: {error}"))
    if not cases:
        sys.exit(refuse(f"{source} has no case, expected lines of CASE PROBLEM"))
    return cases


def refuse(text):
    print(f"{os.path.basename(sys.argv[0])}: {text}", file=sys.stderr)
    return 2


def find_cases(options):
    if options.cases:
        try:
            with open(options.cases, encoding="utf-8") as file:
                return read_cases(file, options.cases)
        except OSError as error:
            sys.exit(refuse(f"{options.cases} cannot be read: {error.strerror}"))
    command = [options.tool, "bench", "--list", *options.selection]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        sys.exit(refuse(f"{options.tool} cannot be run: {error.strerror}; --tool or --cases says where cases are from"))
    if run.returncode != 0:
        sys.exit(refuse(run.stderr.strip() or f"{' '.join(command)}: exit status {run.returncode}"))
    return read_cases(run.stdout.splitlines(), " ".join(command))


def pass_list(text):
    names = text.split(",")
    if not all(name in PASSES for name in names) or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError(f'"{text}", expected {",".join(PASSES)} or one of them')
    return names


def sample_counts(text):
    try:
        numbers = [int(word) for word in text.split(",")]
        least, most = numbers if len(numbers) == 2 else (numbers[0], max(200, numbers[0]))
    except ValueError:
        least, most = 0, 0
    if not 1 <= least <= most:
        raise argparse.ArgumentTypeError(f'"{text}", expected LEAST or LEAST,MOST')
    return least, most


def positive(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{text}", expected a whole number from 1 on')
    return int(text)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        sys.exit(refuse(message))


def parse_arguments(description):
    parser = Parser(description=description, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
                    epilog='Words after "--" select cases: they are handed to "cldeform bench --list", as in '
                           '"-- --preset x101".')
    parser.add_argument("--cases", metavar="FILE", help='"CASE PROBLEM" lines, as "cldeform bench --list" prints them')
    parser.add_argument("--tool", default="build/tools/cldeform", help="asked for the cases (default %(default)s)")
    parser.add_argument("selection", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--pass", dest="passes", type=pass_list, default=list(PASSES), metavar="LIST",
                        help="forward,backward (default) or one of them")
    parser.add_argument("--offsets", choices=("normal", "zero", "uniform"), default="normal",
                        help="N(0,1) pixels (default), 0, or from -8 to 8")
    parser.add_argument("--threads", type=positive, default=cores(), help="default: all cores (%(default)s)")
    parser.add_argument("--best-threads", action="store_true", help="one thread instead where that is faster")
    parser.add_argument("--device", default="cpu", help="cpu (default); torchvision: or cuda")
    parser.add_argument("--samples", type=sample_counts, default=(10, 200), metavar="LEAST[,MOST]",
                        help="of a row (default 10,200); each is a block of calls of 20 ms or more")
    parser.add_argument("--min-time", type=float, default=0.5, help="seconds of samples of a row (default 0.5)")
    parser.add_argument("--json", metavar="FILE", help="results")
    parser.add_argument("--turns", action="store_true",
                        help='samples on demand: "ready CASE PASS ALGORITHM" when a row is set up, then one for each '
                             '"go" on standard input; "next" goes to the next row')
    options = parser.parse_args()
    if options.turns and not options.json:
        parser.error("--turns needs --json")
    return options


def main(peer, description):
    options = parse_arguments(description)
    if options.device not in peer.devices:
        sys.exit(refuse(f'--device is "{options.device}", expected one of: {", ".join(peer.devices)}'))
    peer.device = options.device
    cases, load_before = find_cases(options), load()
    peer.use_threads(options.threads)
    try:
        peer.check()
    except ArithmeticError as error:
        print(f"{peer.program}: {error}", file=sys.stderr)
        sys.exit(1)
    results = run_rows(peer, cases, options)
    if options.json:
        try:
            write_json(options.json, collect(peer, results, options, load_before))
        except OSError as error:
            sys.exit(refuse(f"{options.json} cannot be written: {error.strerror}"))
