"""Facts about a file and about a pair: sizes, values and hashes, or what is wrong with it."""

import hashlib
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, cast

import cv2
import numpy as np

from keras_seg.data.formats.bands import Moments, as_input, moments_of, other_kind_text
from keras_seg.data.formats.headers import PngKind, format_name, png_kind, png_palette
from keras_seg.data.formats.reading import (
    ANY,
    Header,
    decode_bytes,
    decode_image_bytes,
    orientation_of,
    read_bytes,
)
from keras_seg.data.labels import code_color
from keras_seg.data.samples import RGB, ArraySample, ImageKind, Sample
from keras_seg.errors import InputError, fix_command, spelled_out
from keras_seg.palette import displayable

# Ways to read a file: an image as RGB of 8 bits or as it is stored, a mask by its values or by its colors.
IMAGE, BANDS, VALUES, COLORS = "image", "bands", "values", "colors"
_MANY_COLORS = 256  # More in one mask were not chosen by anybody.
_MOST_VALUES = 4096  # That are kept of one mask, lest photographs as masks fill the memory
_THUMBNAIL = (16, 16)  # Pixels


class Problem(NamedTuple):
    """A problem: its kind, and one line with the file, what was found and the remedy."""

    kind: str
    text: str


class ImageFacts(NamedTuple):
    """Facts about an image.

    Attributes:
        size: (height, width) in pixels, as it is seen; None where it cannot be read.
        format: such as "JPEG".
        orientation: of a JPEG, 1 to 8 as in EXIF.
        kind: what it is.
        digest: of the file's bytes.
        print: 64 bits that similar images share most of (dHash).
        thumbnail: 16 x 16 bytes of grey.
        moments: of its channels.
        problem: what is wrong with it, without the file's name, or None.
    """

    size: tuple[int, int] | None = None
    format: str | None = None
    orientation: int = 1
    kind: ImageKind = RGB
    digest: bytes = b""
    print: int = 0
    thumbnail: bytes = b""
    moments: Moments | None = None
    problem: Problem | None = None


class MaskFacts(NamedTuple):
    """Facts about a mask, read by its values or by its colors.

    Attributes:
        size: (height, width) in pixels, None where it cannot be read.
        format: such as "PNG".
        png: how a PNG stores its samples, or None.
        counts: pixels per value or color code, None where there is a problem; of a mask of thousands of them,
            of the most frequent.
        labels: a checksum of the mask's values.
        palette: of a palette PNG that is read by its indices, the color of each index that occurs.
        colors: the color codes of a mask that holds colors where values are wanted, and their pixels.
        problem: what is wrong with it, without the file's name, or None.
    """

    size: tuple[int, int] | None = None
    format: str | None = None
    png: PngKind | None = None
    counts: dict[int, int] | None = None
    labels: int = 0
    palette: dict[int, tuple[int, int, int]] | None = None
    colors: dict[int, int] | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about one pair.

    Attributes:
        image: its file, or its name where it is in memory.
        mask: the same of the mask.
        size: (height, width) of the image in pixels, or None where it cannot be read.
        formats: of the two files, "array" of one in memory.
        counts, labels, palette, colors: of the mask, as in `MaskFacts`; no counts where there is a problem.
        problem: what is wrong with the pair, or None.
        digest, print, thumbnail, moments: of the image, as in `ImageFacts`.
    """

    image: Path | str
    mask: Path | str
    size: tuple[int, int] | None = None
    formats: tuple[str | None, str | None] = (None, None)
    counts: dict[int, int] = field(default_factory=dict)
    labels: int = 0
    palette: dict[int, tuple[int, int, int]] | None = None
    colors: dict[int, int] | None = None
    problem: Problem | None = None
    digest: bytes = b""
    print: int = 0
    thumbnail: bytes = b""
    moments: Moments | None = None


def inspect_file(path: Path, reading: str) -> dict[str, ImageFacts | MaskFacts]:
    """Opens a file once; returns its facts by this reading, and by another that is likely to be needed."""
    facts = ImageFacts() if reading in (IMAGE, BANDS) else MaskFacts()
    try:
        contents = read_bytes(path)
        facts = facts._replace(format=format_name(contents))
        if isinstance(facts, ImageFacts):
            return {reading: _image_facts_of(path, contents, reading)}
        found = {reading: _mask_facts_of(path, contents, reading)}
        if found[reading].colors:  # They are read by their colors next, or refused.
            found[COLORS] = _mask_facts_of(path, contents, COLORS)
        return found
    except InputError as error:
        text = str(error).removeprefix(f"{spelled_out(path)}: ")
        return {reading: facts._replace(problem=Problem("unreadable", text))}


def inspect_arrays(sample: ArraySample) -> Facts:
    """Returns the facts about an image and its mask in memory."""
    image = image_facts(sample.image, sample.image.tobytes(), "array")
    return pair_facts(sample, image, mask_facts(sample.mask), image.kind)


def pair_facts(sample: Sample | ArraySample, image: ImageFacts, mask: MaskFacts, kind: ImageKind) -> Facts:
    """Combines the facts about an image and its mask; the image should be of the kind."""
    names: tuple[Path | str, Path | str] = (sample.name, sample.name)
    if isinstance(sample, Sample):
        names = (sample.image, sample.mask)
    if image.problem:
        problem = _named(names[0], image.problem)
    elif image.kind != kind:
        problem = Problem("unreadable", other_kind_text(names[0], image.kind, kind))
    elif mask.size and mask.size != image.size:
        problem = Problem("size", _size_text(sample, mask.size, image.size))
    else:
        problem = _named(names[1], mask.problem)
    return Facts(
        image=names[0],
        mask=names[1],
        size=image.size,
        formats=(image.format, mask.format),
        counts={} if problem or mask.counts is None else mask.counts,
        labels=mask.labels,
        palette=mask.palette,
        colors=mask.colors,
        problem=problem,
        digest=image.digest,
        print=image.print,
        thumbnail=image.thumbnail,
        moments=image.moments,
    )


def lone_mask_facts(path: Path, mask: MaskFacts) -> Facts:
    """The Facts about a mask alone."""
    problem = _named(path, mask.problem)
    return Facts(path, path, counts=mask.counts or {}, colors=mask.colors, problem=problem)


def header_of(image: ImageFacts, mask: MaskFacts) -> Header:
    """Returns what `read_header` would."""
    return Header(cast("tuple[int, int]", image.size), image.format, image.orientation, mask.png)


def image_facts(image: np.ndarray, contents: bytes, name: str | None, orientation: int = 1) -> ImageFacts:
    """Returns the facts about an image [H, W, C] and about the bytes of its file, of the named format."""
    kind = ImageKind(image.shape[2], image.dtype.name)
    image = as_input(image, kind)
    fingerprint, thumbnail = _prints(image)
    return ImageFacts(
        image.shape[:2],
        name,
        orientation,
        kind,
        hashlib.blake2b(contents, digest_size=16).digest(),
        fingerprint,
        thumbnail,
        moments_of(image),
    )


def mask_facts(mask: np.ndarray) -> MaskFacts:
    """Counts the values, or color codes, of a mask [H, W]."""
    if mask.min() < 0:
        codes, counts = np.unique(np.where(mask < 0, -1 - mask, mask * 0x010101), return_counts=True)
        color = code_color(-1 - int(mask.min()))
        number = int((mask < 0).sum())
        text = f"is a color image: {number} pixels have colors such as RGB {color}; {_color_cure(codes)}"
        return MaskFacts(mask.shape, colors=_dict(codes, counts), problem=Problem("color", text))
    if mask.max() < 1 << 16:
        counts = np.bincount(mask.ravel())
        values = np.flatnonzero(counts)
        counts = counts[values]
    else:
        values, counts = np.unique(mask, return_counts=True)
    labels = zlib.crc32(np.ascontiguousarray(mask).data)
    return MaskFacts(mask.shape, counts=_dict(values, counts), labels=labels)


def _image_facts_of(path, contents, reading):
    image = decode_image_bytes(path, contents, RGB if reading == IMAGE else ANY)
    return image_facts(image, contents, format_name(contents), orientation_of(contents))


def _mask_facts_of(path, contents, reading):
    by_color = reading == COLORS
    facts = mask_facts(decode_bytes(path, contents, "mask colors" if by_color else "mask"))
    palette = None
    if facts.counts and not by_color and (colors := png_palette(contents)):
        palette = {value: colors[value] for value in facts.counts if value < len(colors)}
    return facts._replace(format=format_name(contents), png=png_kind(contents[:26]), palette=palette)


def _named(name, problem):
    return problem and Problem(problem.kind, f"{name}: {problem.text}")


def _color_cure(codes):
    if len(codes) > _MANY_COLORS:
        return (
            f"its {len(codes)} colors look like a mask that went through JPEG or smooth scaling, or a photo;"
            " masks must hold class ids: create it again as PNG, with nearest-neighbor scaling."
        )
    return (
        "masks must hold class ids: give the color of each class with --mask-colors FILE, or save ids; if all"
        f" are in color, {fix_command()} lists their colors in dataset.json."
    )


def _dict(keys, counts):
    if len(keys) > _MOST_VALUES:
        kept = np.sort(np.argsort(counts)[-_MOST_VALUES:])
        keys, counts = keys[kept], counts[kept]
    return dict(zip(keys.tolist(), counts.tolist(), strict=True))


def _prints(image):
    """dHash: which of 8 x 8 neighbors grows brighter to the right; and a thumbnail."""
    grey = cv2.cvtColor(displayable(image), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA)
    bits = np.packbits(small[:, 1:] > small[:, :-1])
    thumbnail = cv2.resize(grey, _THUMBNAIL, interpolation=cv2.INTER_AREA)
    return int.from_bytes(bits.tobytes(), "big"), thumbnail.tobytes()


def _size_text(sample, mask_size, image_size):
    is_file = isinstance(sample, Sample)
    path, image = (sample.mask, sample.image) if is_file else (sample.name, "its image")
    (mask_height, mask_width), (height, width) = mask_size, image_size
    text = f"{path}: is {mask_width} x {mask_height} pixels, but {image} is {width} x {height}"
    if (mask_height, mask_width) == (width, height):
        return f"{text} as it is seen (EXIF orientation): one lies on its side; turn the mask."
    return f"{text}; a mask must have the size of its image."
