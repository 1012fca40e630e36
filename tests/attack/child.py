"""A process of its own for cases that may end it, take its memory or never come back.

    python -m tests.attack.child PLACE

It reads lines of JSON, `[kind, file of a case]`, and answers each with another: the fields of an `Outcome`.
"""

import json
import os
import resource
import select
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NamedTuple

from tests.attack.case import Case

MOST_MEMORY = 6 << 30  # Bytes of address space beyond those of a process that has imported everything
_START = 180.0  # Seconds in which it must be ready


class Outcome(NamedTuple):
    """What came of a case: ANSWERED, REFUSED or "failed", and what there is to say.

    Attributes:
        memory: Bytes that the process has.
        most: Bytes that the case took at most, beside those before it.
    """

    outcome: str
    line: str
    memory: int = 0
    most: int = 0


class Child:
    """The process, started once it is needed and again when it has ended; stops with the block."""

    def __init__(self, place):
        self._place, self._process = place, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def start(self):
        """Starts the process without waiting for it."""
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (for as long as the process)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.attack.child", json.dumps(self._place.described())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            cwd=Path(__file__).parents[2], env=environment,
        )  # fmt: skip
        self._is_ready = False

    def ask(self, kind, path, seconds):
        """Returns the Outcome of the case in a file; a process that ends or takes too long has failed."""
        if self._process is None:
            self.start()
        if not self._is_ready:
            assert self._line(_START) == "ready\n", self._ending()
            self._is_ready = True
        self._process.stdin.write(f"{json.dumps([kind, str(path)])}\n".encode())
        self._process.stdin.flush()
        line = self._line(seconds)
        if line is None:
            self.stop()
            return Outcome("failed", f"no answer within {seconds:g} seconds")
        if not line:
            return Outcome("failed", self._ending())
        return Outcome(*json.loads(line))

    def _line(self, seconds):
        """The next line of the process; None: not in time, empty: it has ended."""
        # A line comes whole, and nothing after it before the next case: nothing stays in the buffer.
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            return None
        return self._process.stdout.readline().decode()

    def _ending(self):
        status = self._process.wait()
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
        self._process = None
        return f"the process ended with status {status}: {' '.join(last)[:300]}"


def _memory(name):
    """A line of /proc/self/status, in bytes."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1]) << 10


def _outcome(module, place, path):
    Path("/proc/self/clear_refs").write_text("5")  # The peak counts from here.
    before = _memory("VmRSS")
    try:
        outcome, line = module.ask(Case("", path.read_bytes(), path.suffix), place), ""
    except (Exception, SystemExit) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        line = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        outcome, line = "failed", " ".join(line.split())[:500]
    most = _memory("VmHWM") - before
    if outcome != "failed" and most > module.MOST_MEMORY:
        outcome, line = "failed", f"took {most >> 20} MB"
    return [outcome, line.encode(errors="backslashreplace").decode(), _memory("VmRSS"), most]


def main(place):
    """Answers lines of standard input until it ends."""
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # What the package prints is no answer.
    from tests.attack.kinds import KINDS  # Seconds of TensorFlow
    from tests.attack.place import Place

    place = Place(**place)
    resource.setrlimit(resource.RLIMIT_AS, (_memory("VmSize") + MOST_MEMORY,) * 2)
    lines.write("ready\n")
    for line in sys.stdin:
        kind, path = json.loads(line)
        lines.write(f"{json.dumps(_outcome(KINDS[kind], place, Path(path)))}\n")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
