"""What a data set is: named splits of image and mask pairs, and what the mask values mean."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_seg.classes import BINARY_CLASSES
from keras_seg.errors import InputError, nearest

# What people call a split, by its name here.
SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
DEPTHS = ("uint8", "uint16", "float32")


def split_name(spelling: str, source: Any) -> str:
    """Returns train, val or test for any spelling of it.

    Args:
        spelling: such as "validation".
        source: the file or flag that it comes from, for the message.

    Raises:
        InputError: it is none.
    """
    for name, spellings in SPLITS.items():
        if spelling in spellings:
            return name
    near = nearest(spelling, SPLITS) or "."
    raise InputError(f"{source}: {spelling!r} is not a split; the splits are {', '.join(SPLITS)}{near}")


def default_names(count: int) -> tuple[str, ...]:
    """Returns the default names of classes."""
    return tuple(f"class_{index}" for index in range(count))


class ImageKind(NamedTuple):
    """What the images of a data set or a run are.

    Attributes:
        channels: of each image, 1 to 16.
        depth: type of the stored samples, one of `DEPTHS`.
    """

    channels: int = 3
    depth: str = "uint8"

    @property
    def dtype(self) -> str:
        """The type in which images go through the pipeline and into the network."""
        return "uint8" if self.depth == "uint8" else "float32"

    @property
    def is_rgb(self) -> bool:
        """Whether they are images of three colors of 8 bits, to which all others are brought by default."""
        return self == RGB

    def __str__(self):
        return f"{self.depth} of {self.channels} channel{'s' * (self.channels > 1)}"


RGB = ImageKind()


@dataclass(frozen=True)
class Sample:
    """An image on disk and its mask."""

    image: Path
    mask: Path

    @property
    def name(self) -> str:
        """The image's file name without its suffix."""
        return self.image.stem


@dataclass(frozen=True, eq=False)
class ArraySample:
    """An image in memory: `image` [H, W, C] of the data set's kind, `mask` uint8 mask values [H, W]."""

    image: np.ndarray
    mask: np.ndarray
    name: str


@dataclass(frozen=True)
class Dataset:
    """Named splits of samples and the meaning of their masks.

    Attributes:
        name: the folder's name, or "shapes".
        classes: class names in id order.
        colors: one RGB color (0..255) per class, for images.
        ignore_label: a mask value that is ignored besides 255, or None.
        splits: split name ("train", "val", "test") to samples.
        mask_values: the mask value of every class in id order; None: the value is the id.
        root: the folder the data came from; None: drawn or handed over in memory.
        ignore_labels: more mask values, or RGB colors, that are ignored.
        mask_colors: the RGB color of every class in the masks, in id order; None: masks hold values.
        images: what the images are.
        is_binary: whether one class is told from the background by a single logit; both have names and ids.
    """

    name: str
    classes: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    ignore_label: int | None
    splits: dict[str, list[Sample | ArraySample]] = field(repr=False)
    mask_values: tuple[int, ...] | None = None
    root: Path | None = None
    ignore_labels: tuple[int | tuple[int, int, int], ...] = ()
    mask_colors: tuple[tuple[int, int, int], ...] | None = None
    is_binary: bool = False
    images: ImageKind = RGB

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    @property
    def num_logits(self) -> int:
        """The channels of a network's logits for it."""
        return 1 if self.is_binary else len(self.classes)

    @property
    def is_named(self) -> bool:
        """Whether the classes were given names."""
        return self.classes not in (default_names(len(self.classes)), BINARY_CLASSES)

    def _repr_html_(self) -> str:
        # The rooms that read images are above this file.
        from keras_seg import data, notebook
        from keras_seg.sheets import labeled_overlay

        rows = {name: f"{len(samples)} images" for name, samples in self.splits.items()}
        html = notebook.table_html({**rows, "classes": ", ".join(self.classes)}, self.name)
        samples = next((samples for samples in self.splits.values() if len(samples)), ())
        if isinstance(samples, list) and samples:
            image, mask = data.read_sample(samples[0], self)
            html += notebook.image_html(labeled_overlay(image, mask, self.classes, self.colors))
        return html

    def split(self, name: str) -> list[Sample | ArraySample]:
        """Returns the samples of one split; raises InputError where there is none of that name."""
        if not self.splits.get(name):
            found = ", ".join(f"{key} ({len(value)})" for key, value in self.splits.items())
            raise InputError(f"{self.root or self.name}: no {name!r} split: there is {found or 'none'}.")
        return self.splits[name]
