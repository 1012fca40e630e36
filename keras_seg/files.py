"""Files that are written whole or not at all, and read only if they are files."""

import os
import stat
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

from keras_seg.errors import InputError

CACHE = "KERAS_SEG_CACHE"
_STEM = 40  # Characters
_NO_FILES = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def regular_file(path):
    """Makes sure that a file is a regular one: reading a pipe or a device might never end.

    Every file that comes from a user is opened through this.

    Args:
        path: The file; a link counts as what it leads to.

    Returns:
        Its `Path`.

    Raises:
        InputError: It is a pipe, a socket or a device.
        OSError: The system cannot look at it: it is missing, a link leads back to itself, and so on.
    """
    path = Path(path)
    mode = path.stat().st_mode
    for is_kind, kind in _NO_FILES:
        if is_kind(mode):
            raise InputError(f"{path}: is {kind} and no file; save what it gives as a file and name that")
    return path


@contextmanager
def replacing(path):
    """Yields a temporary name beside `path`, and moves it to `path` if the block succeeds.

    Args:
        path: The file to write; an older one stays until the new one is complete.

    Yields:
        The temporary path, with the same suffix.

    Raises:
        InputError: The file cannot be written there.
    """
    path = Path(path)
    if not path.name:
        raise InputError(f"{path}: is no name of a file; give it one")
    # Cut, since a name that is as long as the system allows has no room for more.
    temporary = path.with_name(f".{path.stem[:_STEM]}.{os.getpid()}{''.join(path.suffixes[-2:])}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path}: cannot be written ({reason}); name another folder or make room") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def make_folder(path):
    """Creates a folder and proves that files can be written into it.

    Raises:
        InputError: It cannot be created or written.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".write-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); name another with --output"
        ) from None
    return path


def check_targets(targets):
    """Makes sure that no output would overwrite an input or another output.

    Args:
        targets: {path of an input: paths of what is written for it}.

    Raises:
        InputError: something would.
    """
    inputs = {path.resolve() for path in targets}
    owners: dict[Path, Path] = {}
    for path, files in targets.items():
        for file in files:
            real = file.resolve()
            if real in inputs:
                raise InputError(f"{file}: is an input, and would be overwritten; name another --output")
            owner = owners.setdefault(real, path)
            if owner is not path:
                raise InputError(
                    f"{owner} and {path}: both would be written to {file}; give them two folders"
                )


def check_beside(images, output):
    """Makes sure that no mask beside its image, which may be its ground truth, is replaced.

    Args:
        images: Paths.
        output: folder for the masks, `STEM.png`.

    Raises:
        InputError: one would.
    """
    for path in images:
        mask = output / f"{path.stem}.png"
        if mask.exists() and mask.resolve().parent == path.resolve().parent:
            raise InputError(
                f"{mask}: lies beside its image, and would be overwritten; name another --output"
            )


def cache_folder():
    """Returns where downloads and the index of data sets are kept.

    It is `$KERAS_SEG_CACHE`, or `keras_seg` in the user's folder for caches.

    Raises:
        OSError: The user has no home folder.
    """
    if os.environ.get(CACHE):
        return Path(os.environ[CACHE])
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return Path(base).expanduser() / "keras_seg"
    except RuntimeError:
        raise OSError(f"there is no home folder; name a folder for downloads in {CACHE}") from None
