"""The tiles of `tiled` in NumPy: each pixel from the tile in which it lies deepest."""

import numpy as np


def tiles_by_hand(length, tile):
    """(start, end) of the tiles along an axis: as few as there may be with a quarter shared."""
    if length <= tile:
        return [(0, length)]
    shared = tile // 4
    number = -(-(length - shared) // (tile - shared))
    starts = [index * (length - shared) // number for index in range(number)]
    return list(zip(starts, [start + shared for start in starts[1:]] + [length], strict=True))


def owners(length, tile):
    """The tile of every pixel along an axis; of two in which it lies equally deep the later one."""
    place, tiles = np.arange(length), tiles_by_hand(length, tile)
    depths = np.stack([np.minimum(place - start, end - 1 - place) for start, end in tiles])
    return len(tiles) - 1 - depths[::-1].argmax(axis=0)


def tiled_by_hand(network, image, tile, flips):
    """Logits [H, W, C] of an image [H, W, 3], by a network of [1, h, w, 3] to [1, h, w, C]."""
    rows, columns = (owners(length, tile) for length in image.shape[:2])
    found = None
    for row, down in enumerate(tiles_by_hand(image.shape[0], tile)):
        for column, across in enumerate(tiles_by_hand(image.shape[1], tile)):
            place = slice(*down), slice(*across)
            x = image[place][None]
            logits = np.asarray(network(x))[0]
            if flips:
                logits = (logits + np.asarray(network(x[:, :, ::-1]))[0, :, ::-1]) / 2
            found = np.full((*image.shape[:2], logits.shape[-1]), np.nan) if found is None else found
            here = (rows == row)[:, None] & (columns == column)
            found[here] = logits[here[place]]
    return found
