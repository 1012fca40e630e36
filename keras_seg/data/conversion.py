"""Draws annotations into masks of class ids and describes them with a dataset.json and a list of pairs."""

import json
from pathlib import Path

import cv2
import numpy as np

from keras_seg.data.annotations import BACKGROUNDS, IGNORED, read_annotations
from keras_seg.data.description import FILE_NAME, read_description
from keras_seg.data.raster import fill_polygon
from keras_seg.data.reading import image_size
from keras_seg.data.samples import MAX_CLASSES, Sample
from keras_seg.errors import InputError
from keras_seg.files import make_folder, replacing
from keras_seg.palette import IGNORE


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
        split: name of the split.
        progress: wraps the list of pictures, such as `tqdm.tqdm`.

    Returns:
        The number of masks.

    Raises:
        InputError: an annotation is wrong, its image is missing or has another size.
    """
    source, output = Path(source), Path(output)
    if not source.exists():
        raise InputError(f"{source}: does not exist; name a COCO file or a folder of labelme files.")
    pictures = read_annotations(source, images and Path(images))
    _check_pictures(source, pictures)
    names = _class_names(source, output, pictures, classes)
    ids = dict.fromkeys(BACKGROUNDS, 0) | {name: index for index, name in enumerate(names)}
    ids[IGNORED] = IGNORE
    for picture in progress(pictures):
        target = output / "masks" / split / f"{picture.name}.png"
        make_folder(target.parent)
        _, encoded = cv2.imencode(".png", draw_mask(picture, ids))
        with replacing(target) as temporary:
            temporary.write_bytes(encoded.tobytes())
    _describe(output, split, pictures, names)
    return len(pictures)


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


def _class_names(source, output, pictures, classes):
    """Returns the class names in id order."""
    labels = {shape.label for picture in pictures for shape in picture.shapes} - {IGNORED, *BACKGROUNDS}
    known = (read_description(output).classes if output.is_dir() else None) or ()
    names = list(classes or known or ["background", *sorted(labels)])
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


def _describe(output, split, pictures, names):
    lines = [
        f'"{picture.image.resolve()}","masks/{split}/{Path(picture.name).as_posix()}.png"\n'
        for picture in pictures
    ]
    with replacing(output / f"{split}.csv") as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
    content = {"classes": names, "splits": {}}
    if (output / FILE_NAME).exists():
        content = json.loads((output / FILE_NAME).read_text(encoding="utf-8"))
    content["splits"][split] = f"{split}.csv"
    with replacing(output / FILE_NAME) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
