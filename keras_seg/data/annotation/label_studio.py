"""Label Studio's JSON: tasks with annotations that people drew and predictions that they correct."""

import json
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree

import numpy as np

from keras_seg.data.annotation.brush import decode_brush, encode_brush
from keras_seg.data.annotation.raster import region_mask
from keras_seg.data.annotation.runs import mask_runs
from keras_seg.data.annotation.shapes import (
    AnnotatedImage,
    Annotations,
    Shape,
    check_xml,
    ellipse,
    hex_color,
    polygon,
    reading,
    rectangle,
    rotated,
    text,
)
from keras_seg.data.folders.pairs import IMAGE_SUFFIXES
from keras_seg.data.formats.headers import MAX_PIXELS
from keras_seg.errors import InputError

_UPLOAD = re.compile("^[0-9a-f]{8}-")  # What Label Studio puts before the name of an uploaded image.
_KINDS = {
    "brush": "rle",
    "polygon": "points",
    "rectangle": "width",
    "ellipse": "radiusX",
}  # And what tells them.
# Results that say something of the image and enclose nothing.
_OTHER = ("choices", "taxonomy", "textarea", "rating", "number", "datetime", "pairwise", "ranker", "relation")


def is_label_studio(content: Any) -> bool:
    """Whether JSON could be Label Studio's."""
    return isinstance(content, list)


def read(source: Path, content: Any, images: Path | None) -> Annotations:
    """Reads the annotations of all tasks.

    Of several annotations of a task the one that is marked as ground truth counts, otherwise the one that was
    updated last. Tasks that nobody annotated are left out, unless no task was annotated: then their
    predictions count.
    """
    folder = images or source.parent
    tasks = []
    for number, task in enumerate(content, start=1):
        with reading(source, f"task {number}"):
            tasks.append((task, f"task {task.get('id', number)}"))
            if "annotations" not in task and "predictions" not in task:
                raise InputError(
                    f"{source}: is not Label Studio's JSON of all annotations; export it as JSON."
                )
    chosen = [(task, title, _choose(source, title, task, "annotations")) for task, title in tasks]
    notes = []
    if all(results is None for _, _, results in chosen):
        notes.append(f"{source}: nobody annotated a task, so that the predictions were taken")
        chosen = [(task, title, _choose(source, title, task, "predictions")) for task, title in tasks]
    found, left_out = [], 0
    for task, title, results in chosen:
        if results is None:
            left_out += 1
            continue
        with reading(source, title):
            found.append(_read_task(source, title, task, results, folder))
    if left_out:
        notes.append(f"{source}: {left_out} tasks that nobody annotated were left out")
    return Annotations(found, None, tuple(notes))


def _choose(source, title, task, key):
    """Returns the results of the annotation or prediction that counts; None where there is none."""
    with reading(source, title):
        entries = [entry for entry in task.get(key) or () if not entry.get("was_cancelled")]
        if not entries:
            return None
        best = max(entries, key=lambda entry: (bool(entry.get("ground_truth")), _time(entry)))
        return list(best["result"])


def _time(entry):
    return text(entry.get("updated_at") or entry.get("created_at") or "")


def _read_task(source, title, task, results, folder):
    drawn = [result for result in results if _kind(result) in _KINDS]
    image = find_task_image(source, title, task["data"], folder)
    name = image.relative_to(folder).with_suffix("").as_posix()
    sizes = {(int(result["original_height"]), int(result["original_width"])) for result in drawn}
    if len(sizes) > 1:
        raise ValueError(f"its regions are of {len(sizes)} sizes of image")
    # Where nothing was drawn the file does not tell the size.
    size = sizes.pop() if sizes else None
    shapes = []
    for number, result in enumerate(results, start=1):
        called = f"{title}, region {result.get('id', number)}"
        with reading(source, called):
            if (shape := _read_result(source, called, result, size)) is not None:
                shapes.append(shape)
    return AnnotatedImage(image, name, size, shapes, source)


def _kind(result):
    """Such as "brush" of the types "brush" and "brushlabels"."""
    kind = text(result["type"])
    if kind == "labels":  # With the geometry of another result of the same region.
        return next((kind for kind, key in _KINDS.items() if key in result["value"]), kind)
    return kind.removesuffix("labels")


def _read_result(source, title, result, size):
    kind = _kind(result)
    if kind in _OTHER:
        return None
    if kind not in _KINDS:
        raise InputError(
            f"{source}: {title} is a {kind}, which encloses nothing; draw one of {', '.join(_KINDS)}."
        )
    value = result["value"]
    labels = value.get(result["type"]) or value.get("labels")
    if not labels:
        # The region of a configuration with a <Labels> of its own, whose result with the label follows.
        return None
    if len(labels) != 1:
        raise InputError(f"{source}: {title} has the labels {', '.join(map(str, labels))}; keep one.")
    if result.get("image_rotation"):
        raise InputError(f"{source}: {title} was drawn on a turned image; turn the image back in the tool.")
    return Shape(text(labels[0]), _read_region(source, title, kind, value, size), title)


def _read_region(source, title, kind, value, size):
    height, width = size
    if kind == "brush":
        if value.get("format", "rle") != "rle":
            raise ValueError(f"its format is {value['format']}, not rle")
        if not 0 < height * width <= MAX_PIXELS:
            raise ValueError(f"an image of {width} x {height} pixels cannot be read")
        return mask_runs(decode_brush(value["rle"], size), (0, 0), size)
    scale = np.array([width, height]) / 100  # Per cent of the image to pixels.
    if kind == "polygon":
        return polygon(source, title, np.asarray(value["points"], np.float64) * scale)
    corner = np.array([value["x"], value["y"]], np.float64) * scale
    if kind == "ellipse":
        points = ellipse(*corner, *(np.array([value["radiusX"], value["radiusY"]], np.float64) * scale))
    else:
        extent = np.array([value["width"], value["height"]], np.float64) * scale
        points = rectangle(*corner, *(corner + extent))
    return polygon(source, title, rotated(points, float(value.get("rotation") or 0), corner))


def find_task_image(source, title, data, folder):
    """Finds the image that a task's address means: by as much of its path as leads to one in the folder.

    Args:
        source: Where the task comes from, and `title` what it is called there, for messages.
        data: The task's `data`.
        folder: The folder of the images.

    Raises:
        InputError: It names no image or several, or leaves the folder by its names; links are followed.
    """
    addresses = [value for value in data.values() if isinstance(value, str)]
    names = [name for name in map(_path_of, addresses) if name.suffix.lower() in IMAGE_SUFFIXES]
    if len(names) != 1:
        raise InputError(
            f"{source}: {title} names {len(names)} images; one address must end as an image's name."
        )
    parts = [part for part in names[0].parts if part != "/"]
    if ".." in parts:
        raise InputError(f"{source}: {title}: {addresses} leaves the folder of the images; correct it.")
    tails = [folder.joinpath(*parts[start:]) for start in range(len(parts))]
    tails.append(folder / _UPLOAD.sub("", parts[-1]))
    return next((tail for tail in tails if tail.is_file()), tails[-1])


def _path_of(address):
    parts = urlsplit(address)
    local = parse_qs(parts.query).get("d")  # /data/local-files/?d=folder/a.jpg
    return PurePosixPath(local[0] if local else unquote(parts.path))


def write(images, export):
    """Writes tasks with predictions, and the labeling configuration that they need; yields names and bytes.

    In masks all regions of a class are one brush, as people go over them.
    """
    tasks = [
        {
            "data": {"image": f"{export.image_prefix}{quote(image.known_as)}"},
            "predictions": [write_prediction(image, export)],
        }
        for image in images
    ]
    yield "label-studio.json", json.dumps(tasks).encode()
    yield "label-studio.xml", labeling_config(export.classes, export.colors)


def labeling_config(classes: Sequence[str], colors: Any) -> bytes:
    """Returns the labeling configuration of a project: brush and polygon for each class."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name="image", value="$image", zoom="true")
    for kind in ("Brush", "Polygon"):
        labels = ElementTree.SubElement(view, f"{kind}Labels", name=kind.lower(), toName="image")
        for name, color in zip(classes, colors, strict=True):
            ElementTree.SubElement(labels, "Label", value=check_xml(name), background=hex_color(color))
    ElementTree.indent(view)
    return ElementTree.tostring(view, "utf-8")


def write_prediction(image, export):
    """Returns the prediction of a task from a PredictedImage, as JSON can hold it."""
    brushes, results = {}, []
    for region in image.regions:
        if export.shapes == "polygons" and len(region.rings) == 1:
            results.append(_write_polygon(region, image.size, export, f"polygon-{len(results)}"))
        else:
            brushes.setdefault(region.class_id, []).append(region)
    for class_id, regions in brushes.items():
        results.append(_write_brush(class_id, regions, image.size, export))
    score = min((result["score"] for result in results), default=1.0)
    return {"model_version": export.model, "score": score, "result": results}


def _write_polygon(region, size, export, name):
    points = (region.rings[0] * (100 / np.array(size[::-1]))).tolist()
    value = {"points": points, "closed": True}
    return _write_result("polygon", name, value, export.classes[region.class_id], region.score, size)


def _write_brush(class_id, regions, size, export):
    mask, scores, counts = np.zeros(size, bool), [], []
    for region in regions:
        (left, top), pixels = region_mask(region.rings, size)
        mask[top : top + pixels.shape[0], left : left + pixels.shape[1]] |= pixels
        scores.append(region.score)
        counts.append(int(pixels.sum()))
    value = {"format": "rle", "rle": encode_brush(mask)}
    score = float(np.average(scores, weights=counts))
    return _write_result("brush", f"brush-{class_id}", value, export.classes[class_id], score, size)


def _write_result(kind, name, value, label, score, size):
    return {
        "id": name,
        "type": f"{kind}labels",
        "from_name": kind,
        "to_name": "image",
        "original_width": size[1],
        "original_height": size[0],
        "image_rotation": 0,
        "score": round(score, 4),
        "value": value | {f"{kind}labels": [label]},
    }
