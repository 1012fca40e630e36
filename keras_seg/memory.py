"""How much memory a process has held."""

import sys
from pathlib import Path


def peak_bytes(pid="self"):
    """Most bytes that a process has held at once; None once it has ended, and where there is no /proc.

    Linux's `ru_maxrss` does not serve, for it is at least what the parent held when it started the process.

    Args:
        pid: Number of the process; this one by default.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), None)


def counted_bytes(usage):
    """The peak of a `resource.struct_rusage`, for systems without /proc."""
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts in bytes, others in KiB.
    return usage.ru_maxrss * unit
