"""Polygons to pixels."""

import numpy as np


def fill_polygon(points, size):
    """Finds the pixels whose center is inside a polygon, where it crosses itself by the even-odd rule.

    Unlike `cv2.fillPoly`, which also draws the outline, it gives each pixel to one of two polygons that share
    an edge, and the area of a polygon that runs along the edges of pixels.

    Args:
        points: float [N, 2] of (x, y) in pixels from the corner of the picture, closed by themselves.
        size: (height, width) of the picture.

    Returns:
        bool [H, W].
    """
    height, width = size
    crossings = np.zeros((height, width + 1), bool)
    points = np.asarray(points, np.float64)
    for (x, y), (end_x, end_y) in zip(points, np.roll(points, -1, axis=0), strict=True):
        low, high = (int(np.clip(np.ceil(each - 0.5), 0, height)) for each in sorted((y, end_y)))
        rows = np.arange(low, high)
        if rows.size:
            at = x + (rows + 0.5 - y) * (end_x - x) / (end_y - y)
            crossings[rows, np.clip(np.ceil(at - 0.5), 0, width).astype(np.int64)] ^= True
    return np.logical_xor.accumulate(crossings, axis=1)[:, :-1]
