"""COCO's instance files: Lin et al., 2014 (arXiv:1405.0312)."""

import json
from pathlib import Path
from typing import Any

from keras_seg.data.annotation.polygons import area
from keras_seg.data.annotation.raster import region_mask
from keras_seg.data.annotation.runs import encode, make_runs, uncompressed
from keras_seg.data.annotation.shapes import (
    AnnotatedImage,
    Annotations,
    Shape,
    image_name,
    polygon,
    reading,
    text,
)
from keras_seg.errors import InputError


def is_coco(content: Any) -> bool:
    """Whether JSON could be COCO's."""
    return isinstance(content, dict) and "annotations" in content


def read(source: Path, content: Any, images: Path | None) -> Annotations:
    """Reads a file; the classes come in the order of the categories' ids."""
    folder = images or source.parent
    needs = "COCO's has images, categories and annotations with `segmentation`."
    with reading(source, "the file", needs):
        names = {entry["id"]: text(entry["name"]) for entry in content["categories"]}
        names = dict(sorted(names.items()))
        found = {entry["id"]: _read_image(source, entry, folder) for entry in content["images"]}
        # Large regions first, so that what lies upon them is seen.
        entries = sorted(content["annotations"], key=lambda entry: -float(entry.get("area") or 0))
    for entry in entries:
        title = f"annotation {entry.get('id')}"
        with reading(source, title):
            if entry["category_id"] not in names or entry["image_id"] not in found:
                raise InputError(
                    f"{source}: {title} names the category {entry['category_id']} of the image"
                    f" {entry['image_id']}, and one of them is not there; correct the file."
                )
            image = found[entry["image_id"]]
            for region in _read_regions(source, title, entry["segmentation"], image.size):
                image.shapes.append(Shape(names[entry["category_id"]], region, title))
    return Annotations(list(found.values()), tuple(dict.fromkeys(names.values())))


def _read_image(path, entry, folder):
    name = image_name(path, text(entry["file_name"]))
    size = (int(entry["height"]), int(entry["width"]))
    return AnnotatedImage(folder / name, name.with_suffix("").as_posix(), size, [], path)


def _read_regions(path, title, segmentation, size):
    if not isinstance(segmentation, dict):
        if not segmentation:
            raise ValueError("it has no polygon")
        return [polygon(path, title, part) for part in segmentation]
    height, width = segmentation.get("size", size)
    if (height, width) != size:
        raise ValueError(f"its runs are of {width} x {height} pixels and the image is {size[1]} x {size[0]}")
    counts = segmentation["counts"]
    lengths = uncompressed(counts) if isinstance(counts, str) else counts
    return [make_runs(lengths, (0, 0, width, height), size, by_columns=True)]


def write(images, export):
    """Writes all images into one file; yields its name and bytes.

    A region with holes, which COCO's polygons cannot have, is given by its runs.
    """
    content = {
        "images": [],
        "annotations": [],
        "categories": [{"id": index, "name": name} for index, name in enumerate(export.classes, start=1)],
    }
    annotations = content["annotations"]
    for number, image in enumerate(images, start=1):
        height, width = image.size
        entry = {"id": number, "file_name": image.known_as, "height": height, "width": width}
        content["images"].append(entry)
        for region in image.regions:
            (left, top), (right, bottom) = (
                bound.tolist() for bound in (region.rings[0].min(axis=0), region.rings[0].max(axis=0))
            )
            annotation = {
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": region.class_id + 1,
                "bbox": [left, top, right - left, bottom - top],
                "area": area(region.rings),
                "iscrowd": 0,
                "segmentation": _write_region(region, image.size, export),
                "score": round(region.score, 4),
            }
            annotations.append(annotation)
    yield "coco.json", json.dumps(content).encode()


def _write_region(region, size, export):
    if export.shapes == "polygons" and len(region.rings) == 1:
        return [region.rings[0].ravel().tolist()]
    pixels = region_mask(region.rings, size, whole=True)[1]
    return {"counts": encode(pixels, by_columns=True), "size": list(size)}
