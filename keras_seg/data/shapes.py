"""`shapes`: a data set that is drawn by the program, so that training works without any download.

Colored, textured circles, squares, triangles and stars on textured ground, overlapping, with noise. Color
hints at the class and does not decide it: hues overlap, and the ground and its clutter have them too.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from keras_seg.data.samples import ArraySample, Dataset, Sample
from keras_seg.errors import InputError
from keras_seg.hints import PathLike, Size
from keras_seg.palette import IGNORE, default_colors

CLASSES = ("ground", "circle", "square", "triangle", "star")
COUNTS = {"train": 480, "val": 80}
SIZE = (64, 64)
_HUES = (None, 0, 45, 90, 135)  # Center of each class's hues, of 180
_HUE_SPREAD = 22  # Half of the distance to the next class is 22.5
_SUBPIXEL_BITS = 4  # cv2's fixed-point coordinates: positions in sixteenths of a pixel
_RADIUS = (1 / 4, 2 / 5)  # Of the shorter side
# Corners, every second corner's distance from the center, and a factor that evens out the areas.
_FORMS = {
    "circle": (48, 1.0, 0.85),
    "square": (4, 1.0, 1.0),
    "triangle": (3, 1.0, 1.25),
    "star": (10, 0.5, 1.2),
}


def draw_shapes(*, counts: Mapping[str, int] | None = None, size: Size = SIZE, seed: int = 0) -> Dataset:
    """Draws the data set `shapes` in memory.

    Args:
        counts: number of images per split, by default 480 for train and 80 for val.
        size: (height, width) of the images in pixels.
        seed: image i of a split depends on the seed, the split and i alone.

    Returns:
        Dataset of ArraySamples: images uint8 [H, W, 3], masks uint8 [H, W] with a void outline of 255.
    """
    splits: dict[str, list[Sample | ArraySample]] = {}
    for stream, (split, count) in enumerate((counts or COUNTS).items()):
        drawn = (_draw(np.random.default_rng([seed, stream, index]), *size) for index in range(count))
        splits[split] = [
            ArraySample(image, mask, f"{split}_{index:04d}") for index, (image, mask) in enumerate(drawn)
        ]
    colors = tuple(tuple(color) for color in default_colors(len(CLASSES)).tolist())
    return Dataset("shapes", CLASSES, colors, None, splits)


def write_shapes(
    folder: PathLike, *, counts: Mapping[str, int] | None = None, size: Size = SIZE, seed: int = 0
) -> Path:
    """Writes `shapes` as a data folder: images/SPLIT, masks/SPLIT (PNG) and dataset.json.

    Args:
        folder: a folder that does not exist or is empty; nothing is left in it when writing fails.
        counts: as for `draw_shapes`.
        size: the same.
        seed: the same.

    Returns:
        The folder.

    Raises:
        InputError: where the folder holds something or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: exists already; name a new or an empty folder.")
    dataset = draw_shapes(counts=counts, size=size, seed=seed)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}.") from None
    try:
        for split, samples in dataset.splits.items():
            _write_split(work, split, samples)
        description = {
            "classes": dataset.classes,
            "colors": dataset.colors,
            "splits": {
                name: {"images": f"images/{name}", "masks": f"masks/{name}"} for name in dataset.splits
            },
        }
        (work / "dataset.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        work.chmod(0o755)  # mkdtemp makes folders for the owner alone
        work.replace(folder)
    except OSError as error:
        shutil.rmtree(work, ignore_errors=True)
        raise InputError(f"{folder}: cannot be written: {error.strerror}.") from None
    return folder


def _write_split(root, split, samples):
    for kind in ("images", "masks"):
        (root / kind / split).mkdir(parents=True)
    for sample in samples:
        images = {"images": sample.image[:, :, ::-1], "masks": sample.mask}
        for kind, image in images.items():
            _, encoded = cv2.imencode(".png", image)
            (root / kind / split / f"{sample.name}.png").write_bytes(encoded.tobytes())


def _draw(rng, height, width):
    """Draws one image; returns image [H, W, 3] and mask [H, W]."""
    side = min(height, width)
    image = _texture(rng, (height, width), side, rng.uniform(0, 180), rng.uniform(0.05, 0.3))
    for _ in range(rng.integers(3, 7)):
        start, end = rng.uniform(0, [width, height], (2, 2)).astype(int).tolist()
        color = _rgb(rng.uniform(0, 180), rng.uniform(0.2, 0.6), rng.uniform(0.3, 0.9))
        cv2.line(image, start, end, color.tolist(), max(1, side // 48), cv2.LINE_AA)
    mask = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(2, 5)):
        label = int(rng.integers(1, len(CLASSES)))
        hue = _HUES[label] + rng.uniform(-_HUE_SPREAD, _HUE_SPREAD)
        _paint(rng, image, mask, label, _outline(rng, label, height, width), hue)
    image = cv2.GaussianBlur(image, (3, 3), 0).astype(np.float32)
    image += rng.uniform(2, 10) * rng.standard_normal((height, width, 1), np.float32)
    return cv2.convertScaleAbs(np.maximum(image, 0)), mask


def _paint(rng, image, mask, label, outline, hue):
    """Draws one textured shape into image and mask, in place."""
    inside = cv2.fillPoly(np.zeros_like(mask), [outline], 1, shift=_SUBPIXEL_BITS)
    left, top, width, height = cv2.boundingRect(inside)
    box = np.s_[top : top + height, left : left + width]
    if width and height:
        filling = _texture(rng, (height, width), min(mask.shape), hue, rng.uniform(0.35, 0.95))
        cv2.copyTo(filling, inside[box], image[box])
    mask[inside > 0] = label
    cv2.polylines(mask, [outline], True, IGNORE, max(1, min(mask.shape) // 64), shift=_SUBPIXEL_BITS)


def _outline(rng, label, height, width):
    """Returns a shape's corners, int32 [N, 1, 2] (x, y) in fixed point."""
    count, inner, factor = _FORMS[CLASSES[label]]
    radius = factor * min(height, width) * rng.uniform(*_RADIUS)
    angles = rng.uniform(0, 2 * np.pi) + np.arange(count) * 2 * np.pi / count
    lengths = radius * np.where(np.arange(count) % 2, inner, 1.0)
    center = rng.uniform(0.1, 0.9, 2) * (width, height)
    corners = center + lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.round(corners * (1 << _SUBPIXEL_BITS)).astype(np.int32)[:, None]


def _texture(rng, size, side, hue, saturation):
    """Returns an image uint8 [H, W, 3] of one hue whose brightness is clouded, striped or checked."""
    rows, columns = (np.arange(length, dtype=np.float32) for length in size)
    period, angle = side * rng.uniform(0.08, 0.2), rng.uniform(0, np.pi)
    cosine, sine = (np.float32(2 * np.pi / period * part) for part in (np.cos(angle), np.sin(angle)))
    along = np.sin(cosine * rows[:, None] + sine * columns)
    kind = rng.integers(3)
    if kind == 0:
        clouds = 0.5 * rng.standard_normal((7, 7), np.float32)
        pattern = cv2.resize(clouds, size[::-1], interpolation=cv2.INTER_CUBIC)
    elif kind == 1:
        pattern = along
    else:
        pattern = np.sign(along * np.sin(cosine * columns - sine * rows[:, None]))
    value = np.clip(rng.uniform(0.4, 0.85) * (1 + rng.uniform(0.05, 0.3) * pattern), 0, 1).astype(np.float32)
    return (value[..., None] * _rgb(hue, saturation, 1.0)).astype(np.uint8)


def _rgb(hue, saturation, value):
    """Returns float32 RGB 0..255 of a hue (of 180), a saturation and a value (fractions)."""
    hsv = np.array([[[hue % 180 * 2, saturation, value]]], np.float32)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0] * 255
