"""The figures of every epoch: `history.csv`, and what can be read off it."""

import csv

import keras

from keras_seg.errors import InputError
from keras_seg.files import replacing
from keras_seg.spreadsheets import write_rows

SCORE = "val_mean_iou"


def read_history(path):
    """Rows of a `history.csv`, one a finished epoch, numbers as floats; empty where there is none.

    Raises:
        InputError: The file is no history.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    except (OSError, TypeError, ValueError):
        raise InputError(f"{path}: is no history of a training; remove it to start the curves anew") from None


def is_better(score, best):
    """Whether a model's validation mean IoU makes it the best, where `best` is that before it, or None.

    Where nothing of the validation masks is labeled, all of them are 0, and the last model is the best.
    """
    return best is None or score > best or score == best == 0


def best_row(rows):
    """The row with the best validation mean IoU, the first of equals; None where there is none."""
    return max(rows, key=lambda row: row[SCORE], default=None)


def epochs_without_better(rows):
    """Epochs since the best one: 0 where the last one is it, and where there is none."""
    return len(rows) - 1 - rows.index(best_row(rows)) if rows else 0


def write_history(path, rows):
    """Writes `history.csv` anew, whole; without rows there is none."""
    if not rows:
        path.unlink(missing_ok=True)
        return
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        names = list(rows[-1])
        write_rows(file, [names, *([row.get(name, "") for name in names] for row in rows)])


class History(keras.callbacks.Callback):
    """Adds a row to the figures after each epoch, and writes `history.csv`.

    Args:
        path: The file; None: the rows alone are kept.
        rows: List of the rows so far, which is added to.
    """

    def __init__(self, path, rows):
        super().__init__()
        self.path = path
        self.rows = rows

    def on_epoch_end(self, epoch, logs=None):
        figures = {key: float(value) for key, value in sorted((logs or {}).items())}
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.rows.append({"epoch": epoch + 1, **figures, "learning_rate": rate})
        if self.path is not None:
            write_history(self.path, self.rows)
