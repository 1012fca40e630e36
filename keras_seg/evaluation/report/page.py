"""The report of an evaluation, and of two beside each other: HTML files that need no network.

The pages are Jinja2's templates in this folder, which escape all that is put into them; gallery.html has the
macros of an image with its layers and slider, for other pages as well.
"""

import base64
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_seg import __version__
from keras_seg.evaluation import verdict
from keras_seg.evaluation.report.charts import HEIGHT, WIDTH, Chart, Line, Tick, curves
from keras_seg.evaluation.tables import SUMMARY, fraction
from keras_seg.files import replacing
from keras_seg.palette import clear_class

_MOST_NUMBERED = 30  # Classes of a confusion matrix whose cells hold numbers.
_LAYERS = {"errors": "Errors", "prediction": "Prediction", "truth": "Ground truth", "none": "Image alone"}
_BOTH = {"errors": "Errors", "prediction": "Predictions"}
COLUMNS = {
    "iou": "IoU",
    "precision": "precision",
    "recall": "recall",
    "dice": "Dice",
    "boundary_iou": "boundary IoU",
}
_RESAMPLES = 1000
_HOME = "keras_seg.evaluation.report"


class About(NamedTuple):
    """What a report is about.

    Attributes:
        model: Name of the network.
        run: The run folder, as it is typed.
        data: Name of the data set.
        split: Name of the split.
        history: Rows of `history.csv`.
        settings: `{name: value}` of what differs from the defaults.
        can_train_anew: Whether the run's `config.json` holds all its settings.
    """

    model: str
    run: str
    data: str
    split: str
    history: Sequence = ()
    settings: dict = {}  # noqa: RUF012  (never changed)
    can_train_anew: bool = True


def write_report(path, about, metrics, gallery, classes_colors):
    """Writes the report of an evaluation.

    Args:
        path: Of the HTML file.
        about: `About`.
        metrics: As of `evaluate`.
        gallery: `Gallery` that was shown the images.
        classes_colors: RGB per class, [C, 3].

    Raises:
        InputError: The file cannot be written.
    """
    pictures = gallery.pictures()
    colors = np.asarray(classes_colors).tolist()
    write_page(
        path,
        "report.html",
        title=f"{about.model} on {about.data}",
        about=about,
        metrics=metrics,
        grade=verdict.grade(metrics),
        baseline=verdict.baseline(metrics),
        confusions=verdict.largest_confusions(metrics),
        calibration=verdict.calibration_sentence(metrics),
        steps=verdict.next_steps(about.run, metrics, about.history, about.can_train_anew),
        summary=[(title, key, metrics[key], metrics["intervals"].get(key)) for title, key in SUMMARY],
        columns=COLUMNS,
        classes=_classes(metrics, colors),
        matrix=_matrix(metrics),
        is_numbered=len(colors) <= _MOST_NUMBERED,
        charts=curves(about.history),
        reliability=_reliability(metrics),
        pictures=pictures,
        layers=_LAYERS,
        legend=legend([row["name"] for row in metrics["classes"]], colors),
    )


def write_comparison(path, titles, metrics, galleries, classes_colors, data):
    """Writes a page that compares two runs on the same images, one by one.

    Args:
        path: Of the HTML file.
        titles: What the two runs are called.
        metrics: As of `evaluate`, of each.
        galleries: `Gallery` of each, which were shown the same images in the same order.
        classes_colors: RGB per class, [C, 3].
        data: What the images are of, a text.

    Raises:
        InputError: The file cannot be written.
    """
    first, second = ({picture.number: picture for picture in gallery.pictures()} for gallery in galleries)
    pairs = [(first[number], second[number]) for number in first.keys() & second.keys()]
    pairs.sort(key=lambda pair: (pair[1].mean_iou - pair[0].mean_iou, pair[0].number))
    differences = np.subtract(galleries[1].scores, galleries[0].scores)
    differences = differences[~np.isnan(differences)]
    colors = np.asarray(classes_colors).tolist()
    rows = [
        (title, *(each[key] for each in metrics))
        for title, key in SUMMARY
        if all(each[key] is not None for each in metrics)
    ]
    classes = [
        (one["name"], one["iou"], other["iou"])
        for one, other in zip(*(each["classes"] for each in metrics), strict=True)
    ]
    write_page(
        path,
        "comparison.html",
        title=f"{titles[0]} and {titles[1]} on {data}",
        titles=titles,
        metrics=metrics,
        summary=rows,
        classes=classes,
        better=[int((differences > 0).sum()), int((differences < 0).sum())],
        total=len(differences),
        difference=_interval(differences),
        pairs=pairs,
        layers=_BOTH,
        legend=legend([row["name"] for row in metrics[0]["classes"]], colors),
    )


def write_page(path, template, folder=_HOME, **values):
    """Writes a page from a template, which may extend base.html and import from gallery.html and charts.html.

    Args:
        path: Of the HTML file.
        template: Its name.
        folder: The package that it lies in.
        **values: What it shows, with its `title`; all is escaped.

    Raises:
        InputError: The file cannot be written.
    """
    # Imported here, since whoever writes no report can do without it.
    import jinja2

    loaders = [jinja2.PackageLoader(name, "") for name in dict.fromkeys((folder, _HOME))]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"fraction": fraction, "uri": _uri}
    values |= {"version": __version__, "chart_width": WIDTH, "chart_height": HEIGHT}
    text = environment.get_template(template).render(values)
    with replacing(path) as temporary:
        # The names of files need not be text.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def _uri(contents, kind):
    return f"data:image/{kind};base64,{base64.b64encode(contents).decode()}"


def legend(names, colors):
    """Returns what `toolbar` of gallery.html shows of each class: (name, color, whether it is left clear)."""
    colors = np.asarray(colors).tolist()
    clear = clear_class(names, colors)
    return [
        (name, color, index == clear) for index, (name, color) in enumerate(zip(names, colors, strict=True))
    ]


def _classes(metrics, colors):
    """The rows of the table of classes: dicts of `COLUMNS`, with name, color and pixels."""
    matrix = np.array(metrics["confusion"], np.float64)
    predicted = matrix.sum(axis=0)
    return [
        {
            **row,
            "color": color,
            "precision": matrix[index, index] / predicted[index] if predicted[index] else None,
            "recall": row["accuracy"],
        }
        for index, (row, color) in enumerate(zip(metrics["classes"], colors, strict=True))
    ]


def _matrix(metrics):
    """For each class its name, and (other name, part of its pixels, pixels, whether it is right)."""
    matrix = np.array(metrics["confusion"], np.int64)
    parts = (matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)).tolist()
    names = [row["name"] for row in metrics["classes"]]
    return [
        (
            name,
            [
                (*cell, row == column)
                for column, cell in enumerate(zip(names, parts[row], counts, strict=True))
            ],
        )
        for row, (name, counts) in enumerate(zip(names, matrix.tolist(), strict=True))
    ]


def _reliability(metrics):
    """Accuracy over confidence as a `Chart`, and its dots: (x, y, radius, text)."""
    bins = metrics["calibration"]
    total = max(sum(each["pixels"] for each in bins), 1)
    places = [(WIDTH * each["confidence"], HEIGHT * (1 - each["accuracy"])) for each in bins]
    dots = []
    for each, (x, y) in zip(bins, places, strict=True):
        text = "confidence {confidence:.3f}, accuracy {accuracy:.3f}, {pixels:,} pixels".format(**each)
        dots.append((round(x, 1), round(y, 1), round(3 + 12 * (each["pixels"] / total) ** 0.5, 1), text))
    fifths = [number / 5 for number in range(6)]
    lines = [
        Line("confidence is accuracy", "diagonal", f"0,{HEIGHT} {WIDTH},0"),
        Line("model", "validation", " ".join(f"{x:.1f},{y:.1f}" for x, y in places)),
    ]
    x_ticks = [Tick(WIDTH * value, f"{value:.1f}") for value in fifths]
    y_ticks = [Tick(HEIGHT * (1 - value), f"{value:.1f}") for value in fifths]
    return Chart("accuracy over confidence", "confidence", "accuracy", lines, x_ticks, y_ticks), dots


def _interval(differences):
    """Mean of the images' differences, and its 95 % interval by bootstrap; None without images."""
    if not len(differences):
        return None
    drawn = np.random.default_rng(0).integers(len(differences), size=(_RESAMPLES, len(differences)))
    low, high = np.percentile(differences[drawn].mean(axis=1), (2.5, 97.5))
    return float(differences.mean()), float(low), float(high)
