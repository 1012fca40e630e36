"""The page of a review: each image with a slider between the photograph, its mask and the doubts."""

import base64
from html import escape
from importlib.resources import files
from pathlib import Path

from keras_seg import __version__
from keras_seg.evaluation.report import Gallery
from keras_seg.files import replacing
from keras_seg.labeling.review import HELD_OUT, TRAINED

BOXES = 5  # Regions that are listed and framed for each image.
_MOST_ROWS = 200
_PARTS = 3  # Of a path, such as images/val/a.jpg.
_LAYERS = {"truth": "Mask", "prediction": "Suggestion", "errors": "Doubted"}
_SEEN = {
    TRAINED: "the network has trained on this mask, and may have learnt its faults",
    HELD_OUT: "the network has not trained on this mask",
}


class ReviewPage:
    """Collects findings for the page.

    Args:
        classes: class names in id order.
        colors: RGB per class, [C, 3].
        limit: findings at most.
    """

    def __init__(self, classes, colors, limit):
        self._classes, self._colors = classes, colors
        self._gallery = Gallery(colors, 2 * limit)  # As many best as worst, so that it keeps all.
        self._findings = {}

    def add(self, finding):
        """Takes a Finding, and keeps its thumbnails."""
        number = f"{len(self._findings):06}"
        # What differs from the mask are the doubted pixels, which the gallery's layer of errors shows.
        self._gallery.add(number, finding.image, finding.mask, finding.suggested)
        self._findings[number] = finding.judged, finding.doubts

    def write(self, path, title, judged):
        """Writes the page.

        Args:
            path: of the HTML file.
            title: of the page.
            judged: list of all Judged, the most doubtful first.

        Raises:
            InputError: the file cannot be written.
        """
        pictures = {picture.name: picture for picture in self._gallery.pictures()}
        figures = [
            self._figure(number, pictures[number], *found)
            for number, found in self._findings.items()
            if number in pictures
        ]
        seen = sum(each.trained_on == TRAINED for each in judged)
        unknown = sum(each.trained_on not in (TRAINED, HELD_OUT) for each in judged)
        counts = {
            "images": len(judged),
            "not trained on": len(judged) - seen - unknown,
            "trained on": seen,
            "not known": unknown,
        }
        parts = {
            "TITLE": escape(title),
            "STYLE": _resource("evaluation.report", "report.css"),
            "SCRIPT": _resource("evaluation.report", "report.js"),
            "VERSION": escape(__version__),
            "CARDS": "\n".join(
                f"<div class=card><dt>{name}</dt><dd>{count:,}</dd></div>" for name, count in counts.items()
            ),
            "NOTE": f"{len(figures)} of {len(judged):,} images, the most doubtful first. "
            "Those that the judging network has trained on come last and have a dashed frame: it may have "
            "learnt their faults.",
            "LEGEND": "".join(f"<li>{self._named(index)}</li>" for index in range(len(self._classes))),
            "FIGURES": "\n".join(figures),
            "REGIONS": self._regions(),
        }
        text = _resource("labeling", "review.html")
        for name, content in parts.items():
            text = text.replace(f"<!--{name}-->", content)
        with replacing(path) as temporary:
            # The names of files need not be text.
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")

    def _named(self, index):
        red, green, blue = (int(value) for value in self._colors[index])
        swatch = f'<span class=swatch style="background:rgb({red},{green},{blue})"></span>'
        return swatch + escape(self._classes[index])

    def _line(self, doubt):
        labeled, suggested = self._named(doubt.labeled), self._named(doubt.suggested)
        return f"<li>{labeled}, or {suggested}? {doubt.pixels:,} pixels</li>"

    def _figure(self, number, picture, judged, doubts):
        (height, width), name = picture.size, _short(judged)
        letters = min(height, width) / 14  # Pixels of the image.
        boxes = "".join(_box(place, doubt, letters) for place, doubt in enumerate(doubts[:BOXES], 1))
        lines = "".join(map(self._line, doubts[:BOXES]))
        layers, radios = [], []
        for (layer, title), contents in zip(_LAYERS.items(), picture.layers.values(), strict=True):
            checked = " checked" if layer == "errors" else ""
            layers.append(
                f'<img class="layer {layer}" alt="{title} of {name}" src="{_uri(contents, "png")}">'
            )
            radios.append(
                f'<label><input type=radio name="layer{number}" value={layer}{checked}>{title}</label>'
            )
        seen = " class=seen" if judged.trained_on == TRAINED else ""
        said = _SEEN.get(judged.trained_on, "whether the network has trained on this mask is not known")
        return "\n".join(
            (
                f'<figure{seen} data-iou={-judged.score:.6f} data-name="{name}">',
                f'<figcaption><b title="{escape(judged.name)}">{name}</b> <span>{int(number) + 1}. '
                f"doubt {judged.score:.3f}, {judged.split}, by {escape(judged.network)}: {said}</span>",
                f"<ol>{lines}</ol></figcaption>",
                f'<div class=stack style="aspect-ratio:{width}/{height}">',
                f'<img class=photo alt="{name}" src="{_uri(picture.photo, "jpeg")}">',
                *layers,
                f'<svg viewBox="0 0 {width} {height}" aria-hidden=true>{boxes}</svg>',
                "</div><div class=controls>",
                f'<input type=range min=0 max=100 value=100 aria-label="How much of {name} is covered">',
                f"<fieldset><legend class=hidden>Layer</legend>{''.join(radios)}</fieldset></div></figure>",
            )
        )

    def _regions(self):
        found = [(doubt, judged) for judged, doubts in self._findings.values() for doubt in doubts]
        found.sort(key=lambda each: (each[1].trained_on == TRAINED, -each[0].score))
        titles = ("image", "labeled", "suggested", "pixels", "doubt", "trained on")
        head = "".join(f"<th scope=col><button type=button>{title}</button></th>" for title in titles)
        rows = "".join(
            f'<tr><th scope=row title="{escape(judged.name)}">{_short(judged)}</th>'
            f"<td>{self._named(doubt.labeled)}</td><td>{self._named(doubt.suggested)}</td>"
            f"<td data-value={doubt.pixels}>{doubt.pixels:,}</td>"
            f"<td data-value={doubt.score:.3f}>{doubt.score:.1f}</td><td>{judged.trained_on}</td></tr>"
            for doubt, judged in found[:_MOST_ROWS]
        )
        return f"<table class=sortable><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _box(place, doubt, letters):
    """A region's frame and its place in the list, which stands inside at the upper left."""
    x, y, width, height = doubt.box
    return (
        f"<rect x={x} y={y} width={width} height={height} />"
        f'<text x={x + letters / 4:.1f} y={y + letters:.1f} style="font-size:{letters:.1f}px">{place}</text>'
    )


def _short(judged):
    """The end of an image's path, which tells the images of a data folder apart."""
    return escape("/".join(Path(judged.name).parts[-_PARTS:]))


def _resource(room, name):
    return files(f"keras_seg.{room}").joinpath(name).read_text(encoding="utf-8")


def _uri(contents, kind):
    return f"data:image/{kind};base64,{base64.b64encode(contents).decode()}"
