"""How much memory there is, to decide what may be kept in it."""

from pathlib import Path

_UNKNOWN = 4 << 30  # Bytes assumed where the system does not say, a modest machine's.
_GROUP_FILES = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


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
