"""The tiles of `tiled` in NumPy: each pixel from the tile in which it lies deepest."""

import numpy as np


def starts_by_hand(length, tile):
    """First pixels of the tiles along an axis, which share a quarter at least, and their size."""
    if length <= tile:
        return [0], length
    shared = tile // 4
    number = -(-(length - shared) // (tile - shared))
    size = -(-(length + (number - 1) * shared) // number)
    return [index * (length - size) // (number - 1) for index in range(number)], size


def owners(length, tile):
    """The tile of every pixel along an axis; of two in which it lies equally deep the later one."""
    starts, size = starts_by_hand(length, tile)
    place = np.arange(length)
    depths = np.stack([np.minimum(place - start, start + size - 1 - place) for start in starts])
    return len(starts) - 1 - depths[::-1].argmax(axis=0)


def tiled_by_hand(network, image, tile, flips):
    """Logits [H, W, C] of an image [H, W, 3], by a network of [1, h, w, 3] to [1, h, w, C]."""
    (tops, height), (lefts, width) = (starts_by_hand(length, tile) for length in image.shape[:2])
    rows, columns = (owners(length, tile) for length in image.shape[:2])
    found = None
    for row, top in enumerate(tops):
        for column, left in enumerate(lefts):
            place = np.s_[top : top + height, left : left + width]
            x = image[place][None]
            logits = np.asarray(network(x))[0]
            if flips:
                logits = (logits + np.asarray(network(x[:, :, ::-1]))[0, :, ::-1]) / 2
            found = np.full((*image.shape[:2], logits.shape[-1]), np.nan) if found is None else found
            here = (rows == row)[:, None] & (columns == column)
            found[here] = logits[here[place]]
    return found
