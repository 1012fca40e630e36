"""How unsure a network is of an image: entropy, margin and disagreement.

Settles, 2009, "Active Learning Literature Survey", section 3.1, for entropy and margin; the disagreement of
several views is the Jensen-Shannon divergence of Lin, 1991 (doi:10.1109/18.61115). Each is the mean over the
pixels, in 0..1, and higher where the network is less sure.
"""

from typing import NamedTuple

import cv2
import numpy as np

_TINY = 1e-7  # Of a probability whose logarithm is taken.


class Uncertainty(NamedTuple):
    """How unsure a network is of an image, each in 0..1.

    Attributes:
        entropy: of the class probabilities, as a fraction of log C.
        margin: 1 less the difference between the two highest probabilities.
        disagreement: Jensen-Shannon divergence between the image and its other views, as a fraction of log C.
    """

    entropy: float
    margin: float
    disagreement: float


def pixel_entropy(probabilities):
    """Returns the entropy of class probabilities [..., C] in nats, [...]."""
    return -np.sum(probabilities * np.log(np.maximum(probabilities, _TINY)), axis=-1)


def uncertainty(views):
    """Measures how unsure a network is of an image.

    Args:
        views: class probabilities [H, W, C] of the image, then those of its other views, brought back to it.

    Returns:
        Uncertainty.
    """
    first, count = views[0], len(views)
    most = np.log(first.shape[-1])
    entropy = pixel_entropy(first)
    second, best = np.moveaxis(np.partition(first, -2, axis=-1)[..., -2:], -1, 0)
    mixture = pixel_entropy(sum(views) / count)
    single = (entropy + sum(pixel_entropy(view) for view in views[1:])) / count
    return Uncertainty(
        float(entropy.mean() / most),
        float(1 - (best - second).mean()),
        float(max((mixture - single).mean() / most, 0)),
    )


def view_probabilities(predictor, image, scales=()):
    """Predicts an image, its mirror image, and both at other sizes.

    Args:
        predictor: Predictor.
        image: [H, W, C] of its kind.
        scales: more factors of the image's size.

    Returns:
        list of class probabilities, float32 [H, W, C]; those of the image itself come first.
    """
    height, width = image.shape[:2]
    views = []
    for scale in (1.0, *scales):
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        scaled = image if size == (width, height) else cv2.resize(image, size).reshape(*size[::-1], -1)
        mirrored = predictor.probabilities(np.ascontiguousarray(scaled[:, ::-1]))[:, ::-1]
        for found in (predictor.probabilities(scaled), mirrored):
            views.append(found if size == (width, height) else _resize(found, (width, height)))
    return views


def _resize(maps, size):
    """Scales maps [h, w, C] one by one, since OpenCV takes no more than 512 channels."""
    return np.stack([cv2.resize(maps[..., index], size) for index in range(maps.shape[-1])], axis=-1)
