"""One training at a time in a run folder."""

import os
from contextlib import contextmanager

from keras_seg.errors import InputError

try:
    import fcntl
except ImportError:  # On Windows nothing is locked.
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(path, folder):
    """Holds a lock during the block; a process that is killed leaves none.

    Args:
        path: The file that is locked, created if missing. It stays, since a new file would be another lock.
        folder: Of the run, for the message.

    Raises:
        InputError: Another process holds it, or the file cannot be written.
    """
    if fcntl is None:
        yield
        return
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); check its permissions") from None
    try:
        _take(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor, folder):
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            f"{folder}: is being trained by another process; wait until it ends, or stop it first"
        ) from None
    except OSError:
        pass  # A file system without locks
