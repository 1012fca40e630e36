"""The images of an evaluation as thumbnails with layers: ground truth, prediction and errors.

A `Picture` is all that the page's macro `figure` (gallery.html) needs to show an image under a slider; other
pages can make their own with `thumbnail` and `layer`.
"""

import heapq
import io
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from keras_seg.evaluation.counts import confusion
from keras_seg.metrics import scores
from keras_seg.palette import ERROR_COLOR, IGNORE, SKIPPED_COLOR, WASH, clear_class, displayable

MOST = 1000  # Images of a page.
_FEW = 200  # Images that are shown larger.
# Pixels of a thumbnail's longer side, and bytes of it with its layers: 30 MB of HTML at most.
_LARGE, _SMALL = (480, 70_000), (320, 20_000)
_QUALITIES = (80, 60, 40, 20)
_RIGHT, _WRONG, _IGNORED = range(3)
# The colors and opacities of right, wrong and ignored pixels: as `palette.error_overlay` has them.
_ERRORS = [(255, 255, 255), ERROR_COLOR, SKIPPED_COLOR], (round(255 * WASH), 255, 255)
_OPACITY = 200  # Of a class's color over the image.


class Picture(NamedTuple):
    """An image of the report.

    Attributes:
        number: Its place in the data set, from 0.
        name: What it is called.
        mean_iou: Of the classes in its ground truth or prediction.
        accuracy: Part of its labeled pixels that are right.
        size: (height, width) in pixels.
        photo: JPEG.
        layers: {"truth", "prediction", "errors"}: PNG, transparent where the image is seen.
    """

    number: int
    name: str
    mean_iou: float
    accuracy: float
    size: tuple[int, int]
    photo: bytes
    layers: dict[str, bytes]


class Gallery:
    """Keeps the images with the lowest and the highest mean IoU of those that it is shown.

    Args:
        colors: RGB per class, [C, 3].
        classes: Class names in id order, or None.
        count: How many images it will be shown; None: not known.
        limit: Images at most; with more, half of them are the worst and half the best.

    Attributes:
        scores: Mean IoU of every image in its order, NaN where nothing is labeled.
        names: What they are called.
    """

    def __init__(self, colors, classes=None, count=None, limit=MOST):
        self.colors = np.asarray(colors).tolist()
        self.scores, self.names = [], []
        self._half = max(limit // 2, 1)
        self._side, self._bytes = _LARGE if min(count or limit, limit) <= _FEW else _SMALL
        self._opacities = [_OPACITY] * len(self.colors)
        if (ground := clear_class(classes, colors)) is not None:
            self._opacities[ground] = 0
        self._best, self._worst = [], []

    def add(self, name, image, truth, mask):
        """Looks at an image.

        Args:
            name: What it is called.
            image: [H, W, C], as `displayable` takes.
            truth: Class ids [H, W], 255 ignored.
            mask: Predicted class ids [H, W].
        """
        found = scores(confusion(truth, mask, len(self.colors)))
        number, mean_iou, accuracy = (
            len(self.scores),
            float(found["mean_iou"]),
            float(found["pixel_accuracy"]),
        )
        self.scores.append(mean_iou)
        self.names.append(name)
        if np.isnan(mean_iou):
            return
        picture = None
        for heap, key in ((self._best, mean_iou), (self._worst, -mean_iou)):
            if len(heap) < self._half or key > heap[0][0]:
                picture = picture or self._picture(number, name, mean_iou, accuracy, image, truth, mask)
                push = heapq.heappush if len(heap) < self._half else heapq.heapreplace
                push(heap, (key, number, picture))

    def pictures(self):
        """The `Picture`s, the worst first."""
        kept = {number: picture for _, number, picture in self._best + self._worst}
        return sorted(kept.values(), key=lambda picture: picture.mean_iou)

    def _picture(self, number, name, mean_iou, accuracy, image, truth, mask):
        errors = np.where(truth == mask, _RIGHT, _WRONG)
        errors[truth == IGNORE] = _IGNORED
        layers = {
            "truth": layer(truth, self.colors, self._opacities, self._side),
            "prediction": layer(mask, self.colors, self._opacities, self._side),
            "errors": layer(errors, *_ERRORS, self._side),
        }
        photo = thumbnail(image, self._side, self._bytes - sum(map(len, layers.values())))
        return Picture(number, name, mean_iou, accuracy, truth.shape, photo, layers)


def thumbnail(image, side, most_bytes):
    """Encodes a small JPEG.

    Args:
        image: [H, W, C], as `displayable` takes.
        side: Pixels of its longer side at most.
        most_bytes: What it may take, where the lowest quality allows it.
    """
    small = cv2.resize(
        np.ascontiguousarray(displayable(image)),
        _scaled(image.shape, side),
        interpolation=cv2.INTER_AREA,
    )
    small = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    for quality in _QUALITIES:
        contents = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(contents) <= most_bytes:
            break
    return contents


def layer(mask, colors, opacities, side):
    """Encodes ids as a small PNG that lies over a `thumbnail`.

    Args:
        mask: Ids [H, W]; 255 is transparent.
        colors: RGB of each id, [C, 3].
        opacities: Of each id, 0..255.
        side: Pixels of its longer side at most.
    """
    small = cv2.resize(mask.astype(np.uint8), _scaled(mask.shape, side), interpolation=cv2.INTER_NEAREST)
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colors)] = colors[:256]
    image = Image.fromarray(small)
    image.putpalette(palette.tobytes())
    contents = io.BytesIO()
    shown = [*opacities, *[0] * 256][:IGNORE]
    image.save(contents, "PNG", optimize=True, transparency=bytes([*shown, 0]))
    return contents.getvalue()


def _scaled(shape, side):
    height, width = shape[:2]
    scale = min(1, side / max(height, width))
    return max(round(width * scale), 1), max(round(height * scale), 1)
