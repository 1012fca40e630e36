"""How much memory a process has held, and how much it may still take."""

import sys
from pathlib import Path

_UNKNOWN = 4 << 30  # Bytes assumed where the system does not say, a modest machine's.
_GROUP_FILES = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


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


def available_memory() -> int:
    """Returns the bytes this process may still take, of the machine and of a container's limit."""
    free = _meminfo()
    for limit_file, used_file in _GROUP_FILES:
        limit, used = _number(limit_file), _number(used_file)
        if limit is not None and used is not None:
            free = min(free, max(limit - used, 0))
    return free


def _meminfo() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return _UNKNOWN
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), _UNKNOWN)


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):  # No such group, or "max".
        return None
