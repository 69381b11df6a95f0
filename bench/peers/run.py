#!/usr/bin/env python3
"""Runs `cldeform bench` and the peers on the same cases, in turns, and prints the table of ratios.

  bench/peers/run.py [OPTION...] [-- OPTION-OF-BENCH...]
  bench/peers/run.py --output results -- --preset r50,x101 --kind modulated

A machine's speed changes while it works, so programs that run one after the other are measured on different machines.
Here every program sets up a case, and then they take samples by turns, round by round; each sample is a block of calls
of 20 ms or more. `cldeform compare --paired` compares samples of the same round.

Written into the output folder: cases.txt, one result file for each program (cldeform.json, torchvision.json, ...),
table.md, and with report.py ratios.svg. Peers whose modules are not installed are left out, and said to be.
Exit status: 0 done, 1 a program failed, 2 a wrong option, 3 a result of ours was wrong.
"""

import argparse
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
MODULES = {"openblas": ["numpy"], "torchvision": ["numpy", "torchvision"],
           "onnxruntime": ["numpy", "onnx", "onnxruntime"], "openvino": ["numpy", "openvino"]}
PEERS = tuple(MODULES)
PYTHONS = (sys.executable, "/usr/bin/python3", str(HERE.parents[1] / "build-venv" / "bin" / "python"))
PAUSE_SECONDS = 0.06  # threads of the program before wait for work before they sleep: OpenBLAS's for some 20 ms


class Program:
    """One that speaks the protocol of --turns. `at` is the (case, pass) it is ready for, None at its end."""

    def __init__(self, name, command, log):
        self.name, self.at, self.algorithm, self.status = name, None, None, None
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                                        bufsize=1)
        self.wait_until_ready()

    def wait_until_ready(self):
        self.at = None
        for line in self.process.stdout:
            words = line.split()
            if words[:1] == ["ready"] and len(words) == 4:
                self.at, self.algorithm = (words[1], words[2]), words[3]
                return
            if line.startswith("skipped:"):
                print(f"{self.name} {line.strip()}", file=sys.stderr)
        self.status = self.process.wait()

    def send(self, word):
        try:
            self.process.stdin.write(word + "\n")
            self.process.stdin.flush()
            return True
        except BrokenPipeError:
            return False

    def sample(self):
        """Milliseconds; None where the program ended, or said anything else."""
        line = self.process.stdout.readline() if self.send("go") else ""
        try:
            return float(line)
        except ValueError:
            self.stop()
            return None

    def next(self):
        if self.send("next"):
            self.wait_until_ready()
        else:
            self.stop()

    def stop(self):
        """Ends it, wherever it is."""
        self.at = None
        self.process.stdin.close()
        self.process.kill()
        self.status = self.process.wait() or 1


def run_case(ready, rounds, pause):
    """Samples of all programs that are ready for one case: in turns, the order reversed in every other round."""
    for number in range(rounds):
        for program in ready[::-1] if number % 2 else ready:
            time.sleep(pause)
            if program.at is not None:
                program.sample()


def run_all(programs, order, options):
    """order: the number of each (case, pass). All programs go through them in this order, but may leave some out."""
    while any(program.at for program in programs):
        at = min((program.at for program in programs if program.at), key=lambda where: order.get(where, len(order)))
        ready = [program for program in programs if program.at == at]
        names = ", ".join(f"{program.name} ({program.algorithm})" for program in ready)
        print(f"{at[0]} {at[1]}: {names}", file=sys.stderr, flush=True)
        run_case(ready, options.rounds, options.pause)
        for program in ready:  # one after the other: setting up takes all cores
            if program.at is not None:
                program.next()


# ---- programs ----


def list_cases(options, path):
    """Writes the file of cases, and returns the number of each (case, pass)."""
    command = [options.tool, "bench", "--list", *options.bench]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        sys.exit(refuse(f"{options.tool} cannot be run: {error.strerror}"))
    if run.returncode != 0:
        sys.exit(refuse(run.stderr.strip() or f"{' '.join(command)}: exit status {run.returncode}"))
    path.write_text(run.stdout, encoding="utf-8")
    cases = [line.split()[0] for line in run.stdout.splitlines() if line.strip()]
    pairs = [(case, direction) for case in cases for direction in options.passes.split(",")]
    return {pair: number for number, pair in reversed(list(enumerate(pairs)))}


def find_offsets(words):
    """What --offsets of the bench's options says, which peers draw too."""
    for number, word in enumerate(words):
        if word.startswith("--offsets="):
            return word.partition("=")[2]
        if word == "--offsets" and number + 1 < len(words):
            return words[number + 1]
    return "normal"


def find_python(name):
    """The first of PYTHONS that has the peer's modules. Where none has, the first: the peer says what is missing."""
    look = "import importlib.util, sys; sys.exit(not all(importlib.util.find_spec(name) for name in sys.argv[1:]))"
    for python in PYTHONS:
        try:
            if subprocess.run([python, "-c", look, *MODULES[name]], check=False).returncode == 0:
                return python
        except OSError:
            continue
    return PYTHONS[0]


def peer_command(name, options, cases, result):
    command = [options.python.get(name) or find_python(name), str(HERE / f"peer_{name}.py"), "--turns", "--cases",
               str(cases), "--json", str(result), "--pass", options.passes, "--offsets", find_offsets(options.bench)]
    command += ["--threads", str(options.threads)] if options.threads else []
    command += ["--device", options.torchvision_device] if name == "torchvision" else []
    return command + ["--best-threads"]


def start(name, command, folder):
    with open(folder / f"{name}.log", "w", encoding="utf-8") as log:
        try:
            program = Program(name, command, log)
        except OSError as error:
            print(f"{name}: {command[0]} cannot be run: {error.strerror}", file=sys.stderr)
            return None
    return program


def report(programs, folder, options):
    """The table, of those that wrote a file."""
    files = [str(folder / f"{program.name}.json") for program in programs
             if (folder / f"{program.name}.json").is_file()]
    if len(files) < 2:
        print("no program wrote a result to compare with", file=sys.stderr)
        return
    command = [options.tool, "compare", "--table", "--paired", *files]
    subprocess.run(command, check=False)
    with open(folder / "table.md", "w", encoding="utf-8") as table:
        subprocess.run([*command, "--markdown"], check=False, stdout=table)
    subprocess.run([sys.executable, str(HERE.parent / "report.py"), *files, "--paired", "--svg",
                    str(folder / "ratios.svg")], check=False)


# ---- the command line ----


def refuse(text):
    print(f"run.py: {text}", file=sys.stderr)
    return 2


def parse_arguments(words):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     allow_abbrev=False)
    parser.error = lambda message: sys.exit(refuse(message))
    parser.add_argument("--tool", default="build/tools/cldeform", help="our program (default %(default)s)")
    parser.add_argument("--output", default="bench-results", help="folder for results (default %(default)s)")
    parser.add_argument("--peers", default=",".join(PEERS), metavar="LIST", help="default %(default)s")
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PROGRAM",
                        help="runs this peer, as often as needed; default: this one, /usr/bin/python3 or "
                             "build-venv/bin/python, whichever has its modules first")
    parser.add_argument("--pass", dest="passes", default="forward,backward", metavar="LIST",
                        help="default %(default)s")
    parser.add_argument("--rounds", type=int, default=15, help="samples of each program and row (default %(default)s)")
    parser.add_argument("--threads", type=int, help="of peers, which take one thread where that is faster; default: "
                                                    "all cores, as OpenCL on a CPU does")
    parser.add_argument("--torchvision-device", choices=("cpu", "cuda"), default="cpu", help="default %(default)s")
    parser.add_argument("--pause", type=float, default=PAUSE_SECONDS,
                        help="seconds between turns (default %(default)s)")
    ours = words[:words.index("--")] if "--" in words else words
    options = parser.parse_args(ours)
    options.bench = words[len(ours) + 1:]
    options.peers = [name for name in options.peers.split(",") if name]
    for name in options.peers:
        if name not in PEERS:
            parser.error(f'--peers has no "{name}", expected some of {",".join(PEERS)}')
    for pair in options.python:
        if pair.partition("=")[0] not in PEERS or not pair.partition("=")[2]:
            parser.error(f'--python is "{pair}", expected PEER=PROGRAM with a peer of {",".join(PEERS)}')
    options.python = dict(pair.split("=", 1) for pair in options.python)
    if options.rounds < 1 or options.pause < 0:
        parser.error("--rounds is below 1, or --pause below 0")
    return options


def main():
    options = parse_arguments(sys.argv[1:])
    folder = pathlib.Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    order = list_cases(options, folder / "cases.txt")
    commands = {"cldeform": [options.tool, "bench", "--turns", "--json", str(folder / "cldeform.json"), "--pass",
                             options.passes, *options.bench]}
    for name in options.peers:
        commands[name] = peer_command(name, options, folder / "cases.txt", folder / f"{name}.json")
    for name in commands:
        (folder / f"{name}.json").unlink(missing_ok=True)
    programs = [program for program in (start(name, command, folder) for name, command in commands.items()) if program]
    try:
        run_all(programs, order, options)
    finally:
        for program in programs:
            if program.status is None:
                program.stop()
    report(programs, folder, options)
    ours = programs[0].status if programs and programs[0].name == "cldeform" else 1
    for program in programs:
        if program.status not in (0, 3, 77):
            print(f"{program.name}: exit status {program.status}, see {folder / program.name}.log", file=sys.stderr)
    sys.exit(3 if ours == 3 else 0 if all(program.status in (0, 77) for program in programs) and ours == 0 else 1)


if __name__ == "__main__":
    main()
