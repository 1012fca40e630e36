"""The metrics of every epoch, `history.csv`, and what follows from them; without Keras."""

import csv
import math

from keras_seg.errors import InputError
from keras_seg.files import replacing
from keras_seg.spreadsheets import write_rows

SCORE = "val_mean_iou"


def read_history(path):
    """The rows of a `history.csv`, one per finished epoch, as floats; empty without a file.

    Raises:
        InputError: The file is no history.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    except (OSError, TypeError, ValueError, csv.Error):
        rows = [{}]
    if not all({"epoch", SCORE} <= row.keys() and math.isfinite(row["epoch"]) for row in rows):
        raise InputError(f"{path}: is no history of a training; remove it")
    return rows


def is_better(score, best):
    """Whether a validation mean IoU is the best so far; `best` is the previous best, or None.

    Where nothing of the validation masks is labeled, all of them are 0, and the last model is the best.
    """
    return best is None or score > best or score == best == 0


def best_row(rows):
    """The row with the best validation mean IoU, the first of equals; None where there is none."""
    return max(rows, key=lambda row: row[SCORE], default=None)


def epochs_without_better(rows):
    """Epochs since the best one: 0 if it is the last one or there is none."""
    return len(rows) - 1 - rows.index(best_row(rows)) if rows else 0


def plateau_factor(rows, patience, factor):
    """The factor of the learning rate after these epochs.

    It follows from the history alone, so a resumed training needs no counter of its own.

    Args:
        rows: Of `read_history`.
        patience: Epochs without a better validation mean IoU after which the rate drops, and again after
            as many.
        factor: Of each drop.

    Returns:
        A power of `factor`.
    """
    best, waited, drops = float("-inf"), 0, 0
    for row in rows:
        waited = 0 if row[SCORE] > best else waited + 1
        best = max(best, row[SCORE])
        if waited >= patience:
            drops, waited = drops + 1, 0
    return factor**drops


def write_history(path, rows):
    """Rewrites `history.csv` completely; without rows there is none."""
    if not rows:
        path.unlink(missing_ok=True)
        return
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        names = list(rows[-1])
        write_rows(file, [names, *([row.get(name, "") for name in names] for row in rows)])
