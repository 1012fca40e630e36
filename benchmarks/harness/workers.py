"""Contenders that are measured in turn (A B A B), each in a process of its own.

A process of its own keeps one framework's threads and memory out of the other's figures, and lets the peak
memory be the contender's. While one works, the others wait for a line on their standard input.
"""

import importlib
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import NamedTuple

from keras_seg.memory import counted_bytes, peak_bytes

STEPS = 3  # Batches of a measured run of a training, as Keras's `fit` has some work of its own.
LEAST_SECONDS = 0.3  # Shorter steps are repeated until a run takes that long.
MIB = 1 << 20


class Contender(NamedTuple):
    """What is measured.

    Attributes:
        name: What the report calls it.
        target: `"module:function"`; the function is given the settings, and returns a function of no
            argument that does one step and returns when it is done, or `(step, facts)` with a dict of facts.
            A step with an attribute `peak_mib`, a function, says by it what memory counts, that of a device.
        settings: Keyword arguments of `target`, as JSON can hold them.
        environment: Variables for its process.
    """

    name: str
    target: str
    settings: dict
    environment: Mapping = MappingProxyType({})


class Timing(NamedTuple):
    """What was measured of a contender.

    Attributes:
        name: Of the contender.
        seconds: Of a step, one figure a round.
        peak_mib: Most memory that its process, or its device for it, held, in MiB.
        start_seconds: From the start of the process to the end of the first step.
        facts: What the contender says of itself.
        skipped: Why it could not run; None if it did.
    """

    name: str
    seconds: tuple = ()
    peak_mib: float = math.nan
    start_seconds: float = math.nan
    facts: dict | None = None
    skipped: str | None = None

    @property
    def median(self):
        """The median of `seconds`."""
        return statistics.median(self.seconds)


def measure_in_turn(contenders, rounds, report=lambda line: None):
    """Runs contenders in turn, after two runs of each that do not count.

    Args:
        contenders: Iterable of `Contender`.
        rounds: How often each is measured.
        report: Function that is given a line about each contender that is ready.

    Returns:
        A `Timing` for each.
    """
    with ExitStack() as stack:
        workers = []
        for contender in contenders:
            worker = stack.enter_context(_Worker(contender))
            workers.append(worker)
            worker.warm_up()
            report(f"{contender.name}: {worker.describe()}")
        for _ in range(rounds):
            for worker in workers:
                worker.measure()
        return [worker.timing() for worker in workers]


class _Worker:
    """A contender's process, as its parent sees it."""

    def __init__(self, contender):
        self.contender = contender
        self.seconds, self.facts, self.peak, self.skipped = [], {}, math.nan, None
        self.repeats, self.start = 1, math.nan

    def __enter__(self):
        arguments = [self.contender.target, json.dumps(self.contender.settings)]
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={
                "TF_CPP_MIN_LOG_LEVEL": "3",
                **os.environ,
                **self.contender.environment,
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
        )
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def warm_up(self):
        start = time.perf_counter()
        self.facts = self._receive().get("facts", {})
        first = self._step(1)
        self.start = time.perf_counter() - start
        if first is not None:
            again = self._step(1)
            self.repeats = max(1, math.ceil(LEAST_SECONDS / max(again, 1e-9))) if again else 1

    def measure(self):
        seconds = self._step(self.repeats)
        if seconds is not None:
            self.seconds.append(seconds)

    def describe(self):
        return f"skipped: {self.skipped}" if self.skipped else f"first step after {self.start:.1f} s"

    def timing(self):
        if self.skipped:
            return Timing(self.contender.name, skipped=self.skipped)
        return Timing(self.contender.name, tuple(self.seconds), self.peak, self.start, self.facts)

    def _step(self, repeats):
        if self.skipped:
            return None
        try:
            self._process.stdin.write(f"{repeats}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # What it died of is read below.
        answer = self._receive()
        self.peak = answer.get("peak_mib", self.peak)
        return answer.get("seconds")

    def _receive(self):
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"skipped": self._last_words()}
        self.skipped = answer.get("skipped")
        return answer

    def _last_words(self):
        code = self._process.wait()
        self._errors.seek(0)
        lines = [line for line in self._errors.read().splitlines() if line.strip()]
        # Some libraries go on after the line that names the exception.
        named = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
        return f"ended with status {code}" + "".join(f": {line.strip()}" for line in (named or lines)[-1:])


def peak_mib():
    """Most memory that this process has held, in MiB."""
    peak = peak_bytes()
    if peak is None:
        import resource  # Not on Windows.

        peak = counted_bytes(resource.getrusage(resource.RUSAGE_SELF))
    return peak / MIB


def work(target, settings, requests, answer):
    """What a contender's process does: builds its step, and runs it as often as each line asks.

    Args:
        target: As in `Contender`.
        settings: Likewise.
        requests: Lines, each a number of steps.
        answer: Function that is given each dict to send.
    """
    module, function = target.split(":")
    try:
        made = getattr(importlib.import_module(module), function)(**settings)
    except ImportError as error:
        answer({"skipped": str(error)})
        return
    step, facts = made if isinstance(made, tuple) else (made, {})
    answer({"facts": facts})
    peak = getattr(step, "peak_mib", peak_mib)
    for line in requests:
        repeats = int(line)
        start = time.perf_counter()
        for _ in range(repeats):
            step()
        seconds = (time.perf_counter() - start) / repeats
        answer({"seconds": seconds, "peak_mib": peak()})


def _main():
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(value):
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    work(sys.argv[1], json.loads(sys.argv[2]), sys.stdin, answer)


if __name__ == "__main__":
    _main()
