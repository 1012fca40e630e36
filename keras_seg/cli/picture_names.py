"""Checks the names of output images before the work that goes into them."""

from pathlib import Path

from keras_seg.errors import InputError

_SUFFIXES = (".png", ".jpg", ".jpeg")


def check_picture_name(flag, name):
    """Raises InputError if no image can be written under the flag's file name."""
    path = Path(name)
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{flag} {name}: must end in .png or .jpg; name a file as image.png.")
    try:
        if not path.parent.is_dir() or path.is_dir():
            reason = "is a folder" if path.parent.is_dir() else f"there is no folder {path.parent}"
            raise InputError(f"{flag} {name}: {reason}; name a file in a folder that exists.")
    except OSError as error:
        raise InputError(f"{flag} {name}: {error.strerror}; name another file.") from None
