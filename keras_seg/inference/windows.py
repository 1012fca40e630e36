"""A large image through a network in overlapping windows, in memory that grows with its width alone.

The logits of windows that overlap are averaged with weights that fall towards a window's border, where the
network sees the least of the surroundings.
"""

import math

import numpy as np

BLENDS = ("linear", "gaussian")
# Standard deviation of the Gaussian, in lengths of a window, as nnU-Net has it (Isensee et al., 2021).
_DEVIATION = 1 / 8
PIXELS = 1 << 18  # Given at once, so that what is made of their logits stays small.


def window_starts(length, size, overlap):
    """Where windows of one size begin along an axis, evenly spread.

    Args:
        length: pixels of the axis.
        size: pixels of a window, at most `length`.
        overlap: the fraction of a window that neighbors share at least.

    Returns:
        list of int, first 0, last `length - size`.
    """
    stride = max(size - math.floor(size * overlap), 1)
    steps = math.ceil((length - size) / stride)
    return [index * (length - size) // max(steps, 1) for index in range(steps + 1)]


def window_weights(starts, size, overlap, blend):
    """Weights along an axis, float32 [windows, size]; those of a pixel add up to 1 over the windows."""
    place = np.arange(size)
    if blend == "gaussian":
        profile = np.exp(-(((place - (size - 1) / 2) / (size * _DEVIATION)) ** 2) / 2)
    else:
        profile = np.minimum(np.minimum(place + 1, size - place), max(math.floor(size * overlap), 1))
    total = np.zeros(starts[-1] + size)
    for start in starts:
        total[start : start + size] += profile
    return np.stack([profile / total[start : start + size] for start in starts]).astype(np.float32)


def sliding_logits(network, image, window, overlap, blend, batch_size):
    """Predicts an image window by window, and gives its rows as soon as no later window reaches them.

    Args:
        network: function of float32 [B, h, w, 3] to logits [B, h, w, C], both arrays.
        image: RGB [H, W, 3].
        window: (height, width); an image that is smaller in either is one window along it.
        overlap: the fraction of a window that neighbors share at least, 0 to below 1.
        blend: one of `BLENDS`.
        batch_size: windows that go through the network at once.

    Yields:
        `(top, logits)`: the first row, and float32 [rows, W, C] from it on, a few at a time; they are
        overwritten when the next are asked for. Only the rows of one window are kept, `h * W * C` numbers.
    """
    height, width = image.shape[:2]
    sizes = min(window[0], height), min(window[1], width)
    tops, lefts = (
        window_starts(length, size, overlap) for length, size in zip((height, width), sizes, strict=True)
    )
    down = window_weights(tops, sizes[0], overlap, blend)
    across = window_weights(lefts, sizes[1], overlap, blend)
    rows_at_once = max(PIXELS // width, 1)
    strip = None
    for row, top in enumerate(tops):
        for first in range(0, len(lefts), batch_size):
            columns = range(first, min(first + batch_size, len(lefts)))
            parts = [image[top : top + sizes[0], lefts[i] : lefts[i] + sizes[1]] for i in columns]
            for i, logits in zip(columns, network(np.stack(parts).astype(np.float32)), strict=True):
                if strip is None:
                    strip = np.zeros((sizes[0], width, logits.shape[-1]), np.float32)
                weights = down[row][:, None] * across[i]
                strip[:, lefts[i] : lefts[i] + sizes[1]] += logits * weights[..., None]
        done = (tops[row + 1] if row + 1 < len(tops) else height) - top
        for first in range(0, done, rows_at_once):
            yield top + first, strip[first : min(first + rows_at_once, done)]
        strip[: sizes[0] - done] = strip[done:]
        strip[sizes[0] - done :] = 0
