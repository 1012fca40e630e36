"""Draws annotations into masks of class ids and describes them with a dataset.json and a list of pairs."""

from pathlib import Path

import cv2
import numpy as np

from keras_seg.classes import MAX_CLASSES
from keras_seg.data.annotation.raster import fill_polygon
from keras_seg.data.annotation.reading import BACKGROUNDS, IGNORED, read_annotations
from keras_seg.data.description import FILE_NAME, Description, read_description
from keras_seg.data.reading import image_size
from keras_seg.data.samples import Sample, split_name
from keras_seg.data.sources import list_line
from keras_seg.data.writing import check_content, content_of, write_description
from keras_seg.errors import InputError
from keras_seg.files import make_folder, replacing
from keras_seg.palette import IGNORE
from keras_seg.texts import is_text, readable


def convert(source, output, *, images=None, classes=None, split="train", progress=iter) -> int:
    """Writes OUTPUT/masks/SPLIT/NAME.png, OUTPUT/SPLIT.csv and OUTPUT/dataset.json.

    Class 0 is the background, `__ignore__` becomes 255, and the other labels follow by name (COCO: all
    that occur). The images stay where they are; the list names them. A second split can be added to the same
    output, with the same classes.

    Args:
        source: a COCO JSON file, or a folder of labelme JSON files.
        output: a folder.
        images: folder of the images; by default beside the JSON files.
        classes: names in id order, the background first; by default those that occur.
        split: train, val or test.
        progress: wraps the list of pictures, such as `tqdm.tqdm`.

    Returns:
        The number of masks.

    Raises:
        InputError: an annotation is wrong, its image is missing or has another size, or the output has pairs
            of that split already.
    """
    source, output, split = Path(source), Path(output), split_name(split, "--split")
    with readable(source):
        if not source.exists():
            raise InputError(f"{source}: does not exist; name a COCO file or a folder of labelme files.")
        pictures = read_annotations(source, images and Path(images))
        _check_pictures(source, pictures)
    with readable(output):
        known = read_description(output) if output.is_dir() else Description()
        _check_new(output, split, known)
    names = _class_names(source, output, pictures, classes or known.classes, known.classes)
    content = content_of(known) | {"classes": names}
    content["splits"] = (known.splits or {}) | {split: f"{split}.csv"}
    # All that may be refused comes before the first mask is written.
    check_content(output, content)
    lines = [list_line(picture.image.resolve(), _target(split, picture)) for picture in pictures]
    ids = dict.fromkeys(BACKGROUNDS, 0) | {name: index for index, name in enumerate(names)}
    ids[IGNORED] = IGNORE
    for picture in progress(pictures):
        target = output / _target(split, picture)
        make_folder(target.parent)
        _, encoded = cv2.imencode(".png", draw_mask(picture, ids))
        with replacing(target) as temporary:
            temporary.write_bytes(encoded.tobytes())
    with replacing(output / f"{split}.csv") as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
    write_description(output, content, keep_old=False)
    return len(pictures)


def _target(split, picture):
    return Path("masks", split, f"{picture.name}.png")


def draw_mask(picture, ids) -> np.ndarray:
    """Draws the shapes of a Picture, the first at the bottom: uint8 [H, W] of `ids[label]`, 0 elsewhere."""
    mask = np.zeros(picture.size, np.uint8)
    for shape in picture.shapes:
        if shape.kind == "runs":
            mask[shape.points] = ids[shape.label]
        else:
            mask[fill_polygon(_outline(shape), picture.size)] = ids[shape.label]
    return mask


def _outline(shape):
    if shape.kind == "polygon":
        return shape.points
    first, second = shape.points[:2]
    if shape.kind == "rectangle":
        return np.array([first, (second[0], first[1]), second, (first[0], second[1])])
    angles = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    return first + np.linalg.norm(second - first) * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _check_pictures(source, pictures):
    if not pictures:
        raise InputError(f"{source}: names no images; nothing to convert.")
    images = {}
    for picture in pictures:
        other = images.setdefault(picture.name, picture.image)
        if other != picture.image:
            raise InputError(
                f"{source}: {other} and {picture.image} would have one mask, {picture.name}.png; rename one."
            )
        if not picture.image.is_file():
            raise InputError(f"{picture.image}: does not exist, and {source} names it; give --images FOLDER.")
        size = image_size(Sample(picture.image, picture.image))
        if size != picture.size:
            raise InputError(
                f"{picture.image}: is {size[1]} x {size[0]} pixels, but was annotated as"
                f" {picture.size[1]} x {picture.size[0]}; take the image that was annotated."
            )


def _check_new(output, split, known):
    path = output / f"{split}.csv"
    if path.exists() or split in (known.splits or {}):
        raise InputError(
            f"{path if path.exists() else output / FILE_NAME}: has the pairs of {split} already; name another"
            " --split or --output, or take them away."
        )


def _class_names(source, output, pictures, classes, known):
    """Returns the class names in id order."""
    labels = {shape.label for picture in pictures for shape in picture.shapes} - {IGNORED, *BACKGROUNDS}
    names = list(classes or ["background", *sorted(labels)])
    if broken := [name for name in names if not is_text(name)]:
        raise InputError(f"{source}: {broken[0]!r} is no name of a class; correct the label or --classes.")
    if known and tuple(names) != known:
        raise InputError(f"{output}: was written with the classes {', '.join(known)}; take another folder.")
    unknown = sorted(labels - set(names))
    if unknown or len(set(names)) < len(names) or len(names) > MAX_CLASSES:
        found = f"holds the label {unknown[0]!r}" if unknown else f"has {len(names)} classes"
        raise InputError(
            f"{source}: {found}; --classes must name every label once, the background first, at most"
            f" {MAX_CLASSES}."
        )
    if names[0] in labels:
        # What nobody labeled is class 0 as well.
        raise InputError(
            f"{source}: holds the label {names[0]!r}, which --classes puts first, where the background is;"
            " put background before it."
        )
    return names
