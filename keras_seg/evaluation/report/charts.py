"""Where the lines, dots and ticks of the report's charts lie; its templates draw them as SVG."""

import math
from typing import NamedTuple

import numpy as np

WIDTH, HEIGHT = 300, 180  # Of the area within the axes, in SVG's units.


class Line(NamedTuple):
    """A line of a chart.

    Attributes:
        label: What it shows.
        kind: Name of its style.
        points: Text of SVG's `points`.
    """

    label: str
    kind: str
    points: str


class Tick(NamedTuple):
    """A mark at an axis.

    Attributes:
        place: Of it, in SVG's units from the left or from the top.
        text: Its number.
    """

    place: float
    text: str


class Chart(NamedTuple):
    """A chart.

    Attributes:
        title, x_title, y_title: Texts.
        lines: List of `Line`.
        x_ticks, y_ticks: Lists of `Tick`.
        mark: (x, y, text) of what is pointed out, in SVG's units; None for nothing.
    """

    title: str
    x_title: str
    y_title: str
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    mark: tuple | None = None


def curves(rows):
    """Draws the history of a training: loss, mean IoU and learning rate over the epochs.

    Args:
        rows: Of `history.csv`.

    Returns:
        List of `Chart`s, of those of which the history has numbers.
    """
    scored = [row for row in rows if "val_mean_iou" in row]
    best = max(scored, key=lambda row: row["val_mean_iou"], default=None)
    kinds = (("training", ""), ("validation", "val_"))
    charts = []
    for title, column in (("loss", "loss"), ("mean IoU", "mean_iou")):
        series = [(label, label, _series(rows, prefix + column)) for label, prefix in kinds]
        at = best and column == "mean_iou" and (best["epoch"], best["val_mean_iou"])
        charts.append(_chart(title, series, at and (*at, f"best: {at[1]:.3f} in epoch {at[0]:.0f}")))
    rates = _series(rows, "learning_rate")
    charts.append(_chart("learning rate", [("learning rate", "rate", rates)], None))
    return [chart for chart in charts if chart.lines]


def ticks(low, high, count=5):
    """Returns round numbers between two others, about `count` of them.

    >>> ticks(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span = high - low or abs(high) or 1
    rough = span / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough * 0.99)
    first = math.ceil(low / step - 1e-9)
    return [float(f"{number * step:.6g}") for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _series(rows, column):
    found = [(row["epoch"], row[column]) for row in rows if column in row]
    return [point for point in found if all(map(math.isfinite, point))]


def _chart(title, series, mark):
    points = np.array([point for *_, found in series for point in found], float).reshape(-1, 2)
    if not len(points):
        return Chart(title, "epoch", title, [], [], [])
    left, low = points.min(axis=0)
    right, high = points.max(axis=0)
    low = min(low, 0.0)
    right, high = max(right, left + 1), high if high > low else low + 1

    def place(x, y):
        return round((x - left) / (right - left) * WIDTH, 1), round((high - y) / (high - low) * HEIGHT, 1)

    lines = [
        Line(label, kind, " ".join("{},{}".format(*place(*point)) for point in found))
        for label, kind, found in series
        if found
    ]
    # Epochs are whole.
    x_ticks = [Tick(place(x, low)[0], f"{x:.0f}") for x in ticks(left, right) if x == int(x)]
    y_ticks = [Tick(place(left, y)[1], _short(y)) for y in ticks(low, high)]
    mark = mark and (*place(*mark[:2]), mark[2])
    return Chart(title, "epoch", title, lines, x_ticks, y_ticks, mark)


def _short(number):
    """A tick's number, which has little room beside the axis: 0.2, or 1.5e-4."""
    if not 0 < abs(number) < 1e-3:
        return f"{number:.4g}"
    digits, power = f"{number:.2e}".split("e")
    return f"{float(digits):g}e{int(power)}"
