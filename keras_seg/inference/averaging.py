"""Test-time augmentation: the mean prediction over several sizes and the mirrored image."""

from dataclasses import dataclass

import cv2
import numpy as np

from keras_seg.errors import InputError
from keras_seg.inference.windows import BLENDS, PIXELS, sliding_logits
from keras_seg.logits import class_probabilities

TTA_SCALES = (0.75, 1.0, 1.25)


@dataclass(frozen=True)
class Averaging:
    """How an image goes through the network; by default once, whole.

    Attributes:
        window: (height, width) of a sliding window in pixels; None for the whole image at once.
        overlap: fraction of a window that neighbors share at least.
        blend: `"linear"` or `"gaussian"`, how weights fall towards a window's border.
        scales: factors of the image's size; class probabilities are averaged over them.
        flip: whether the logits are averaged with those of the mirrored image (or window).
        batch_size: windows at once.

    Raises:
        InputError: a value is out of range.
    """

    window: tuple[int, int] | None = None
    overlap: float = 0.25
    blend: str = "linear"
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    batch_size: int = 1

    def __post_init__(self):
        if self.window is not None and not all(side >= 1 for side in self.window):
            raise InputError(f"--sliding must be 1 pixel or more, received {self.window}")
        if not 0 <= self.overlap < 1:
            raise InputError(f"--overlap must be from 0 to below 1, received {self.overlap}")
        if self.blend not in BLENDS:
            raise InputError(f"--blend must be one of {', '.join(BLENDS)}, received {self.blend}")
        if not self.scales or not all(0 < scale <= 8 for scale in self.scales):
            raise InputError(f"--scales must be above 0 and at most 8, received {self.scales}")
        if self.batch_size < 1:
            raise InputError(f"--batch-size must be 1 or more, received {self.batch_size}")


def logits_in_bands(network, image, averaging):
    """Predicts an image at one size; yields `(top, float32 logits [rows, W, C])` as `sliding_logits` does.

    Args:
        network: function of [B, h, w, 3] to float32 logits [B, h, w, C], both arrays, with the mirrored
            image's where that is wanted.
        image: RGB [H, W, 3].
        averaging: Averaging, whose scales and flip do not count here.
    """
    if averaging.window is None:
        logits = network(image[None])[0]
        rows = max(PIXELS // image.shape[1], 1)
        yield from ((top, logits[top : top + rows]) for top in range(0, len(logits), rows))
        return
    options = averaging.overlap, averaging.blend, averaging.batch_size
    yield from sliding_logits(network, image, averaging.window, *options)


def averaged_probabilities(network, image, averaging):
    """Class probabilities of an image, float32 [H, W, C]: the mean of those at the scales."""
    height, width = image.shape[:2]
    total = None
    for scale in averaging.scales:
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        scaled = image if size == (width, height) else cv2.resize(image, size).reshape(*size[::-1], -1)
        found = None
        for top, logits in logits_in_bands(network, scaled, averaging):
            probabilities = class_probabilities(logits)
            if found is None:
                found = np.empty((*scaled.shape[:2], probabilities.shape[-1]), np.float32)
            found[top : top + len(logits)] = probabilities
        logits = None  # Of the whole image; what follows needs the memory.
        if size != (width, height):
            found = _resize(found, (width, height))
        total = found if total is None else np.add(total, found, out=total)
    return np.divide(total, np.float32(len(averaging.scales)), out=total)


def _resize(maps, size):
    """Scales maps [h, w, C] bilinearly; one by one, since OpenCV takes no more than 512 channels."""
    resized = np.empty((*size[::-1], maps.shape[-1]), np.float32)
    for index in range(maps.shape[-1]):
        resized[..., index] = cv2.resize(maps[..., index], size)
    return resized
