"""dataset.json: what a data folder says about itself, checked key by key."""

import os
from pathlib import Path
from typing import NamedTuple

from keras_seg.classes import COLORS, MAX_CLASSES, NAMES, class_colors, class_names, is_list_of
from keras_seg.data.samples import split_name
from keras_seg.errors import InputError, nearest
from keras_seg.rows import MAX_CHANNELS
from keras_seg.texts import parse_json, read_text, shown

FILE_NAME = "dataset.json"


class Description(NamedTuple):
    """The keys of dataset.json; None where a key is not given.

    Attributes:
        classes: names in id order.
        colors: RGB (0..255) per class.
        ignore_label: a mask value to ignore besides 255.
        mask_values: the mask value of each class, in id order.
        splits: train, val or test to the keys `images`, `masks` (folders) and, optionally, `mask_suffix`, or
            to the name of a list file; relative to the data folder.
        ignore_labels: more mask values or RGB colors to ignore.
        mask_colors: the RGB color of each class in the masks; True: they are `colors`.
        reduce_zero_label: whether 0 is ignored and value k is class k - 1.
        channels: of the images, which are then read as they are stored; None: they become RGB of 8 bits.
        binary: whether one class is told from the background by a single logit; None: if one is listed.
    """

    classes: tuple[str, ...] | None = None
    colors: tuple[tuple[int, int, int], ...] | None = None
    ignore_label: int | None = None
    mask_values: tuple[int, ...] | None = None
    splits: dict[str, dict[str, str] | str] | None = None
    ignore_labels: tuple[int | tuple[int, int, int], ...] | None = None
    mask_colors: tuple[tuple[int, int, int], ...] | bool | None = None
    reduce_zero_label: bool | None = None
    binary: bool | None = None
    channels: int | None = None


def read_description(root: Path) -> Description:
    """Reads the folder's dataset.json; an empty Description where there is none.

    Raises:
        InputError: where it is no JSON or a key does not hold what it should.
    """
    path = root / FILE_NAME
    if not os.path.lexists(path):  # A link that leads nowhere is no folder without a description.
        return Description()
    return parse_description(path, read_text(path))


def parse_description(path: Path, text: str) -> Description:
    """Parses the text of a dataset.json; `path` is for the messages.

    Raises:
        InputError: as `read_description` does.
    """
    content = parse_json(path, text)
    if not isinstance(content, dict):
        raise InputError(f"{path}: must hold an object {{...}}, not {shown(content)}.")
    for key in content:
        if key not in _READERS:
            near = nearest(key, _READERS) or f"; the keys are {', '.join(_READERS)}."
            raise InputError(f"{path}: unknown key {key!r}{near}")
    values = {}
    for key, value in content.items():
        reader, wanted = _READERS[key]
        values[key] = None if value is None else reader(value)
        if value is not None and values[key] is None:
            raise InputError(f"{path}: {key!r} must be {wanted}, received {shown(value)}.")
    described = Description(**values)
    _check_lengths(path, described)
    _check_meaning(path, described)
    return described._replace(splits=_named(path, described.splits))


def _named(path, splits):
    """Returns the splits by their names here, whichever spelling people chose."""
    named = {}
    for spelling, entry in (splits or {}).items():
        name = split_name(spelling, path)
        if name in named:
            raise InputError(f"{path}: has the split {name} twice, also as {spelling!r}; keep one of them.")
        named[name] = entry
    return named or None


def _check_lengths(path, described):
    for key in ("colors", "mask_values", "mask_colors"):
        value = getattr(described, key)
        if described.classes and isinstance(value, tuple) and len(value) != len(described.classes):
            raise InputError(
                f"{path}: {key!r} has {len(value)} entries and 'classes' has {len(described.classes)};"
                " they must be equally many."
            )


def _check_meaning(path, described):
    given = [key for key in ("mask_values", "mask_colors", "reduce_zero_label") if getattr(described, key)]
    if len(given) > 1:
        raise InputError(f"{path}: {given[0]!r} and {given[1]!r} contradict each other; keep one of them.")
    if described.mask_colors is True and not described.colors:
        raise InputError(f"{path}: 'mask_colors' is true, but there are no 'colors'; list them.")
    colors = described.colors if described.mask_colors is True else described.mask_colors
    if colors and len(set(colors)) < len(colors):
        raise InputError(f"{path}: two classes have the same color in the masks; no mask can tell them.")


def _mask_value(value):
    return value if is_list_of([value], int) and 0 <= value <= 65535 else None


def _mask_values(value):
    is_right = is_list_of(value, int) and len(set(value)) == len(value) <= MAX_CLASSES
    return tuple(value) if is_right and min(value) >= 0 and max(value) <= 65535 else None


def _ignore_labels(value):
    """Takes mask values and colors in one list."""
    if not isinstance(value, list):
        return None
    labels = [
        _mask_value(item) if type(item) is int else (class_colors([item]) or [None])[0] for item in value
    ]
    return None if None in labels else tuple(labels)


def _mask_colors(value):
    if isinstance(value, bool):
        return value
    return class_colors(value)


def _flag(value):
    return value if isinstance(value, bool) else None


def _channels(value):
    return value if is_list_of([value], int) and 1 <= value <= MAX_CHANNELS else None


def _splits(value):
    is_right = isinstance(value, dict) and value and all(_is_split(entry) for entry in value.values())
    return dict(value) if is_right else None


def _is_split(entry):
    if isinstance(entry, str):
        return bool(entry)
    keys = {"images", "masks"}
    return (
        isinstance(entry, dict)
        and keys <= set(entry) <= keys | {"mask_suffix"}
        and is_list_of(list(entry.values()), str)
    )


# Each key's reader, which returns None for what it does not take, and what it does take.
_READERS = {
    "classes": (class_names, NAMES),
    "colors": (class_colors, COLORS),
    "ignore_label": (_mask_value, "a mask value between 0 and 65535"),
    "mask_values": (_mask_values, "a list of different mask values between 0 and 65535"),
    "splits": (_splits, 'like {"train": {"images": FOLDER, "masks": FOLDER}, "val": {...}}'),
    "ignore_labels": (_ignore_labels, "a list of mask values 0 to 65535 or of [red, green, blue]"),
    "mask_colors": (_mask_colors, f"true or {COLORS}"),
    "reduce_zero_label": (_flag, "true or false"),
    "binary": (_flag, "true or false"),
    "channels": (_channels, f"a whole number from 1 to {MAX_CHANNELS}"),
}
