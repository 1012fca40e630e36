"""Reads text and JSON files that people wrote, and says in one line what is wrong with them."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_seg.errors import InputError
from keras_seg.files import regular_file


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Says in one line that the folder or file that the block looks at cannot be read.

    Args:
        path: what is meant where the system names nothing else.

    Raises:
        InputError: the system refuses: for want of rights, by a name that is too long, and so on.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{error.filename or path}: cannot be read ({error.strerror or error}); make it readable or name"
            " another."
        ) from None


def is_text(name: str) -> bool:
    """Whether a name holds something and can be written: JSON may hold halves of characters."""
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def read_text(path: Path, kind: str = "") -> str:
    """Returns the text of a UTF-8 file, with or without a byte order mark.

    Args:
        path: the file.
        kind: what it should be, for the message, such as " as a list".

    Raises:
        InputError: it cannot be read, or is no UTF-8 text.
    """
    try:
        return regular_file(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8."
        ) from None
    except InputError:
        raise
    except OSError as error:
        reason = str(error.strerror)
    except ValueError as error:  # A null byte in its name.
        reason = str(error)
    raise InputError(f"{path}: cannot be read{kind}: {reason}.")


def parse_json(path: Path, text: str) -> Any:
    """Returns the content of JSON text.

    Raises:
        InputError: it is no JSON, or an object in it has a key twice, of which one would be lost.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        reason = f"{error.msg} in line {error.lineno}"
    except _TwiceError as error:
        raise InputError(f"{path}: has the key {error.args[0]!r} twice; keep one of them.") from None
    except ValueError:
        reason = "it holds a number of thousands of digits"
    except RecursionError:
        reason = "it is nested too deep"
    raise InputError(f"{path}: is not JSON: {reason}.")


def shown(value: Any) -> str:
    """Returns a value of JSON for a message, shortened."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


class _TwiceError(Exception):
    """A key that is twice in an object."""


def _object(pairs):
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(name for index, name in enumerate(names) if name in names[:index]))
    return content


def listed(values, most=8):
    """Returns the first values, and the last, as text."""
    shown = ", ".join(str(value) for value in list(values)[:most])
    return f"{shown} ... {values[-1]}" if len(values) > most else shown


def aligned(rows: Iterable[Sequence[str]], *, numbers: bool = True) -> str:
    """Returns a table for a terminal: a line for each row, columns of equal width.

    Args:
        rows: the cells of each row, as many in all.
        numbers: whether all columns but the first are aligned to the right.
    """
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    signs = ["<", *[">" if numbers else "<"] * (len(widths) - 1)]
    return "\n".join(
        "  ".join(
            f"{cell:{sign}{width}}" for cell, sign, width in zip(row, signs, widths, strict=True)
        ).rstrip()
        for row in rows
    )


def markdown_table(titles: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[str] = ()) -> str:
    """Returns a table in Markdown.

    Args:
        titles: of the columns.
        rows: the cells of each row.
        right: titles of the columns that are aligned to the right.
    """
    rule = ["---:" if title in right else "---" for title in titles]
    lines = ((cell.replace("|", "\\|") for cell in line) for line in (titles, rule, *rows))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
