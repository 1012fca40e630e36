"""Files that are written whole or not at all."""

import os
from contextlib import contextmanager
from pathlib import Path

from keras_seg.errors import InputError


@contextmanager
def replacing(path):
    """Gives a temporary name beside `path`, and moves it to `path` once the block has ended well.

    Args:
        path: The file to write; an older one stays until the new one is complete.

    Yields:
        The temporary path, with the same suffix.

    Raises:
        InputError: The file cannot be written there.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{''.join(path.suffixes[-2:])}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path}: cannot be written ({reason}); name another folder or make room") from error
    finally:
        temporary.unlink(missing_ok=True)


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


def check_masks(paths, output):
    """Makes sure that no mask would replace a picture or the mask of another.

    Args:
        paths: Paths of pictures.
        output: folder for the masks.

    Raises:
        InputError: one would.
    """
    pictures = {path.resolve() for path in paths}
    owners = {}
    for path in paths:
        mask = output / f"{path.stem}.png"
        if mask.resolve() in pictures:
            raise InputError(f"{mask}: is an input, and a mask would replace it; name another --output")
        if mask in owners:
            raise InputError(
                f"{owners[mask]} and {path}: both masks would be {mask}; predict them into two folders"
            )
        owners[mask] = path
