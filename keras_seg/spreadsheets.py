"""CSV that a spreadsheet opens as what it says."""

import csv

from keras_seg.files import replacing

_FORMULA_STARTS = ("=", "+", "-", "@")


def write_rows(file, rows):
    """Writes rows of CSV, in which no text is a formula.

    Spreadsheets run what begins like one, and a formula may start programs. A quote before it makes it text.

    Args:
        file: Text file, opened with `newline=""`.
        rows: Lists of text and numbers.
    """
    csv.writer(file, lineterminator="\n").writerows([list(map(_cell, row)) for row in rows])


def write_csv(path, rows):
    """Writes a file of `write_rows`, whole or not at all; raises InputError where it cannot be written."""
    # The names of files need not be text.
    options = {"newline": "", "encoding": "utf-8", "errors": "backslashreplace"}
    with replacing(path) as temporary, temporary.open("w", **options) as file:
        write_rows(file, rows)


def _cell(value):
    if not isinstance(value, str):
        return value
    text = value.replace("\r", " ").replace("\t", " ")  # The writer would leave a "\r" bare: a new line.
    bare = text.strip()
    is_formula = len(bare) > 1 and bare.startswith(_FORMULA_STARTS) and not _is_number(bare)
    return f"'{text}" if is_formula else text


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
