"""Draws annotations into masks of class ids and describes them with a dataset.json and a list of pairs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from keras_seg.classes import MAX_CLASSES
from keras_seg.data.annotation.formats import read_annotations
from keras_seg.data.annotation.raster import find_crossing, region_mask
from keras_seg.data.annotation.runs import Runs
from keras_seg.data.annotation.shapes import BACKGROUNDS, IGNORED, AnnotatedImage
from keras_seg.data.folders.description import FILE_NAME, Description, read_description
from keras_seg.data.folders.pairs import list_line
from keras_seg.data.folders.writing import check_content, content_of, write_description
from keras_seg.data.formats.reading import image_size
from keras_seg.data.samples import Sample, split_name
from keras_seg.errors import InputError
from keras_seg.files import make_folder, replacing
from keras_seg.hints import PathLike, Progress
from keras_seg.palette import IGNORE
from keras_seg.texts import is_text, readable

UNLABELED = ("background", "ignore")
_MOST_NOTES = 20  # Of polygons that cross themselves.


def convert(
    source: PathLike,
    output: PathLike,
    *,
    images: PathLike | None = None,
    classes: Sequence[str] | None = None,
    split: str = "train",
    unlabeled: str = "background",
    note: Callable[[str], Any] = lambda line: None,
    progress: Progress = iter,
) -> int:
    """Writes OUTPUT/masks/SPLIT/NAME.png, OUTPUT/SPLIT.csv and OUTPUT/dataset.json.

    Class 0 is the background, `__ignore__` becomes 255, and the other classes follow in the order in which
    the source lists them, or by name where it lists none. The images stay where they are; the list names
    them. A second split can be added to the same output, with the same classes.

    Args:
        source: What an annotation tool wrote, as `read_annotations` takes it.
        output: a folder.
        images: folder of the images; by default beside the source.
        classes: names in id order; by default those of the source.
        split: train, val or test.
        unlabeled: what pixels are that nobody labeled: "background", which is class 0, or "ignore", which is
            255; then class 0 is a class like the others.
        note: is called with lines that people should see, such as that a polygon crosses itself.
        progress: wraps the list of images, such as `tqdm.tqdm`.

    Returns:
        The number of masks.

    Raises:
        InputError: an annotation is wrong, its image is missing or has another size, its class is not among
            the classes, or the output has pairs of that split already.
    """
    source, output, split = Path(source), Path(output), split_name(split, "--split")
    if unlabeled not in UNLABELED:
        raise InputError(f"--unlabeled must be {' or '.join(UNLABELED)}, received {unlabeled}")
    with readable(source):
        if not source.exists():
            raise InputError(f"{source}: does not exist; name a file or folder of an annotation tool.")
        found = read_annotations(source, None if images is None else Path(images))
        annotated = _checked_images(source, found.images)
    with readable(output):
        known = read_description(output) if output.is_dir() else Description()
        _check_new(output, split, known)
    names = _class_names(source, output, found, classes or known.classes, known.classes, unlabeled)
    content = content_of(known) | {"classes": names}
    content["splits"] = (known.splits or {}) | {split: f"{split}.csv"}
    # All that may be refused comes before the first mask is written.
    check_content(output, content)
    lines = [list_line(image.image.resolve(), _target(split, image)) for image in annotated]
    for line in (*found.notes, *_crossing_notes(annotated)):
        note(line)
    ids = {name: index for index, name in enumerate(names)} | {IGNORED: IGNORE}
    if unlabeled == "background":
        ids = dict.fromkeys(BACKGROUNDS, 0) | ids
    for image in progress(annotated):
        target = output / _target(split, image)
        make_folder(target.parent)
        _, encoded = cv2.imencode(".png", draw_mask(image, ids, IGNORE if unlabeled == "ignore" else 0))
        with replacing(target) as temporary:
            temporary.write_bytes(encoded.tobytes())
    with replacing(output / f"{split}.csv") as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
    write_description(output, content, keep_old=False)
    return len(annotated)


def _target(split, image):
    return Path("masks", split, f"{image.name}.png")


def draw_mask(image: AnnotatedImage, ids: Any, unlabeled: Any = 0) -> np.ndarray:
    """Draws the shapes of an AnnotatedImage, the first at the bottom.

    Returns:
        uint8 [H, W] of `ids[label]`, and `unlabeled` elsewhere.
    """
    mask = np.full(image.size, unlabeled, np.uint8)
    for shape in image.shapes:
        if isinstance(shape.region, Runs):
            (left, top), pixels = shape.region.box[:2], shape.region.decode()
        else:
            (left, top), pixels = region_mask([shape.region], image.size)
        height, width = pixels.shape
        mask[top : top + height, left : left + width][pixels] = ids[shape.label]
    return mask


def _checked_images(source, annotated):
    """Returns the images, each with its size."""
    if not annotated:
        raise InputError(f"{source}: names no images; nothing to convert.")
    images, checked = {}, []
    for image in annotated:
        if other := images.get(image.name):
            way_out = "rename one" if other != image.image else "take one out"
            raise InputError(
                f"{source}: {other} and {image.image} would have one mask, {image.name}.png; {way_out}."
            )
        images[image.name] = image.image
        if not image.image.is_file():
            raise InputError(
                f"{image.image}: does not exist, and {image.source} names it; give --images FOLDER."
            )
        size = image_size(Sample(image.image, image.image))
        if image.size not in (None, size):
            raise InputError(
                f"{image.image}: is {size[1]} x {size[0]} pixels, but was annotated as"
                f" {image.size[1]} x {image.size[0]}; take the image that was annotated."
            )
        checked.append(image._replace(size=size))
    return checked


def _crossing_notes(annotated):
    notes = []
    for image in annotated:
        for shape in image.shapes:
            if isinstance(shape.region, Runs) or (point := find_crossing(shape.region)) is None:
                continue
            x, y = point
            notes.append(
                f"{image.source}: {shape.title} crosses itself at {x:.1f}, {y:.1f}; what it encloses twice is"
                " left out, so look at it in the tool"
            )
    more = len(notes) - _MOST_NOTES
    return notes if more <= 0 else [*notes[:_MOST_NOTES], f"{more} more polygons cross themselves"]


def _check_new(output, split, known):
    path = output / f"{split}.csv"
    if path.exists() or split in (known.splits or {}):
        raise InputError(
            f"{path if path.exists() else output / FILE_NAME}: has the pairs of {split} already; name another"
            " --split or --output, or take them away."
        )


def _class_names(source, output, found, classes, known, unlabeled):
    """Returns the class names in id order."""
    special = {IGNORED} if unlabeled == "ignore" else {IGNORED, *BACKGROUNDS}
    labels = {}  # And the first shape that has it, for messages.
    for image in found.images:
        for shape in image.shapes:
            if shape.label not in special:
                labels.setdefault(shape.label, f"{image.source}: {shape.title}")
    listed = [name for name in found.classes or sorted(labels) if name not in special]
    names = list(classes or [*(["background"] if unlabeled == "background" else []), *listed])
    if broken := [name for name in names if not is_text(name)]:
        where = labels.get(broken[0], source)
        raise InputError(f"{where}: {broken[0]!r} is no name of a class; correct the label or --classes.")
    if known and tuple(names) != known:
        raise InputError(f"{output}: was written with the classes {', '.join(known)}; take another folder.")
    for label in sorted(set(labels) - set(names))[:1]:
        raise InputError(
            f"{labels[label]} holds the label {label!r}; --classes must name every label once, the background"
            " first, or rename it in the tool."
        )
    if len(set(names)) < len(names) or not 1 <= len(names) <= MAX_CLASSES:
        raise InputError(
            f"{source}: has {len(names)} classes; --classes must name every label once, the background first,"
            f" at most {MAX_CLASSES}."
        )
    if unlabeled == "background" and names[0] in labels:
        raise InputError(
            f"{labels[names[0]]} holds the label {names[0]!r}, which --classes puts first, where the"
            " background is; put background before it, or give --unlabeled ignore."
        )
    return names
