"""Reads polygon annotations: labelme's JSON files and COCO's instance files.

COCO: Lin et al., 2014 (arXiv:1405.0312); its run lengths are those of cocodataset/cocoapi, maskApi.h.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_seg.errors import InputError
from keras_seg.texts import parse_json, read_text

IGNORED = "__ignore__"
BACKGROUNDS = ("background", "_background_")
_MISREAD = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
_FARTHEST = 1 << 31  # Pixels; a point may lie outside of its picture, but where it can be computed with.
_LABELME_SHAPES = ("polygon", "rectangle", "circle")


class Shape(NamedTuple):
    """One labeled region: `kind` is polygon, rectangle, circle or runs.

    `points` is [N, 2] (x, y), or for runs the region itself, bool [H, W].
    """

    label: str
    kind: str
    points: np.ndarray


class Picture(NamedTuple):
    """An annotated image: its file, its name for the mask, (height, width) and shapes, the lowest first."""

    image: Path
    name: str
    size: tuple[int, int]
    shapes: list[Shape]


def read_annotations(source: Path, images: Path | None = None) -> list[Picture]:
    """Reads a COCO file, or all labelme files of a folder.

    Args:
        source: a COCO JSON file, one labelme JSON file, or a folder of labelme JSON files.
        images: the folder of the images; by default beside the JSON files.

    Raises:
        InputError: a file is no annotation, names no image, or holds a shape that encloses nothing.
    """
    if source.is_dir():
        # A glob would find nothing where it may not look.
        files = sorted(path for path in source.iterdir() if path.suffix == ".json")
        if not files:
            raise InputError(f"{source}: holds no .json files; name the folder of labelme's files.")
        return [_labelme(path, parse_json(path, read_text(path)), images) for path in files]
    content = parse_json(source, read_text(source))
    if isinstance(content, dict) and "annotations" in content:
        return _coco(source, content, images or source.parent)
    return [_labelme(source, content, images)]


def decode_runs(counts, size) -> np.ndarray:
    """Decodes COCO's run lengths.

    Args:
        counts: lengths of runs of 0 and 1 in turn, column by column, or their compressed text.
        size: (height, width).

    Returns:
        bool [H, W].
    """
    if isinstance(counts, str):
        counts = _uncompressed(counts)
    height, width = size
    runs = np.asarray(counts, np.int64)
    if runs.min(initial=0) < 0 or runs.sum() != height * width:
        raise ValueError(f"its runs cover {runs.sum()} of {height * width} pixels")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def _uncompressed(text):
    """Six bits a character from "0" on: five of the number, low first, and one that says there are more."""
    counts, number, shift = [], 0, 0
    for sign in text.encode("ascii"):
        bits = sign - 48
        number |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                number -= 1 << shift
            # From the fourth on, what is stored is the difference to the last run of the same kind.
            counts.append(number + (counts[-2] if len(counts) > 2 else 0))
            number, shift = 0, 0
    return counts


def _labelme(path, content, images):
    try:
        image = (images or path.parent) / content["imagePath"].replace("\\", "/")
        size = (int(content["imageHeight"]), int(content["imageWidth"]))
        shapes = [_labelme_shape(path, shape) for shape in content["shapes"]]
    except InputError:
        raise
    except _MISREAD as error:
        raise InputError(
            f"{path}: is no labelme file ({type(error).__name__}: {error}); it needs imagePath, imageHeight,"
            " imageWidth and shapes."
        ) from None
    return Picture(image, path.stem, size, shapes)


def _labelme_shape(path, shape):
    kind = shape.get("shape_type") or "polygon"
    points = _points(path, f"the shape {shape['label']!r}", shape["points"])
    if kind not in _LABELME_SHAPES or len(points) < (3 if kind == "polygon" else 2):
        raise InputError(
            f"{path}: the shape {shape['label']!r} is a {kind} of {len(points)} points, which encloses"
            f" nothing; draw one of {', '.join(_LABELME_SHAPES)}."
        )
    return Shape(str(shape["label"]), kind, points)


def _points(path, owner, numbers):
    points = np.asarray(numbers, np.float64).reshape(-1, 2)
    for point in points[~(np.abs(points) < _FARTHEST).all(axis=1)][:1]:  # NaN is not less than anything.
        raise InputError(f"{path}: {owner} has the point {point.tolist()}; correct it or take it out.")
    return points


def _coco(path, content, images):
    try:
        names = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
        pictures = {entry["id"]: _coco_picture(path, entry, images) for entry in content["images"]}
        # Large regions first, so that what lies upon them is seen.
        for entry in sorted(content["annotations"], key=lambda entry: -float(entry.get("area", 0))):
            if entry["category_id"] not in names or entry["image_id"] not in pictures:
                raise InputError(
                    f"{path}: annotation {entry.get('id')} names the category {entry['category_id']} of the"
                    f" image {entry['image_id']}, and one of them is not there; correct the file."
                )
            picture = pictures[entry["image_id"]]
            picture.shapes.extend(_coco_shapes(path, entry, names[entry["category_id"]], picture.size))
    except InputError:
        raise
    except _MISREAD as error:
        raise InputError(
            f"{path}: is no COCO file of segmentations ({type(error).__name__}: {error}); it needs images,"
            " categories and annotations with `segmentation`."
        ) from None
    return list(pictures.values())


def _coco_picture(path, entry, images):
    name = Path(entry["file_name"])
    if name.is_absolute() or ".." in name.parts:
        raise InputError(f"{path}: the file name {str(name)!r} leaves the folder of the images; correct it.")
    return Picture(images / name, str(name.with_suffix("")), (int(entry["height"]), int(entry["width"])), [])


def _coco_shapes(path, entry, label, size):
    segmentation = entry["segmentation"]
    if isinstance(segmentation, dict):
        try:
            return [Shape(label, "runs", decode_runs(segmentation["counts"], size))]
        except ValueError as error:
            raise InputError(f"{path}: annotation {entry.get('id')}: {error}; correct the file.") from None
    polygons = [_points(path, f"annotation {entry.get('id')}", part) for part in segmentation]
    if not polygons or min(map(len, polygons)) < 3:
        raise InputError(
            f"{path}: annotation {entry.get('id')} has a polygon of less than 3 points or none; mend it or"
            " take it out."
        )
    return [Shape(label, "polygon", points) for points in polygons]
