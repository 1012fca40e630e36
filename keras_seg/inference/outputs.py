"""The outputs of a predicted image besides its mask."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_seg.data.annotation.formats import FORMATS, Writer
from keras_seg.data.annotation.polygons import geojson, regions
from keras_seg.data.annotation.shapes import BACKGROUNDS, Export, PredictedImage
from keras_seg.errors import InputError, nearest
from keras_seg.files import make_folder, replacing
from keras_seg.inference.images import drawing_path, write_image, write_mask
from keras_seg.palette import IGNORE
from keras_seg.sheets import labeled_overlay

PROBABILITIES = ("npz", "png")
POLYGONS = ("geojson", "coco")
LOCAL_FILES = "/data/local-files/?d="  # Where Label Studio serves files of its own machine.
ANNOTATION_SHAPES = ("masks", "polygons")


@dataclass(frozen=True)
class Wanted:
    """What to write besides masks.

    Attributes:
        overlay: `overlays/STEM.jpg`, the colors over the image, with a legend; `.png` where a side has more
            than 65,500 pixels, which no JPEG holds.
        confidence: `confidence/STEM.png`, grey, 255 is certain.
        probabilities: `"npz"`: `probabilities/STEM.npz`, float16 [H, W, C] under the key `probabilities`;
            `"png"`: `probabilities/STEM-ID.png` for each class, grey of 16 bits, 65535 is certain.
        polygons: `"geojson"`: `polygons/STEM.geojson`; `"coco"`: one `polygons.json` of all images.
        annotations: a key of `FORMATS`: what that annotation tool reads, in `annotations/`, with scores and
            without the background.
        annotation_shapes: `"masks"` or `"polygons"`, of regions without holes; None as the tool edits best.
        image_prefix: what stands before the name of an image in Label Studio's tasks.
        classes: names of the classes to keep; the pixels of the others become 255, ignored. None for all.

    Raises:
        InputError: a value is out of range.
    """

    overlay: bool = False
    confidence: bool = False
    probabilities: str | None = None
    polygons: str | None = None
    annotations: str | None = None
    annotation_shapes: str | None = None
    image_prefix: str | None = None
    classes: tuple[str, ...] | None = None

    def __post_init__(self):
        for name, known in (
            ("probabilities", PROBABILITIES),
            ("polygons", POLYGONS),
            ("annotations", tuple(FORMATS)),
            ("annotation_shapes", ANNOTATION_SHAPES),
        ):
            if (value := getattr(self, name)) not in (None, *known):
                flag = name.replace("_", "-")
                raise InputError(f"--{flag} must be {' or '.join(known)}, received {value}")
        for name in ("annotation_shapes", "image_prefix"):
            if getattr(self, name) is not None and self.annotations is None:
                flag = name.replace("_", "-")
                raise InputError(f"--{flag} is of --annotations; name its format, or drop it")


class Outputs:
    """Writes what is wanted for each image into a folder, and at the end what is of all.

    Args:
        folder: the folder.
        wanted: Wanted.
        classes: class names of the model in id order.
        colors: RGB per class, [C, 3].
        model: name of the model.

    Raises:
        InputError: a class is not the model's.
    """

    def __init__(self, folder, wanted, classes, colors, model="keras_seg"):
        self.folder, self.wanted, self.classes, self.colors = Path(folder), wanted, classes, colors
        self._keep = None if wanted.classes is None else _ids(wanted.classes, classes)
        self._writers = []  # And the ids of the classes that each gets.
        colors = [tuple(map(int, color)) for color in colors]
        if wanted.polygons == "coco":
            export = Export(classes, colors, self.folder, "polygons")
            save = functools.partial(_save_as, self.folder / "polygons.json")
            self._writers.append((Writer("coco", export, save), self._keep))
        if wanted.annotations:
            shapes = wanted.annotation_shapes or FORMATS[wanted.annotations].shapes
            prefix = LOCAL_FILES if wanted.image_prefix is None else wanted.image_prefix
            export = Export(classes, colors, self.folder / "annotations", shapes, prefix, model)
            drawn = [index for index in self._kept_ids() if index or classes[0] not in BACKGROUNDS]
            self._writers.append((Writer(wanted.annotations, export, _save), drawn))

    def targets(self, path):
        """Paths of all that `write` writes for an image."""
        stem, wanted = path.stem, self.wanted
        names = [f"{stem}.png"]
        if wanted.overlay:
            names += [f"overlays/{stem}.jpg", f"overlays/{stem}.png"]
        if wanted.confidence:
            names.append(f"confidence/{stem}.png")
        if wanted.probabilities == "npz":
            names.append(f"probabilities/{stem}.npz")
        elif wanted.probabilities == "png":
            names += [f"probabilities/{self._probability_name(stem, index)}" for index in self._kept_ids()]
        if wanted.polygons == "geojson":
            names.append(f"polygons/{stem}.geojson")
        found = [self.folder / name for name in names]
        if wanted.annotations and FORMATS[wanted.annotations].is_per_image:
            found += FORMATS[wanted.annotations].targets(self.folder / "annotations", stem)
        return found

    def make_folders(self):
        """Creates the folder if it is missing; raises InputError if that fails."""
        folders = {target.parent for target in self.targets(Path("any"))}
        for folder in folders | ({self.folder / "annotations"} if self.wanted.annotations else set()):
            make_folder(folder)

    def write(self, path, image, prediction, probabilities=None):
        """Writes the requested outputs of an image, its mask last.

        Args:
            path: of the image.
            image: RGB uint8 [H, W, 3].
            prediction: Prediction.
            probabilities: float [H, W, C], where they are wanted.
        """
        mask, stem = self._kept(prediction.mask), path.stem
        if self.wanted.overlay:
            picture = labeled_overlay(image, mask, self.classes, self.colors)
            write_image(drawing_path(self.folder / "overlays" / stem, picture), picture)
        if self.wanted.confidence:
            grey = np.rint(prediction.confidence * 255).astype(np.uint8)
            write_image(self.folder / "confidence" / f"{stem}.png", grey)
        if self.wanted.probabilities:
            self._write_probabilities(stem, probabilities)
        if self.wanted.polygons == "geojson":
            content = geojson(mask, self.classes, self._keep)
            _write_json(self.folder / "polygons" / f"{stem}.geojson", content)
        for writer, keep in self._writers:
            found = regions(mask, prediction.confidence, keep)
            writer.add(PredictedImage(path, mask.shape, found))
        write_mask(self.folder / f"{stem}.png", mask)

    def finish(self):
        """Writes what belongs to all images together."""
        for writer, _ in self._writers:
            writer.finish()

    def _kept(self, mask):
        if self._keep is None:
            return mask
        return np.where(np.isin(mask, self._keep), mask, np.array(IGNORE, mask.dtype))

    def _write_probabilities(self, stem, probabilities):
        folder = self.folder / "probabilities"
        if self.wanted.probabilities == "npz":
            with replacing(folder / f"{stem}.npz") as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, probabilities=probabilities.astype(np.float16))
            return
        for index in self._kept_ids():
            levels = np.rint(probabilities[..., index] * 65535).astype(np.uint16)
            write_mask(folder / self._probability_name(stem, index), levels)

    def _kept_ids(self):
        return range(len(self.classes)) if self._keep is None else self._keep

    def _probability_name(self, stem, index):
        return f"{stem}-{index:0{len(str(len(self.classes) - 1))}}.png"


def _ids(names, classes):
    if len(classes) > IGNORE:
        raise InputError(f"--classes: a mask of {len(classes)} classes has no value that is ignored")
    for name in names:
        if name not in classes:
            near = nearest(name, classes)
            raise InputError(f"--classes: no class is named {name!r}; there are {', '.join(classes)}{near}")
    return [index for index, name in enumerate(classes) if name in names]


def _write_json(path, content):
    _save(path, json.dumps(content).encode())


def _save(path, contents):
    with replacing(path) as temporary:
        temporary.write_bytes(contents)


def _save_as(path, _, contents):
    _save(path, contents)
