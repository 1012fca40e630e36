"""Color tables: which RGB color stands for which class in the masks, from the files that people have."""

import re
from pathlib import Path

from keras_seg.classes import MAX_CLASSES
from keras_seg.errors import InputError
from keras_seg.texts import is_text, parse_json, read_text

IGNORED_NAMES = frozenset({"ignore", "ignored", "void"})
_COLOR = r"(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})"
# `128, 64, 128, road` (CamVid's label_colors.txt) and `road, 128, 64, 128` (a class_dict.csv).
_COLOR_FIRST = re.compile(rf"{_COLOR}[\s,;:]*(.*)")
_NAME_FIRST = re.compile(rf"(.+?)[\s,;:=]+{_COLOR}[\s,;]*")


def read_color_table(path):
    """Reads a color table: lines of a color and a name (either first), or JSON.

    JSON is a list of [R, G, B], or an object of names and [R, G, B]. A line of names without numbers at the
    top is a heading. The colors that are named ignore, ignored or void are ignored.

    Args:
        path: the file.

    Returns:
        (class names or None where there are none, colors of the classes in id order, ignored colors).

    Raises:
        InputError: the file is no color table.
    """
    path = Path(path)
    text = read_text(path, " as a color table")
    entries = _from_json(path, text) if text.lstrip()[:1] in ("{", "[") else _from_lines(path, text)
    ignored = tuple(color for name, color in entries if name.lower() in IGNORED_NAMES)
    kept = [(name, color) for name, color in entries if name.lower() not in IGNORED_NAMES]
    names, colors = tuple(name for name, _ in kept), tuple(color for _, color in kept)
    _check(path, [name for name in names if name], [color for _, color in entries])
    if not 1 <= len(kept) <= MAX_CLASSES:
        raise InputError(f"{path}: holds {len(kept)} classes; a color table has 1 to {MAX_CLASSES}.")
    return (names if all(names) else None), colors, ignored


def _from_json(path, text):
    content = parse_json(path, text)
    entries = content.items() if isinstance(content, dict) else (("", color) for color in content)
    return [(name.strip(), _color(path, color)) for name, color in entries]


def _from_lines(path, text):
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip().replace('"', "")
        if not line or line.startswith("#"):
            continue
        if match := _COLOR_FIRST.fullmatch(line):
            *color, name = match.groups()
        elif match := _NAME_FIRST.fullmatch(line):
            name, *color = match.groups()
        elif not entries and not any(sign.isdigit() for sign in line):
            continue  # A heading
        else:
            raise InputError(
                f"{path}: line {number} is {line[:60]!r}; a line holds red, green, blue and a name."
            )
        entries.append((name.strip(), _color(path, [int(part) for part in color])))
    return entries


def _color(path, color):
    is_right = isinstance(color, list) and len(color) == 3 and all(type(part) is int for part in color)
    if not is_right or not all(0 <= part <= 255 for part in color):
        raise InputError(f"{path}: {str(color)[:60]} is not a color; write three numbers from 0 to 255.")
    return tuple(color)


def _check(path, names, colors):
    for things in (names, colors):
        twice = next((thing for index, thing in enumerate(things) if thing in things[:index]), None)
        if twice is not None:
            raise InputError(f"{path}: {twice} is there twice; a name and a color stand for one class each.")
    if broken := [name for name in names if not is_text(name)]:
        raise InputError(f"{path}: the name {broken[0]!r} is not text; correct it.")
