"""The page: static HTML, with a style sheet and a script that sorts tables and moves sliders."""

import base64
import json
from html import escape
from importlib.resources import files

import numpy as np

from keras_seg import __version__
from keras_seg.evaluation.tables import CLASS_COLUMNS, SUMMARY, fraction
from keras_seg.files import replacing

_MOST_NUMBERED = 30  # Classes of a confusion matrix whose cells hold numbers.
_LAYERS = {"truth": "Truth", "prediction": "Prediction", "errors": "Errors"}


def write_report(path, title, metrics, pictures, colors, settings):
    """Writes the report of an evaluation.

    Args:
        path: of the HTML file.
        title: of the page.
        metrics: as of `evaluate`.
        pictures: list of Picture, the worst first.
        colors: RGB per class, [C, 3].
        settings: dict of what the model was trained with, and how it was evaluated.

    Raises:
        InputError: the file cannot be written.
    """
    parts = {
        "TITLE": escape(title),
        "STYLE": _resource("report.css"),
        "SCRIPT": _resource("report.js"),
        "VERSION": escape(__version__),
        "SUMMARY": _summary(metrics),
        "CLASSES": _classes(metrics["classes"], colors),
        "CONFUSION": _confusion(metrics),
        "RELIABILITY": _reliability(metrics),
        "PICTURES": "\n".join(_picture(number, each) for number, each in enumerate(pictures)),
        "COUNT": f"{len(pictures)} of {metrics['num_images']:,} images, the worst first",
        "SETTINGS": _settings(settings),
    }
    text = _resource("report.html")
    for name, content in parts.items():
        text = text.replace(f"<!--{name}-->", content)
    with replacing(path) as temporary:
        # The names of files need not be text.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def _resource(name):
    return files("keras_seg.evaluation.report").joinpath(name).read_text(encoding="utf-8")


def _summary(metrics):
    cards = []
    for title, key in SUMMARY:
        low, high = metrics["intervals"].get(key, (None, None))
        between = "" if low is None else f"<small>95 %: {low:.3f} to {high:.3f}</small>"
        cards.append(f"<div class=card><dt>{title}</dt><dd>{fraction(metrics[key])}{between}</dd></div>")
    counts = ("images", f"{metrics['num_images']:,}"), ("labeled pixels", f"{metrics['num_pixels']:,}")
    cards += [f"<div class=card><dt>{title}</dt><dd>{count}</dd></div>" for title, count in counts]
    return "\n".join(cards)


def _classes(rows, colors):
    head = "".join(_sortable(title) for title in ("class", *(title for title, _ in CLASS_COLUMNS), "pixels"))
    lines = []
    for row, color in zip(rows, np.asarray(colors).tolist(), strict=True):
        swatch = f'<span class=swatch style="background:rgb({color[0]},{color[1]},{color[2]})"></span>'
        cells = "".join(_bar(row[key]) for _, key in CLASS_COLUMNS)
        count = f"<td data-value={row['pixels']}>{row['pixels']:,}</td>"
        lines.append(f"<tr><th scope=row>{swatch}{escape(row['name'])}</th>{cells}{count}</tr>")
    return f"<table class=sortable><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _sortable(title):
    return f"<th scope=col><button type=button>{title}</button></th>"


def _bar(value):
    if value is None:
        return "<td data-value=-1>-</td>"
    return f'<td data-value={value} class=bar style="--part:{value:.4f}">{value:.3f}</td>'


def _confusion(metrics):
    matrix = np.array(metrics["confusion"], np.float64)
    parts = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    names = [escape(row["name"]) for row in metrics["classes"]]
    is_numbered = len(names) <= _MOST_NUMBERED
    head = "".join(f"<th scope=col><span>{name}</span></th>" for name in names)
    lines = []
    for name, row, counts in zip(names, parts.tolist(), matrix.astype(int).tolist(), strict=True):
        cells = "".join(
            f'<td style="--part:{part:.3f}" title="{name} taken for {other}: {count:,} pixels">'
            f"{f'{100 * part:.0f}' if is_numbered and part >= 0.005 else ''}</td>"
            for other, part, count in zip(names, row, counts, strict=True)
        )
        lines.append(f"<tr><th scope=row>{name}</th>{cells}</tr>")
    corner = "<td class=corner>truth \\ prediction</td>"
    body = "".join(lines)
    return f"<table class=confusion><thead><tr>{corner}{head}</tr></thead><tbody>{body}</tbody></table>"


def _reliability(metrics):
    """Accuracy over confidence, as a drawing; on the diagonal they are the same."""
    points = [(each["confidence"], each["accuracy"], each["pixels"]) for each in metrics["calibration"]]
    line = " ".join(f"{100 * x:.1f},{100 - 100 * y:.1f}" for x, y, _ in points)
    total = max(sum(count for *_, count in points), 1)
    dots = "".join(
        f"<circle cx={100 * x:.1f} cy={100 - 100 * y:.1f} r={1 + 5 * (count / total) ** 0.5:.1f}>"
        f"<title>confidence {x:.3f}, accuracy {y:.3f}, {count:,} pixels</title></circle>"
        for x, y, count in points
    )
    return (
        '<svg viewBox="-14 -4 122 122" role=img aria-label="Reliability: accuracy over confidence">'
        "<rect width=100 height=100 class=frame /><line x1=0 y1=100 x2=100 y2=0 class=diagonal />"
        f'<polyline points="{line}" class=line />{dots}'
        "<text x=50 y=114 text-anchor=middle>confidence</text>"
        '<text x=-6 y=50 text-anchor=middle transform="rotate(-90 -6 50)">accuracy</text></svg>'
    )


def _picture(number, picture):
    (height, width), name = picture.size, escape(picture.name)
    radios, layers = [], []
    for (layer, title), contents in zip(_LAYERS.items(), picture.layers.values(), strict=True):
        checked = " checked" if layer == "prediction" else ""
        radios.append(f'<label><input type=radio name="layer{number}" value={layer}{checked}>{title}</label>')
        layers.append(f'<img class="layer {layer}" alt="{title} of {name}" src="{_uri(contents, "png")}">')
    return "\n".join(
        (
            f'<figure data-iou={picture.mean_iou:.6f} data-name="{name}">',
            f"<figcaption><b>{name}</b> <span>mean IoU {picture.mean_iou:.3f}, "
            f"accuracy {picture.accuracy:.3f}, {width} x {height}</span></figcaption>",
            f'<div class=stack style="aspect-ratio:{width}/{height}">',
            f'<img class=photo alt="{name}" src="{_uri(picture.photo, "jpeg")}">',
            *layers,
            "</div><div class=controls>",
            f'<input type=range min=0 max=100 value=50 aria-label="How much of {name} is covered">',
            f"<fieldset><legend class=hidden>Layer</legend>{''.join(radios)}</fieldset></div></figure>",
        )
    )


def _uri(contents, kind):
    return f"data:image/{kind};base64,{base64.b64encode(contents).decode()}"


def _settings(settings):
    rows = "".join(
        f"<tr><th scope=row>{escape(str(key))}</th><td>"
        f"{escape(value if isinstance(value, str) else json.dumps(value))}</td></tr>"
        for key, value in settings.items()
        if value is not None
    )
    return f"<table class=settings><tbody>{rows}</tbody></table>"
