"""The metrics of an evaluation, for a reader and for a program."""

import io
import json
from collections.abc import Mapping
from typing import Any

from keras_seg.files import replacing
from keras_seg.hints import PathLike
from keras_seg.spreadsheets import write_rows
from keras_seg.texts import aligned

SUMMARY = (
    ("mean IoU", "mean_iou"),
    ("pixel accuracy", "pixel_accuracy"),
    ("mean accuracy", "mean_accuracy"),
    ("frequency-weighted IoU", "frequency_weighted_iou"),
    ("mean Dice", "mean_dice"),
    ("mean boundary IoU", "mean_boundary_iou"),
    ("calibration error", "calibration_error"),
)
CLASS_COLUMNS = (("IoU", "iou"), ("accuracy", "accuracy"), ("Dice", "dice"), ("boundary IoU", "boundary_iou"))


def format_table(metrics: Mapping[str, Any]) -> str:
    """Returns the text of an evaluation: a line per class, then the figures of all, as fractions."""
    rows = [["class", *(title for title, _ in CLASS_COLUMNS), "pixels"]]
    for each in metrics["classes"]:
        rows.append([each["name"], *(fraction(each[key]) for _, key in CLASS_COLUMNS), f"{each['pixels']:,}"])
    summary = [[title, fraction(metrics[key]), _interval(metrics, key)] for title, key in SUMMARY]
    counts = f"{metrics['num_images']:,} images, {metrics['num_pixels']:,} labeled pixels"
    return "\n".join([aligned(rows), "", aligned(summary), counts])


def compare(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the text of several evaluations of one data set side by side.

    Args:
        found: {title: metrics}, with the same classes.
    """
    rows = [["", *found]]
    rows += [[title, *(fraction(each[key]) for each in found.values())] for title, key in SUMMARY]
    rows.append(["IoU of", *[""] * len(found)])
    for classes in zip(*(each["classes"] for each in found.values()), strict=True):
        rows.append([f"  {classes[0]['name']}", *(fraction(row["iou"]) for row in classes)])
    return aligned(rows)


def _interval(metrics, key):
    low, high = metrics["intervals"].get(key, (None, None))
    return "" if low is None else f"[{low:.3f}, {high:.3f}]"


def fraction(value):
    """A figure's text, a dash for None."""
    return "-" if value is None else f"{value:.3f}"


def write_metrics(path: PathLike, metrics: Mapping[str, Any]) -> None:
    """Writes the metrics as JSON; a name that ends in .csv gets the classes, a line each.

    Raises:
        InputError: the file cannot be written.
    """
    is_csv = str(path).endswith(".csv")
    text = _csv(metrics) if is_csv else json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(path) as temporary:
        # The name of a data folder need not be text; JSON takes it so.
        temporary.write_text(text.rstrip() + "\n", encoding="utf-8", errors="backslashreplace")


def _csv(metrics):
    text = io.StringIO()
    write_rows(text, [list(metrics["classes"][0]), *(row.values() for row in metrics["classes"])])
    return text.getvalue()
