"""labelme's JSON files, one for each image."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from keras_seg.data.annotation.raster import region_mask
from keras_seg.data.annotation.runs import mask_runs
from keras_seg.data.annotation.shapes import (
    AnnotatedImage,
    Annotations,
    Shape,
    ellipse,
    polygon,
    reading,
    rectangle,
    text,
)
from keras_seg.data.formats.headers import stored_size
from keras_seg.errors import InputError
from keras_seg.texts import parse_json, read_text

_SHAPES = ("polygon", "rectangle", "oriented_rectangle", "circle", "mask")
_VERSION = "5.5.0"  # The first version of labelme's files that the tests wrote.


def is_labelme(content: Any) -> bool:
    """Whether JSON could be labelme's."""
    return isinstance(content, dict) and "annotations" not in content


def read(source: Path, content: Any, images: Path | None) -> Annotations:
    """Reads one file, or all files of a folder, for which content is None."""
    if content is not None:
        return Annotations([_read_file(source, content, images)])
    # A glob would find nothing where it may not look.
    files = sorted(path for path in source.iterdir() if path.suffix == ".json")
    if not files:
        raise InputError(f"{source}: holds no .json files; name the folder of labelme's files.")
    return Annotations([_read_file(path, parse_json(path, read_text(path)), images) for path in files])


def _read_file(path, content, images):
    needs = "labelme's has imagePath, imageHeight, imageWidth and shapes."
    with reading(path, "the file", needs):
        image = _find_image(images, path, text(content["imagePath"]).replace("\\", "/"))
        size = (int(content["imageHeight"]), int(content["imageWidth"]))
        entries = list(content["shapes"])
    shapes = []
    for number, entry in enumerate(entries, start=1):
        with reading(path, f"shape {number}"):
            shapes.append(_read_shape(path, entry, f"shape {number}, {text(entry['label'])!r},", size))
    return AnnotatedImage(image, path.stem, size, shapes, path)


def _find_image(folder, path, name):
    """Finds an image by its path from the JSON file, or in another folder, there by its name alone too."""
    image = (folder or path.parent) / name
    return image if folder is None or image.is_file() else folder / Path(name).name


def _read_shape(path, entry, title, size):
    kind = entry.get("shape_type") or "polygon"
    points = np.asarray(entry["points"], np.float64).reshape(-1, 2)
    if kind not in _SHAPES or len(points) < 2:
        raise InputError(
            f"{path}: {title} is a {kind} of {len(points)} points, which encloses nothing; draw one of"
            f" {', '.join(_SHAPES)}."
        )
    if kind == "mask":
        region = _read_mask(entry["mask"], points, size)
    elif kind == "rectangle":
        region = polygon(path, title, rectangle(*points[:2].ravel()))
    elif kind == "circle":
        radius = np.linalg.norm(points[1] - points[0])
        region = polygon(path, title, ellipse(*points[0], radius, radius))
    else:
        region = polygon(path, title, points)
    return Shape(entry["label"], region, title)


def _read_mask(encoded, corners, size):
    """A PNG of the pixels from the first corner to the second, both included."""
    contents = base64.b64decode(encoded, validate=True)
    (left, top), (right, bottom) = (
        tuple(round(float(number)) for number in corner) for corner in corners[:2]
    )
    stored, wanted = stored_size(contents), (bottom - top + 1, right - left + 1)
    if stored != wanted:
        found = "no image" if stored is None else f"{stored[1]} x {stored[0]} pixels"
        raise ValueError(f"its mask is {found} and its corners are those of {wanted[1]} x {wanted[0]}")
    pixels = cv2.imdecode(np.frombuffer(contents, np.uint8), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise ValueError("its mask is a damaged PNG")
    return mask_runs(pixels > 0, (left, top), size)


def write(images, export):
    """Writes one image's file, without the image; yields its name and bytes."""
    (image,) = images
    content = {
        "version": _VERSION,
        "flags": {},
        "shapes": [_write_shape(region, export, image.size) for region in image.regions],
        "imagePath": _path_from(export.folder, image.image),
        "imageData": None,
        "imageHeight": image.size[0],
        "imageWidth": image.size[1],
    }
    yield f"{image.image.stem}.json", json.dumps(content).encode()


def _write_shape(region, export, size):
    if export.shapes == "polygons" and len(region.rings) == 1:
        drawn = {"shape_type": "polygon", "points": region.rings[0].tolist(), "mask": None}
    else:
        (left, top), pixels = region_mask(region.rings, size)
        _, png = cv2.imencode(".png", pixels.astype(np.uint8) * 255)
        corners = [[left, top], [left + pixels.shape[1] - 1, top + pixels.shape[0] - 1]]
        drawn = {"shape_type": "mask", "points": corners, "mask": base64.b64encode(png).decode()}
    kept = {"group_id": None, "description": "", "flags": {}, "score": round(region.score, 4)}
    return {"label": export.classes[region.class_id], **drawn, **kept}


def _path_from(folder, image):
    try:
        return Path(os.path.relpath(image.resolve(), folder.resolve())).as_posix()
    except ValueError:  # On another drive of Windows.
        return str(image.resolve())
