"""A summary of the run folders below a folder, without Keras and TensorFlow."""

import math
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from keras_seg.errors import InputError
from keras_seg.runs import CONFIG, Run
from keras_seg.training.run_state.history import SCORE, read_history

SETTINGS = ("epochs", "loss", "optimizer", "learning_rate", "image_size", "batch_size", "precision", "seed")


def find_runs(folder):
    """Reads the runs below a folder, or the folder's own.

    Args:
        folder: Where to look; what lies in a run is not looked at.

    Returns:
        `(rows, problems)`: a dict of settings and figures for each run, best validation mean IoU first, None
        for what is not known; and a line for each run that cannot be read.

    Raises:
        InputError: There is no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; name the one that holds the runs")
    rows, problems = [], []

    def note(error):
        problems.append(f"{error.filename}: cannot be read ({error.strerror})")

    for path, folders, files in os.walk(root, onerror=note):
        folders.sort()
        if CONFIG in files:
            folders.clear()
            try:
                rows.append(_read_run(Path(path), root))
            except InputError as error:
                problems.append(str(error))
    rows.sort(key=lambda row: -1 if row["mean_iou"] is None else row["mean_iou"], reverse=True)
    return rows, problems


def _read_run(path, root):
    run = Run.open(path)
    history = read_history(path / "history.csv")
    scored = [row for row in history if not math.isnan(row[SCORE])]
    best = max(scored, key=lambda row: row[SCORE], default={})
    started = datetime.fromtimestamp((path / CONFIG).stat().st_mtime)
    return {
        "run": str(path.relative_to(root)) if path != root else path.resolve().name,
        "model": run.config["model"],
        "data": Path(str(run.config.get("data") or "shapes")).name,
        "mean_iou": best.get(SCORE),
        "pixel_accuracy": best.get("val_pixel_accuracy"),
        "best_epoch": int(best["epoch"]) if best else None,
        "epochs_done": int(history[-1]["epoch"]) if history else 0,
        **{name: run.config.get(name) for name in SETTINGS},
        "parameters": _count_parameters(run.best_path),
        "date": started.isoformat(sep=" ", timespec="minutes"),
    }


def _count_parameters(path):
    """The number of weights in a `.keras` file, None where there is none that can be read."""
    # Half of this command's time, so only where it is needed.
    import h5py

    from keras_seg.weights_files import open_keras, reading

    numbers = []

    def note(_, item):
        # What is no float is the state of a random generator.
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
            numbers.append(item.size)

    with suppress(InputError), reading(path), open_keras(path) as (_, weights):
        weights.visititems(note)
        return sum(numbers)
