"""Polygons to pixels."""

import numpy as np


def fill_polygon(points, size):
    """Finds the pixels whose center is inside a polygon, where it crosses itself by the even-odd rule.

    Unlike `cv2.fillPoly`, which also draws the outline, and pycocotools, it gives each pixel to one of two
    polygons that share an edge, and the area of a polygon that runs along the edges of pixels.

    Args:
        points: float [N, 2] of (x, y) in pixels from the corner of the image, closed by themselves.
        size: (height, width) of the image.

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


def region_mask(rings, size, *, whole=False):
    """Finds the pixels of a region with holes.

    Args:
        rings: its outline and its holes, [N, 2] of (x, y) each.
        size: (height, width) of the image.
        whole: whether to answer with the whole image instead of the box around the region.

    Returns:
        The box's upper left corner (x, y), and its pixels, bool [height, width]; of a region out of the image
        the box is empty.
    """
    height, width = size
    left, top = right, bottom = 0, 0
    if whole:
        right, bottom = width, height
    else:
        limits = (width, height)
        left, top = (int(number) for number in np.clip(np.floor(rings[0].min(axis=0)), 0, limits))
        right, bottom = (int(number) for number in np.clip(np.ceil(rings[0].max(axis=0)), 0, limits))
    box = (bottom - top, right - left)
    pixels = [fill_polygon(np.asarray(ring) - (left, top), box) for ring in rings]
    return (left, top), np.logical_xor.reduce(pixels)


def find_crossing(points):
    """Finds where a polygon crosses itself.

    Edges that only touch, as where two corners of pixels meet, do not cross.

    Args:
        points: float [N, 2] of (x, y).

    Returns:
        (x, y) of one crossing, or None.
    """
    starts = np.asarray(points, np.float64)
    ends = np.roll(starts, -1, axis=0)
    lefts = np.minimum(starts[:, 0], ends[:, 0])
    order = np.argsort(lefts)
    starts, ends, lefts = starts[order], ends[order], lefts[order]
    rights = np.maximum(starts[:, 0], ends[:, 0])
    # An edge meets only edges that begin left of its right end, so blocks are compared with few others.
    for block in range(0, len(starts), 256):
        these = slice(block, block + 256)
        those = slice(block, int(np.searchsorted(lefts, rights[these].max(), side="right")))
        a, b = starts[these, None], ends[these, None]
        c, d = starts[None, those], ends[None, those]
        crossed = (_side(a, b, c) * _side(a, b, d) < 0) & (_side(c, d, a) * _side(c, d, b) < 0)
        for first, second in np.argwhere(crossed)[:1]:
            a, b, c, d = a[first, 0], b[first, 0], c[0, second], d[0, second]
            part = _side(c, d, a) / (_side(c, d, a) - _side(c, d, b))
            x, y = a + part * (b - a)
            return float(x), float(y)
    return None


def _side(start, end, point):
    """On which side of a line points are: -1, 0 or 1 times their distance and its length."""
    along, across = end - start, point - start
    return along[..., 0] * across[..., 1] - along[..., 1] * across[..., 0]
