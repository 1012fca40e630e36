"""Masks as polygons: GeoJSON for one picture, COCO for many.

Outlines run along the edges of pixels, in pixels from the upper left corner of the picture, x to the right
and y down; their area is the number of pixels.
"""

import cv2
import numpy as np

from keras_seg.data.annotation.raster import fill_polygon
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


def geojson(mask, classes, keep=None):
    """The regions of a picture's mask as a GeoJSON FeatureCollection.

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
            "properties": {"class": classes[index], "id": index, "pixels": _area(rings)},
            "geometry": {"type": "Polygon", "coordinates": [[*r.tolist(), r[0].tolist()] for r in rings]},
        }
        for index in _present(mask, keep)
        for rings in trace(mask == index)
    ]
    return {"type": "FeatureCollection", "features": features}


class Coco:
    """The regions of many masks as a COCO data set, picture by picture.

    A region with holes, which a COCO polygon cannot have, is given by its runs.

    Args:
        classes: class names in id order; COCO's category ids are these ids plus 1.
        keep: ids of the classes to trace; None for all.

    Attributes:
        content: dict with `images`, `annotations` and `categories`.
    """

    def __init__(self, classes, keep=None):
        self.keep = keep
        categories = [{"id": index, "name": name} for index, name in enumerate(classes, start=1)]
        self.content = {"images": [], "annotations": [], "categories": categories}

    def add(self, name, mask):
        """Adds a picture by its file name and class ids [H, W], 255 is left out."""
        height, width = mask.shape
        images, annotations = self.content["images"], self.content["annotations"]
        images.append({"id": len(images) + 1, "file_name": name, "height": height, "width": width})
        for index in _present(mask, self.keep):
            for rings in trace(mask == index):
                (left, top), (right, bottom) = rings[0].min(axis=0).tolist(), rings[0].max(axis=0).tolist()
                annotation = {
                    "id": len(annotations) + 1,
                    "image_id": len(images),
                    "category_id": index + 1,
                    "bbox": [left, top, right - left, bottom - top],
                    "area": _area(rings),
                    "iscrowd": 0,
                    "segmentation": _segmentation(rings, mask.shape),
                }
                annotations.append(annotation)


def _present(mask, keep):
    found = [int(index) for index in np.unique(mask) if index != IGNORE]
    return found if keep is None else [index for index in found if index in keep]


def _area(rings):
    """Shoelace formula: the outline's area less that of the holes."""
    areas = [abs(int(x @ np.roll(y, 1) - y @ np.roll(x, 1))) // 2 for x, y in (ring.T for ring in rings)]
    return areas[0] - sum(areas[1:])


def _segmentation(rings, size):
    if len(rings) == 1:
        return [rings[0].ravel().tolist()]
    return {
        "counts": _runs(np.logical_xor.reduce([fill_polygon(ring, size) for ring in rings])),
        "size": list(size),
    }


def _runs(mask):
    """Lengths of the runs of 0 and 1 in turn, column by column."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], changes, [flat.size - 1]])).tolist()
