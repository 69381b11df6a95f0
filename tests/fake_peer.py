"""A program for test_bench_scripts.py that speaks as the peers do, and computes nothing.

FAKE_LEAVES_OUT and FAKE_FAILS are names of cases; FAKE_DIES_AFTER is after how many calls the program ends itself.
FAKE_MISSING: it behaves as one whose module is not installed."""

import os
import sys

sys.path.insert(0, os.environ["FAKE_PEERS"])

from common import Peer, main, skip  # noqa: E402

if "FAKE_MISSING" in os.environ:
    skip("No module named 'fake'")


class Fake(Peer):
    program, algorithm = "fake", "nothing"
    calls = 0

    def facts(self):
        return {"version": "1.5"}

    def refuses(self, problem, direction):
        return "not this one" if problem.text == os.environ.get("FAKE_LEAVES_OUT") else None

    def check(self):
        if "FAKE_IS_WRONG" in os.environ:
            raise ArithmeticError("wrong by 7")

    def prepare(self, problem, direction, data, threads):
        if problem.text == os.environ.get("FAKE_FAILS"):
            raise RuntimeError("cannot do this\nsecond line")
        return self.call

    def call(self):
        Fake.calls += 1
        if Fake.calls == int(os.environ.get("FAKE_DIES_AFTER", -1)):
            os._exit(9)


main(Fake(), "A program that computes nothing.")
