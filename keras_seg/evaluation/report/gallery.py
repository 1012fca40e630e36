"""The best and the worst pictures of an evaluation, as thumbnails."""

import heapq
import io
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from keras_seg.evaluation.counts import confusion
from keras_seg.metrics import scores
from keras_seg.palette import IGNORE, IGNORE_COLOR, displayable

LONGEST = 480  # Pixels of a thumbnail's longer side.
_QUALITIES = (80, 60, 40, 20)
_MOST_BYTES = 70_000  # Of a picture with its layers: 200 of them are 19 MB in base64.
_RIGHT, _WRONG, _IGNORED = range(3)
_ERROR_COLORS = [(0, 0, 0), (230, 40, 40), (128, 128, 128)]


class Picture(NamedTuple):
    """A picture of the report.

    Attributes:
        name: what it is called.
        mean_iou: of the classes in its truth or prediction; NaN where nothing is labeled.
        accuracy: part of its labeled pixels that are right.
        size: (height, width) in pixels.
        photo: JPEG.
        layers: {"truth", "prediction", "errors"}: PNG.
    """

    name: str
    mean_iou: float
    accuracy: float
    size: tuple[int, int]
    photo: bytes
    layers: dict[str, bytes]


class Gallery:
    """Keeps the pictures with the lowest and the highest mean IoU of those that it is shown.

    Args:
        colors: RGB per class, [C, 3].
        limit: pictures at most; with more, half of them are the worst and half the best.
    """

    def __init__(self, colors, limit=200):
        self.colors = colors
        self.half = max(limit // 2, 1)
        self._best, self._worst = [], []
        self._count = 0

    def add(self, name, image, truth, mask):
        """Looks at a picture.

        Args:
            name: what it is called.
            image: RGB uint8 [H, W, 3].
            truth: class ids [H, W], 255 ignored.
            mask: predicted class ids [H, W].
        """
        found = scores(confusion(truth, mask, len(self.colors)))
        mean_iou, accuracy = float(found["mean_iou"]), float(found["pixel_accuracy"])
        if np.isnan(mean_iou):
            return
        self._count += 1
        picture = None
        for heap, key in ((self._best, mean_iou), (self._worst, -mean_iou)):
            if len(heap) < self.half or key > heap[0][0]:
                picture = picture or self._picture(name, mean_iou, accuracy, image, truth, mask)
                push = heapq.heappush if len(heap) < self.half else heapq.heapreplace
                push(heap, (key, self._count, picture))

    def pictures(self):
        """The pictures, the worst first."""
        kept = {number: picture for _, number, picture in self._best + self._worst}
        return sorted(kept.values(), key=lambda picture: picture.mean_iou)

    def _picture(self, name, mean_iou, accuracy, image, truth, mask):
        errors = np.where(truth == mask, _RIGHT, _WRONG)
        errors[truth == IGNORE] = _IGNORED
        classes = [*map(tuple, np.asarray(self.colors).tolist())]
        layers = {
            "truth": _png(truth, classes),
            "prediction": _png(mask, classes),
            "errors": _png(errors, _ERROR_COLORS, clear=_RIGHT),
        }
        left = _MOST_BYTES - sum(map(len, layers.values()))
        return Picture(name, mean_iou, accuracy, truth.shape, _jpeg(image, left), layers)


def _thumbnail_size(height, width):
    scale = min(1, LONGEST / max(height, width))
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _jpeg(image, most):
    """A JPEG of at most that many bytes, where the lowest quality allows it."""
    small = cv2.resize(
        np.ascontiguousarray(displayable(image)),
        _thumbnail_size(*image.shape[:2]),
        interpolation=cv2.INTER_AREA,
    )
    small = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    for quality in _QUALITIES:
        contents = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(contents) <= most:
            break
    return contents


def _png(mask, colors, clear=None):
    """A PNG with a palette; the ids of `clear` let what is below through."""
    size = _thumbnail_size(*mask.shape)
    small = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colors)] = colors[:256]
    if clear is None:
        palette[IGNORE] = IGNORE_COLOR
    picture = Image.fromarray(small)
    picture.putpalette(palette.tobytes())
    contents = io.BytesIO()
    options = {} if clear is None else {"transparency": clear}
    picture.save(contents, "PNG", optimize=True, **options)
    return contents.getvalue()
