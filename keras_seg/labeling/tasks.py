"""A list of tasks for an annotation tool, in the order in which a person should go through them."""

import os
from pathlib import Path

from keras_seg.data.annotation.formats import FORMATS, Writer
from keras_seg.data.annotation.polygons import regions
from keras_seg.data.annotation.shapes import BACKGROUNDS, Export, PredictedImage
from keras_seg.errors import InputError
from keras_seg.files import replacing
from keras_seg.inference.outputs import LOCAL_FILES

_WITHOUT_FOLDERS = ("cvat-masks", "labelme")


class Tasks:
    """Writes masks for an annotation tool to correct, without the background.

    Args:
        name: key of `FORMATS`, such as "label-studio".
        folder: folder for its files.
        images: paths of all images that will come; the tool knows them by their names below the folder that
            they share.
        classes: class names in id order.
        colors: RGB per class.
        image_prefix: what stands before an image's name in Label Studio's tasks; None: its local files.

    Raises:
        InputError: there is no such format, it cannot hold a class's name, or two images have one name in a
            format that knows no folders.
    """

    def __init__(self, name, folder, images, classes, colors, image_prefix=None):
        check_format(name)
        _check_names(name, images)
        self._shared = Path(os.path.commonpath([path.parent for path in images]))
        prefix = LOCAL_FILES if image_prefix is None else image_prefix
        colors = [tuple(map(int, color)) for color in colors]
        export = Export(classes, colors, Path(folder), FORMATS[name].shapes, prefix, "keras_seg")
        self._writer = Writer(name, export, _save)
        self._drawn = [index for index in range(len(classes)) if index or classes[0] not in BACKGROUNDS]

    def add(self, path, mask, confidence):
        """Takes an image's path, class ids [H, W] and each pixel's confidence, [H, W] in 0..1."""
        found = regions(mask, confidence, self._drawn)
        self._writer.add(PredictedImage(path, mask.shape, found, self._shared))

    def finish(self):
        """Writes what belongs to all images together."""
        self._writer.finish()


def check_format(name):
    """Raises InputError where there is no such format."""
    if name not in FORMATS:
        raise InputError(f"--annotations must be one of {', '.join(FORMATS)}, or none, received {name}")


def _check_names(name, images):
    if name not in _WITHOUT_FOLDERS:
        return
    stems = {}
    for path in images:
        if (other := stems.setdefault(path.stem, path)) != path:
            raise InputError(
                f"{other} and {path}: have one name, and {name} knows no folders; take label-studio"
            )


def _save(path, contents):
    with replacing(path) as temporary:
        temporary.write_bytes(contents)
