"""Runs a command of the package in this process, and looks at how it ends."""

import contextlib
import io

from keras_seg.cli import main
from tests.attack.case import ANSWERED, REFUSED

_LONGEST = 4000  # Characters of a line


def run(*argv):
    """Runs `keras-seg ARGV`.

    Returns:
        ANSWERED, or REFUSED where it ended with status 2; then its last line is the error.

    Raises:
        AssertionError: Another ending, or a traceback in what it printed.
    """
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        status = main([str(word) for word in argv])
    printed = out.getvalue() + errors.getvalue()
    assert "Traceback" not in printed, printed[-500:]
    if argv[0] == "doctor":
        assert status in (0, 1, 2), status
        return REFUSED if status == 2 else ANSWERED
    if status == 0:
        return ANSWERED
    assert status == 2, f"status {status}: {printed[-300:]}"
    last = (errors.getvalue().strip().splitlines() or [""])[-1]
    assert last.startswith("error: ") or argv[0] == "predict", last[:300]
    assert len(last) < _LONGEST and "MemoryError" not in last, last[:300]
    return REFUSED
