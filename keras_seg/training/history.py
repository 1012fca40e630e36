"""The figures of every epoch: `history.csv`, and what can be read off it."""

import csv

import keras

from keras_seg.errors import InputError
from keras_seg.files import replacing

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


def best_row(rows):
    """The row with the best validation mean IoU, the first of equals; None where there is none."""
    return max(rows, key=lambda row: row[SCORE], default=None)


class History(keras.callbacks.Callback):
    """Writes `history.csv` anew after each epoch, whole.

    Args:
        path: The file.
        rows: Of the epochs before this training started, when it goes on from a checkpoint.
    """

    def __init__(self, path, rows=()):
        super().__init__()
        self.path = path
        self.rows = list(rows)

    def on_epoch_end(self, epoch, logs=None):
        figures = {key: float(value) for key, value in sorted((logs or {}).items())}
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.rows.append({"epoch": epoch + 1, **figures, "learning_rate": rate})
        with replacing(self.path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.rows[-1].keys())
            writer.writeheader()
            writer.writerows(self.rows)
