"""What people draw around things, and what a network predicts, between the files of the annotation tools."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_seg.data.annotation.runs import Runs
from keras_seg.data.folders.pairs import IMAGE_SUFFIXES
from keras_seg.errors import InputError

IGNORED = "__ignore__"
BACKGROUNDS = ("background", "_background_")

_FARTHEST = 1 << 31  # Pixels; a point may lie outside of its image, but where it can be computed with.
_MISREAD = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)


class Shape(NamedTuple):
    """A labeled region.

    Attributes:
        label: Name of its class.
        region: A polygon, float [N, 2] of (x, y) in pixels from the image's upper left corner, or `Runs`.
        title: What messages call it, such as "annotation 7".
    """

    label: str
    region: np.ndarray | Runs
    title: str


class AnnotatedImage(NamedTuple):
    """An image and what was drawn in it.

    Attributes:
        image: Its file.
        name: Its mask's name, without suffix.
        size: (height, width) in pixels.
        shapes: Its shapes, the lowest first.
        source: The file that holds the annotation, for messages.
    """

    image: Path
    name: str
    size: tuple[int, int]
    shapes: list[Shape]
    source: Path


class Annotations(NamedTuple):
    """All images of a source.

    Attributes:
        images: The images.
        classes: Class names in the order in which the source lists them; None where it lists none.
        notes: Lines to tell, such as what was left out.
    """

    images: list[AnnotatedImage]
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


class Region(NamedTuple):
    """A predicted region: pixels of one class that touch, at corners too.

    Attributes:
        class_id: Its class.
        score: Mean confidence of its pixels, in 0..1.
        rings: The outline, then one ring for each hole; int [N, 2] of (x, y) along the edges of pixels.
    """

    class_id: int
    score: float
    rings: list[np.ndarray]


class PredictedImage(NamedTuple):
    """An image and what a network found in it.

    Attributes:
        image: Its file.
        size: (height, width) in pixels.
        regions: Its regions.
        folder: The folder below which its tool knows it; None: its own.
    """

    image: Path
    size: tuple[int, int]
    regions: list[Region]
    folder: Path | None = None

    @property
    def known_as(self) -> str:
        """Its name for the tool, with the folders between."""
        return self.image.relative_to(self.folder or self.image.parent).as_posix()


class Export(NamedTuple):
    """How predictions are written.

    Attributes:
        classes: Class names in id order.
        colors: RGB of each class, 0..255.
        folder: The folder that the files are for.
        shapes: "polygons", where a region has no holes, or "masks".
        image_prefix: What stands before an image's name where a tool fetches images by address.
        model: Name of the model.
    """

    classes: tuple[str, ...]
    colors: list[tuple[int, int, int]]
    folder: Path
    shapes: str
    image_prefix: str = ""
    model: str = ""


@contextmanager
def reading(path: Path, title: str, way_out: str = "correct it, or take it out.") -> Iterator[None]:
    """Says of what cannot be understood which annotation of which file it is.

    Raises:
        InputError: The block raised what wrong types and values raise.
    """
    try:
        yield
    except InputError:
        raise
    except _MISREAD as error:
        reason = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else error
        raise InputError(f"{path}: {title} cannot be understood ({reason}); {way_out}") from None


def text(value: Any) -> str:
    """Returns a label or name; raises TypeError where it is no text."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def polygon(path: Path, title: str, points: Any) -> np.ndarray:
    """Returns points as float [N, 2].

    Raises:
        InputError: A point is nowhere, or there are fewer than three.
    """
    points = np.asarray(points, np.float64).reshape(-1, 2)
    for point in points[~(np.abs(points) < _FARTHEST).all(axis=1)][:1]:  # NaN is not less than anything.
        raise InputError(f"{path}: {title} has the point {point.tolist()}; correct it or take it out.")
    if len(points) < 3:
        raise InputError(
            f"{path}: {title} is a polygon of {len(points)} points; fewer than 3 points enclose nothing; fix"
            " it or take it out."
        )
    return points


def rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Returns the corners of a rectangle, float [4, 2]."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)


def ellipse(x: float, y: float, radius_x: float, radius_y: float) -> np.ndarray:
    """Returns 180 points of an ellipse around (x, y), float [180, 2]."""
    angles = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    return np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], axis=1)


def rotated(points: np.ndarray, degrees: float, center: Any) -> np.ndarray:
    """Turns points clockwise, as seen with y downwards, around a center (x, y)."""
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return (points - center) @ np.array([[cosine, sine], [-sine, cosine]]) + center


def image_name(path: Path, name: str) -> Path:
    """Returns an image's file name in an annotation as a relative path.

    Raises:
        InputError: It leads out of the folder of the images.
    """
    parts = Path(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or not parts.name:
        raise InputError(f"{path}: the file name {name!r} leaves the folder of the images; correct it.")
    return parts


def find_image(folder: Path, stem: str) -> Path:
    """Returns the image of that name without suffix, or where one would lie."""
    candidates = (folder / f"{stem}{suffix}" for suffix in IMAGE_SUFFIXES)
    return next((path for path in candidates if path.is_file()), folder / f"{stem}.jpg")


def hex_color(color: Any) -> str:
    """Returns RGB of 0..255 as "#rrggbb"."""
    return f"#{bytes(color).hex()}"


def check_xml(value: str) -> str:
    """Returns a name that is to be written into XML.

    Raises:
        InputError: It holds control characters, which XML cannot hold.
    """
    if re.search("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", value):
        raise InputError(f"{value!r}: holds characters that XML cannot hold; rename it.")
    return value
