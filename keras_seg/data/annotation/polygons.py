"""The regions of a mask and their outlines, and GeoJSON of them.

Outlines run along the edges of pixels, in pixels from the upper left corner of the image, x to the right and
y down; their area is the number of pixels.
"""

from typing import Any

import cv2
import numpy as np

from keras_seg.data.annotation.shapes import Region
from keras_seg.palette import IGNORE


def trace(mask):
    """Finds the outlines of the regions of a binary mask.

    Args:
        mask: bool [H, W]. Pixels that touch at a corner belong together.

    Returns:
        list of regions, each a list of rings: the outline, then one for each hole; a ring is int [N, 2] of
        (x, y), not closed.
    """
    # OpenCV's contours run through the centers of pixels. In the mask at twice its size, two of these lie on
    # either side of each edge's half pixel, and rounding halves up gives the edge itself.
    doubled = mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    contours, hierarchy = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return []
    rings = [_without_straights(-(-contour[:, 0] // 2)) for contour in contours]
    parents = hierarchy[0, :, 3]
    regions = {index: [rings[index]] for index in np.flatnonzero(parents < 0)}
    for index in np.flatnonzero(parents >= 0):
        regions[parents[index]].append(rings[index])
    return list(regions.values())


def _without_straights(points):
    """Drops the points of a closed ring at which it does not turn."""
    points = points[np.any(points != np.roll(points, 1, axis=0), axis=1)]
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    return points[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]


def regions(mask: np.ndarray, confidence: np.ndarray | None = None, keep: Any = None) -> list[Region]:
    """Finds the regions of a predicted mask.

    Args:
        mask: class ids [H, W]; 255 is left out.
        confidence: float [H, W] in 0..1; None for certain.
        keep: ids of the classes to find; None for all.

    Returns:
        Regions, class by class.
    """
    found = []
    for index in _present(mask, keep):
        pixels = mask == index
        labels = scores = np.empty(0)
        if confidence is not None:
            count, labels = cv2.connectedComponents(pixels.astype(np.uint8), connectivity=8)
            sums = np.bincount(labels.ravel(), np.ravel(confidence), minlength=count)
            scores = sums / np.maximum(np.bincount(labels.ravel(), minlength=count), 1)
        for rings in trace(pixels):
            # The leftmost corner of the highest edge is the upper left one of a pixel of the region.
            x, y = min(rings[0].tolist(), key=lambda point: (point[1], point[0]))
            score = 1.0 if confidence is None else float(scores[labels[y, x]])
            found.append(Region(index, score, rings))
    return found


def geojson(mask, classes, keep=None):
    """The regions of an image's mask as a GeoJSON FeatureCollection.

    Args:
        mask: class ids [H, W]; 255 is left out.
        classes: class names in id order.
        keep: ids of the classes to trace; None for all.

    Returns:
        dict; each feature is a Polygon with the properties `class`, `id` and `pixels`.
    """
    features = [
        {
            "type": "Feature",
            "properties": {"class": classes[index], "id": index, "pixels": area(rings)},
            "geometry": {"type": "Polygon", "coordinates": [[*r.tolist(), r[0].tolist()] for r in rings]},
        }
        for index in _present(mask, keep)
        for rings in trace(mask == index)
    ]
    return {"type": "FeatureCollection", "features": features}


def _present(mask, keep):
    found = [int(index) for index in np.unique(mask) if index != IGNORE]
    return found if keep is None else [index for index in found if index in keep]


def area(rings):
    """Returns the pixels of a region: by the shoelace formula its outline's area less that of its holes."""
    areas = [
        abs(int(x @ np.roll(y, 1) - y @ np.roll(x, 1))) // 2
        for x, y in (ring.T.astype(np.int64) for ring in rings)
    ]
    return areas[0] - sum(areas[1:])
