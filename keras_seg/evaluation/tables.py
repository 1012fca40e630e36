"""The figures of an evaluation for a reader and for a program."""

import json

from keras_seg.files import replacing

_SUMMARY = (
    ("mean IoU", "mean_iou"),
    ("pixel accuracy", "pixel_accuracy"),
    ("mean accuracy", "mean_accuracy"),
    ("frequency-weighted IoU", "frequency_weighted_iou"),
)


def format_table(metrics):
    """Returns the text of an evaluation: a line per class, then the four figures, as fractions."""
    width = max(len(text) for text in ("class", *(title for title, _ in _SUMMARY), *_names(metrics)))
    lines = [f"{'class':<{width}}  {'IoU':>6}  {'accuracy':>8}  {'pixels':>12}"]
    for row in metrics["classes"]:
        figures = f"{_fraction(row['iou']):>6}  {_fraction(row['accuracy']):>8}  {row['pixels']:>12,}"
        lines.append(f"{row['name']:<{width}}  {figures}")
    lines += ["", *(f"{title:<{width}}  {_fraction(metrics[key]):>6}" for title, key in _SUMMARY)]
    return "\n".join([*lines, f"{metrics['num_images']:,} images, {metrics['num_pixels']:,} labeled pixels"])


def _names(metrics):
    return (row["name"] for row in metrics["classes"])


def _fraction(value):
    return "-" if value is None else f"{value:.3f}"


def write_metrics(path, metrics):
    """Writes the figures as JSON.

    Raises:
        InputError: the file cannot be written.
    """
    with replacing(path) as temporary:
        text = json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
