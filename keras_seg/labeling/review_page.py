"""The page of a review: each image with a slider between the photograph, its mask and the doubts."""

from pathlib import Path

import numpy as np

from keras_seg.evaluation.report import Gallery, legend, write_page
from keras_seg.labeling.review import HELD_OUT, TRAINED

BOXES = 5  # Regions that are listed and framed for each image.
_MOST_ROWS = 200
_PARTS = 3  # Of a path, such as images/val/a.jpg.
_LAYERS = {"errors": "Doubted", "truth": "Mask", "prediction": "Suggestion", "none": "Image alone"}
_SEEN = {
    TRAINED: "the network has trained on this mask, and may have learned its faults",
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
        # As many best as worst, so that it keeps all.
        self._gallery = Gallery(colors, classes, limit, 2 * limit)
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
        findings = [
            self._shown(number, pictures[number], *found)
            for number, found in self._findings.items()
            if number in pictures
        ]
        seen = sum(each.trained_on == TRAINED for each in judged)
        unknown = sum(each.trained_on not in (TRAINED, HELD_OUT) for each in judged)
        write_page(
            path,
            "review.html",
            folder="keras_seg.labeling",
            title=title,
            counts={
                "images": len(judged),
                "not trained on": len(judged) - seen - unknown,
                "trained on": seen,
                "not known": unknown,
            },
            classes=self._classes,
            colors=np.asarray(self._colors).tolist(),
            legend=legend(self._classes, self._colors),
            layers=_LAYERS,
            findings=findings,
            regions=self._regions(),
        )

    def _shown(self, number, picture, judged, doubts):
        """What the template shows of a finding."""
        said = _SEEN.get(judged.trained_on, "whether the network has trained on this mask is not known")
        return {
            "picture": picture,
            "name": _short(judged),
            "title": judged.name,
            "caption": f"{int(number) + 1}. doubt {judged.score:.3f}, {judged.split}, by {judged.network}: "
            f"{said}",
            "order": f"{-judged.score:.6f}",
            "kind": "seen" if judged.trained_on == TRAINED else None,
            "boxes": [doubt.box for doubt in doubts[:BOXES]],
            "doubts": doubts[:BOXES],
        }

    def _regions(self):
        found = [(doubt, judged) for judged, doubts in self._findings.values() for doubt in doubts]
        found.sort(key=lambda each: (each[1].trained_on == TRAINED, -each[0].score))
        return [
            (doubt, _short(judged), judged.name, judged.trained_on) for doubt, judged in found[:_MOST_ROWS]
        ]


def _short(judged):
    """The end of an image's path, which tells the images of a data folder apart."""
    return "/".join(Path(judged.name).parts[-_PARTS:])
