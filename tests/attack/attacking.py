"""Runs a kind of attack and counts what came of its cases."""

import itertools
import time
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.attack.case import ANSWERED, REFUSED, Case
from tests.attack.child import Outcome
from tests.attack.kinds import KINDS

SETTLED = 0.1  # Of the cases, after which a process has all the memory that it needs for any of them
MOST_GROWTH = 128 << 20  # Bytes, from then on
CURVE = 10_000  # Cases, after each of which the memory is told
ROW = "{:10} {:>8} {:>9} {:>8} {:>7} {:>8} {:>8} {:>7}"
HEADING = ROW.format("kind", "tried", "answered", "refused", "failed", "MB then", "MB now", "seconds")


@dataclass
class Row:
    """What came of the cases of one kind.

    Attributes:
        name: Of the kind.
        counts: Number of cases by outcome.
        memory: Bytes of the process that was attacked, after each case; nothing where it ended.
    """

    name: str
    counts: Counter = field(default_factory=Counter)
    memory: list = field(default_factory=list)
    tried: int = 0
    seconds: float = 0.0

    @property
    def failed(self):
        """Number of cases that failed, and one more where the memory grew."""
        return self.counts["failed"]

    def __str__(self):
        then, now = self.settled_memory()
        counts = (self.tried, self.counts[ANSWERED], self.counts[REFUSED], self.failed)
        return ROW.format(self.name, *counts, then >> 20, now >> 20, f"{self.seconds:.0f}")

    def settled_memory(self):
        """Bytes once the process had seen a tenth of the cases, and at the end."""
        return (self.memory[int(len(self.memory) * SETTLED)], self.memory[-1]) if self.memory else (0, 0)


def make(name, seed, number):
    """Makes a case: of the kind, the seed and the number alone."""
    random = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
    return KINDS[name].case(random, number)


class Attack:
    """Puts cases to a place.

    Args:
        place: `Place`.
        child: `Child` at it; None: all cases are put in this process, without limits.
        failures: Folder for a file of each case that failed.
        report: Function that is given each line for the reader.
    """

    def __init__(self, place, child, failures, report=print):
        self.place, self.child, self.failures, self.report = place, child, Path(failures), report

    def run(self, name, seed, numbers):
        """Puts the cases of a kind with these numbers; returns the Row."""
        row, start = Row(name), time.perf_counter()
        for number, case, outcome in self._outcomes(name, seed, numbers):
            row.tried += 1
            row.counts[outcome.outcome] += 1
            if outcome.memory:
                row.memory.append(outcome.memory)
            if outcome.outcome == "failed":
                path = self._save(name, seed, number, case)
                self.report(f"FAILED: {name} {number}, {case.title}: {outcome.line}; saved as {path}")
                if KINDS[name].NEEDS_SERVER and self.place.server_memory() == 0:
                    self.report(f"{name}: the server is gone; the cases that follow are left out")
                    break
            if row.tried % CURVE == 0:
                self.report(f"{name}: {row.tried} cases, {outcome.memory >> 20} MB")
        row.seconds = time.perf_counter() - start
        then, now = row.settled_memory()
        if now - then > getattr(KINDS[name], "MOST_GROWTH", MOST_GROWTH):
            row.counts["failed"] += 1
            self.report(f"FAILED: {name}: the memory grew from {then >> 20} to {now >> 20} MB")
        return row

    def again(self, name, path):
        """Puts the case in a file; returns the Outcome."""
        case = Case("", path.read_bytes(), "".join(path.suffixes[-1:]))
        return self._ask(name, case)

    def _outcomes(self, name, seed, numbers):
        at_once = getattr(KINDS[name], "AT_ONCE", 1)
        with ThreadPoolExecutor(at_once) as pool:

            def put(number):
                case = make(name, seed, number)
                return number, case, self._ask(name, case)

            # In pieces, since a pool takes all that it is given at once.
            numbers = iter(numbers)
            while piece := list(itertools.islice(numbers, 64)):
                yield from pool.map(put, piece)

    def _ask(self, name, case):
        module = KINDS[name]
        if self.child is None or not module.IN_CHILD:
            return _outcome(module, case, self.place)
        path = Path(self.place.scratch, f"case{case.suffix}")
        path.write_bytes(case.contents)
        return self.child.ask(name, path, module.SECONDS)

    def _save(self, name, seed, number, case):
        self.failures.mkdir(parents=True, exist_ok=True)
        path = self.failures / f"{name}-{seed}-{number}{case.suffix}"
        path.write_bytes(case.contents)
        return path


def _outcome(module, case, place):
    try:
        outcome, line = module.ask(case, place), ""
    except Exception as error:  # Whatever it is, it is what the attack looks for.
        outcome, line = "failed", " ".join(f"{type(error).__name__}: {error}".split())[:500]
    return Outcome(outcome, line, module.memory(place) if hasattr(module, "memory") else 0)
