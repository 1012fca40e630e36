"""What is to be known of a pair of files: sizes, values and hashes, or what is wrong with it."""

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from keras_seg.data.formats.bands import Moments, moments_of
from keras_seg.data.formats.headers import format_name, png_palette
from keras_seg.data.formats.reading import decode_bytes, decode_image_bytes, read_bytes
from keras_seg.data.labels import code_color
from keras_seg.data.samples import RGB, ArraySample, Sample
from keras_seg.errors import InputError
from keras_seg.palette import displayable

_MANY_COLORS = 256  # More in one mask were not chosen by anybody.
_MOST_VALUES = 4096  # That are kept of one mask, lest photographs as masks fill the memory
_THUMBNAIL = (16, 16)  # Pixels


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: its kind, and one line that names the file, what was found and the way out."""

    kind: str
    text: str


@dataclass(frozen=True)
class Facts:
    """What is known of one pair.

    Attributes:
        image: its file, or its name where it is in memory.
        mask: the same of the mask.
        size: (height, width) of the image in pixels, or None where it cannot be read.
        formats: of the two files.
        counts: pixels per mask value or color code, or None where there is a problem; of a mask of thousands
            of them, the most frequent.
        labels: a checksum of the mask's values.
        palette: of a palette PNG that is read by its indices, the color of each index that occurs.
        colors: the color codes of a mask that holds colors where values are wanted, and their pixels.
        problem: what is wrong with the pair, or None.
        digest: of the image file's bytes.
        print: 64 bits that similar images share most of (dHash), or None if not asked for.
        thumbnail: uint8 grey, or None if not asked for.
        moments: of the image's channels.
    """

    image: Path | str
    mask: Path | str
    size: tuple[int, int] | None = None
    formats: tuple[str, str] = ("array", "array")
    counts: dict[int, int] | None = None
    labels: int = 0
    palette: dict[int, tuple[int, int, int]] | None = None
    colors: dict[int, int] | None = None
    problem: Problem | None = None
    digest: bytes = b""
    print: int | None = None
    thumbnail: np.ndarray | None = None
    moments: Moments | None = None


def inspect_pair(sample: Sample | ArraySample, *, by_color=False, with_print=False, kind=RGB) -> Facts:
    """Reads an image and its mask once.

    Args:
        sample: Sample or ArraySample.
        by_color: whether the mask's colors count, and not its values.
        with_print: whether to look for similar images later.
        kind: what the image has to be.
    """
    if isinstance(sample, ArraySample):
        facts = {"image": sample.name, "mask": sample.name}
        contents, image, mask = sample.image.tobytes(), sample.image, sample.mask
    else:
        facts = {"image": sample.image, "mask": sample.mask}
        image = mask = None
    colors = []
    try:
        if image is None:
            contents = read_bytes(sample.image)
            facts["digest"] = _digest(contents)
            image = decode_image_bytes(sample.image, contents, kind)
            facts |= {"size": image.shape[:2], "moments": moments_of(image)}
            if with_print:
                facts |= _prints(image)
            stored = read_bytes(sample.mask)
            facts["formats"] = (format_name(contents), format_name(stored))
            mask = decode_bytes(sample.mask, stored, "mask colors" if by_color else "mask")
            colors = [] if by_color else png_palette(stored)
        else:
            facts |= {"digest": _digest(contents), "size": image.shape[:2], "moments": moments_of(image)}
            facts |= _prints(image) if with_print else {}
    except InputError as error:
        return Facts(**facts, problem=Problem("unreadable", str(error)))
    if mask.shape != image.shape[:2]:
        return Facts(**facts, problem=Problem("size", _size_text(sample, mask.shape, image.shape)))
    facts |= _count(facts["mask"], mask)
    if facts.get("counts") and colors:
        facts["palette"] = {value: colors[value] for value in facts["counts"] if value < len(colors)}
    return Facts(**facts)


def inspect_mask(path: Path) -> Facts:
    """Reads a mask alone."""
    try:
        return Facts(path, path, **_count(path, decode_bytes(path, read_bytes(path), "mask")))
    except InputError as error:
        return Facts(path, path, problem=Problem("unreadable", str(error)))


def _count(path, mask):
    if mask.min() < 0:
        codes, counts = np.unique(np.where(mask < 0, -1 - mask, mask * 0x010101), return_counts=True)
        color = code_color(-1 - int(mask.min()))
        number = int((mask < 0).sum())
        text = f"{path}: is a color picture: {number} pixels are such as RGB {color}; {_color_cure(codes)}"
        return {"colors": _dict(codes, counts), "problem": Problem("color", text)}
    if mask.max() < 1 << 16:
        counts = np.bincount(mask.ravel())
        values = np.flatnonzero(counts)
        counts = counts[values]
    else:
        values, counts = np.unique(mask, return_counts=True)
    return {"counts": _dict(values, counts), "labels": zlib.crc32(np.ascontiguousarray(mask))}


def _color_cure(codes):
    if len(codes) > _MANY_COLORS:
        return (
            f"its {len(codes)} colors look like a mask that went through JPEG or smooth scaling, or a photo;"
            " masks must hold class ids: make it anew as PNG, with nearest-neighbor scaling."
        )
    return "masks must hold class ids: give the color of each class with --mask-colors FILE, or save ids."


def _dict(keys, counts):
    if len(keys) > _MOST_VALUES:
        kept = np.sort(np.argsort(counts)[-_MOST_VALUES:])
        keys, counts = keys[kept], counts[kept]
    return dict(zip(keys.tolist(), counts.tolist(), strict=True))


def _digest(contents):
    return hashlib.blake2b(contents, digest_size=16).digest()


def _prints(image):
    """dHash: which of 8 x 8 neighbors grows brighter to the right."""
    grey = cv2.cvtColor(displayable(image), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA)
    bits = np.packbits(small[:, 1:] > small[:, :-1])
    thumbnail = cv2.resize(grey, _THUMBNAIL, interpolation=cv2.INTER_AREA)
    return {"print": int.from_bytes(bits.tobytes(), "big"), "thumbnail": thumbnail}


def _size_text(sample, mask_shape, image_shape):
    is_file = isinstance(sample, Sample)
    path, image = (sample.mask, sample.image) if is_file else (sample.name, "its image")
    (mask_height, mask_width), (height, width) = mask_shape, image_shape[:2]
    text = f"{path}: is {mask_width} x {mask_height} pixels, but {image} is {width} x {height}"
    if (mask_height, mask_width) == (width, height):
        return f"{text} as it is seen (EXIF orientation): one lies on its side; turn the mask."
    return f"{text}; a mask must have the size of its image."
