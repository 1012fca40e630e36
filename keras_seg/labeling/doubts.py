"""Which labels to doubt: where a network that has not seen a mask contradicts it, and how surely.

Confident learning (Northcutt, Jiang and Chuang, 2021, arXiv:1911.00068) by pixels: a pixel labeled i is taken
for class j where its probability of j is at least t_j, the mean probability of j at all pixels labeled j.
Networks are unsure at outlines and of some classes, which is no fault of the mask: so an image's score is how
much more its mask surprises the network than the network itself expects, where it does so most.
"""

from typing import NamedTuple

import cv2
import numpy as np

from keras_seg.labeling.uncertainty import pixel_entropy
from keras_seg.palette import IGNORE

_NEIGHBORHOOD = 1 / 8  # Of the shorter side of the image.
_TINY = 1e-3  # Probability below which a label surprises no more: a network is that wrong at many outlines.


class Thresholds:
    """The mean probability of each class where it is labeled, from image to image.

    Args:
        num_classes: C.
    """

    def __init__(self, num_classes):
        self._sums, self._pixels = np.zeros(num_classes), np.zeros(num_classes)

    def add(self, mask, probabilities):
        """Takes a mask's class ids [H, W], 255 ignored, and the class probabilities [H, W, C]."""
        labeled = mask != IGNORE
        ids = mask[labeled]
        own = np.take_along_axis(probabilities[labeled], ids[:, None].astype(int), axis=1)[:, 0]
        self._sums += np.bincount(ids, own, minlength=len(self._sums))
        self._pixels += np.bincount(ids, minlength=len(self._sums))

    def values(self):
        """float [C]; above 1, which no pixel reaches, for a class that is labeled nowhere."""
        return np.where(self._pixels > 0, self._sums / np.maximum(self._pixels, 1), 2.0)


class Doubt(NamedTuple):
    """A region whose label the network contradicts.

    Attributes:
        labeled: class id in the mask.
        suggested: class id that the network gives it.
        box: (left, top, width, height) in pixels.
        pixels: that are contradicted.
        score: sum over them of how much more probable the suggested class is than the labeled one.
    """

    labeled: int
    suggested: int
    box: tuple[int, int, int, int]
    pixels: int
    score: float


def contradictions(mask, probabilities, thresholds):
    """Finds the pixels that confident learning takes for another class than they are labeled.

    Args:
        mask: class ids [H, W], 255 ignored.
        probabilities: of the classes, [H, W, C].
        thresholds: [C], as of `Thresholds.values`.

    Returns:
        class ids [H, W] of the other class, 255 where the label stands.
    """
    reached = np.where(probabilities >= np.asarray(thresholds, np.float32), probabilities, 0)
    best = reached.argmax(axis=-1).astype(np.uint8)
    stands = (reached.max(axis=-1) == 0) | (best == mask) | (mask == IGNORE)
    return np.where(stands, np.uint8(IGNORE), best)


def unexpected(mask, probabilities):
    """How much more each label surprises the network than the network expects.

    That is -log p(label), less the entropy of the probabilities, its expectation where labels are drawn from
    these: positive where a label is worse than the network's own doubt explains.

    Args:
        mask: class ids [H, W], 255 ignored.
        probabilities: of the classes, [H, W, C].

    Returns:
        float32 [H, W] in nats, 0 where nothing is labeled.
    """
    ids = np.minimum(mask, probabilities.shape[-1] - 1)[..., None].astype(int)
    own = np.take_along_axis(probabilities, ids, axis=-1)[..., 0]
    surprise = -np.log(np.maximum(own, _TINY))
    return np.where(mask == IGNORE, 0, surprise - pixel_entropy(probabilities)).astype(np.float32)


def doubt_score(mask, probabilities):
    """The mean of `unexpected` in the worst neighborhood of a mask, in nats a pixel.

    A wrong label is a region, which the mean over the whole image would hide. The neighborhoods are squares
    of an eighth of the shorter side.

    Args:
        mask: class ids [H, W], 255 ignored.
        probabilities: of the classes, [H, W, C].

    Returns:
        A number; minus infinity where nothing is labeled.
    """
    if (mask == IGNORE).all():
        return -np.inf
    side = max(round(min(mask.shape) * _NEIGHBORHOOD), 1)
    means = cv2.blur(unexpected(mask, probabilities), (side, side), borderType=cv2.BORDER_CONSTANT)
    return float(means.max())


def doubtful_regions(mask, probabilities, thresholds, least_pixels=16):
    """Finds the regions that the network takes for another class, the most doubtful first.

    Args:
        mask: class ids [H, W], 255 ignored.
        probabilities: of the classes, [H, W, C].
        thresholds: [C], as of `Thresholds.values`.
        least_pixels: smaller regions are left out.

    Returns:
        list of Doubt; the pixels of each touch, at corners too, and have one label and one suggestion.
    """
    other, found = contradictions(mask, probabilities, thresholds), []
    # A pair of classes is one number, and each is looked at by itself.
    pairs = np.where(other == IGNORE, -1, mask.astype(np.int32) * 256 + other)
    for pair in np.unique(pairs[pairs >= 0]).tolist():
        labeled, suggested = divmod(pair, 256)
        gain = probabilities[..., suggested] - probabilities[..., labeled]
        pixels = (pairs == pair).astype(np.uint8)
        count, numbers, boxes, _ = cv2.connectedComponentsWithStats(pixels, connectivity=8)
        scores = np.bincount(numbers.ravel(), gain.ravel(), minlength=count)
        for box, score in zip(boxes[1:].tolist(), scores[1:].tolist(), strict=True):
            if box[4] >= least_pixels:
                found.append(Doubt(labeled, suggested, tuple(box[:4]), box[4], score))
    return sorted(found, key=lambda doubt: -doubt.score)
