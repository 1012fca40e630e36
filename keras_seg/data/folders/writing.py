"""Writes dataset.json."""

import itertools
import json
from pathlib import Path

from keras_seg.data.folders.description import FILE_NAME, Description, parse_description
from keras_seg.files import replacing


def format_description(content: dict) -> str:
    """Returns the text of a dataset.json, a key a line."""
    entries = (f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
    return "{\n" + ",\n".join(entries) + "\n}"


def content_of(described: Description) -> dict:
    """Returns the keys that are given."""
    told = described._asdict().items()
    return {key: value for key, value in told if value is not None and value is not False and value != ()}


def check_content(folder: Path, content: dict) -> None:
    """Raises InputError if `read_description` would not accept the content of a dataset.json."""
    parse_description(folder / FILE_NAME, format_description(content))


def write_description(folder: Path, content: dict, *, keep_old: bool) -> Path:
    """Writes a folder's dataset.json.

    Args:
        folder: the data folder.
        content: its keys.
        keep_old: whether to leave another dataset.json that is there as dataset.json.bak, or .bak2 and so on
            where there is one already.

    Returns:
        The file.

    Raises:
        InputError: the content is none that `read_description` takes, or it cannot be written.
    """
    path, text = folder / FILE_NAME, format_description(content) + "\n"
    check_content(folder, content)
    if keep_old and path.exists() and path.read_bytes() != text.encode():
        with replacing(_unused(folder / f"{FILE_NAME}.bak")) as backup:
            backup.write_bytes(path.read_bytes())
    with replacing(path) as new:
        new.write_text(text, encoding="utf-8")
    return path


def _unused(path):
    numbered = (path.with_name(f"{path.name}{number}") for number in itertools.count(2))
    return next(each for each in itertools.chain([path], numbered) if not each.exists())
