"""Reads single files, many at a time, with a one-line error for a file that cannot be read."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_seg.data.formats import tiff
from keras_seg.data.formats.bands import as_input, decode_bands
from keras_seg.data.formats.decode import (
    EXIF_SEARCH_BYTES,
    decode_image,
    decode_mask,
    decode_mask_colors,
    exif_orientation,
)
from keras_seg.data.formats.headers import (
    NUMPY,
    PngKind,
    foreign_kind,
    format_name,
    png_kind,
    refuse_absurd_size,
    stored_size,
)
from keras_seg.data.formats.other_formats import is_lossy
from keras_seg.data.labels import label_table
from keras_seg.data.samples import RGB, ArraySample, Dataset, ImageKind, Sample
from keras_seg.errors import InputError
from keras_seg.files import regular_file
from keras_seg.hints import PathLike

_OTHER_MAGIC = {b"%PDF": "PDF"}
_DECODERS = {
    "image": decode_image,
    "mask": decode_mask,
    "mask colors": decode_mask_colors,
    "orientation": exif_orientation,
    "lossy": is_lossy,
}
_TIFF_DECODERS = {
    "image": tiff.decode_tiff_image,
    "mask": tiff.decode_tiff_mask,
    "mask colors": tiff.decode_tiff_mask_colors,
}

ANY = None  # Kind of images that are read as they are stored.

_run_before: set[str] = set()  # Kinds of which one file was decoded.


def read_image(path: PathLike, kind: ImageKind | None = RGB) -> np.ndarray:
    """Reads an image, turned by its EXIF orientation.

    Args:
        path: the file.
        kind: what the image has to be; `RGB`: any image becomes uint8 RGB. `ANY`: as it is stored.

    Returns:
        `[H, W, C]` of the kind's dtype.

    Raises:
        InputError: it cannot be read, or is of another kind.
    """
    return decode_image_bytes(path, read_bytes(path), kind)


def read_mask(path: PathLike) -> np.ndarray:
    """Returns a mask's stored values as int32 [H, W], negative where it holds a color; raises InputError."""
    return _decode(path, "mask")


def read_mask_colors(path: PathLike) -> np.ndarray:
    """Returns a mask's colors, int32 [H, W] of 65536 R + 256 G + B; raises InputError."""
    return _decode(path, "mask colors")


def read_pair(
    sample: Sample | ArraySample, by_color: bool = False, kind: ImageKind = RGB
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a sample's image, [H, W, C], and its mask as stored (values or colors), int [H, W]."""
    if isinstance(sample, ArraySample):
        return sample.image, sample.mask
    return read_image(sample.image, kind), (read_mask_colors if by_color else read_mask)(sample.mask)


def read_sample(sample: Sample | ArraySample, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Returns a sample's image, [H, W, C], and its class ids, uint8 [H, W], 255 where ignored.

    For samples of a data set that `check_dataset` has passed.
    """
    image, mask = read_pair(sample, by_color=dataset.mask_colors is not None, kind=dataset.images)
    return image, label_table(dataset)[mask]


class Header(NamedTuple):
    """Facts about a sample from its files' headers.

    Attributes:
        size: (height, width) of the image in pixels, as it is seen.
        format: of the image, "array" where it is in memory.
        orientation: of the image, 1 to 8 as in EXIF.
        mask: how a PNG mask stores its samples, or None.
    """

    size: tuple[int, int]
    format: str | None = "array"
    orientation: int = 1
    mask: PngKind | None = None


def image_size(sample: Sample | ArraySample) -> tuple[int, int]:
    """Returns (height, width) as the image is seen, from the file's header alone; raises InputError."""
    return read_header(sample, with_mask=False).size


def read_header(sample: Sample | ArraySample, with_mask: bool = True, kind: ImageKind = RGB) -> Header:
    """Reads the starts of a sample's two files; raises InputError."""
    if isinstance(sample, ArraySample):
        return Header(sample.image.shape[:2])
    try:
        with regular_file(sample.image).open("rb") as file:
            contents = file.read(EXIF_SEARCH_BYTES)
            size = stored_size(contents)
            # A TIFF's header may be at the end, and a GIF's largest frame; others are damaged or no images.
            if size is None or format_name(contents) == "GIF":
                contents += file.read()
                size = stored_size(contents)
    except OSError as error:
        raise _cannot_be_read(sample.image, error) from None
    refuse_absurd_size(sample.image, size)
    name, orientation = format_name(contents), orientation_of(contents)
    if size is None or name == "GIF":  # Of whose frames the decoder leaves out those that are damaged.
        size = decode_image_bytes(sample.image, contents, kind).shape[:2]
    elif orientation >= 5:  # The image lies on its side.
        size = size[::-1]
    return Header(size, name, orientation, png_kind(_start_of(sample.mask)) if with_mask else None)


def orientation_of(contents: bytes) -> int:
    """Returns the EXIF orientation of a JPEG, 1 to 8; 1 of other files."""
    if format_name(contents) == "JPEG" and b"Exif" in contents[:EXIF_SEARCH_BYTES]:
        return int(_run("orientation", contents[:EXIF_SEARCH_BYTES]))
    return 1


def _start_of(path):
    try:
        with regular_file(path).open("rb") as file:
            return file.read(26)
    except OSError as error:
        raise _cannot_be_read(path, error) from None


def parallel_map(function, items):
    """Yields function(item) in the order of the items, from as many threads as there are cores."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        yield from pool.map(function, items)
    finally:
        # Whoever stops early, by an error or Ctrl-C, does not wait for the rest.
        pool.shutdown(wait=False, cancel_futures=True)


@cache
def _traced(kind):
    return tf.function(_DECODERS[kind], input_signature=[tf.TensorSpec([], tf.string)], autograph=False)


def _run(kind, contents):
    # One image is decoded sooner op by op than its decoder is traced; from the second on that pays.
    decode = _traced(kind) if kind in _run_before else _DECODERS[kind]
    _run_before.add(kind)
    with tf.device("CPU"):
        return decode(tf.constant(contents)).numpy()


def read_bytes(path: PathLike) -> bytes:
    """Returns the content of a file; raises InputError."""
    try:
        return regular_file(path).read_bytes()
    except OSError as error:
        raise _cannot_be_read(path, error) from None


def _cannot_be_read(path, error):
    return InputError(f"{path}: cannot be read: {error.strerror}.")


def _decode(path, kind):
    return decode_bytes(path, read_bytes(path), kind)


def decode_image_bytes(path: PathLike, contents: bytes, kind: ImageKind | None = RGB) -> np.ndarray:
    """Decodes a file that was read, as `read_image` does; raises InputError."""
    if kind == RGB:
        return decode_bytes(path, contents, "image")
    refuse_absurd_size(path, stored_size(contents))
    image = decode_bands(path, contents, kind, orientation_of(contents))
    return image if kind is ANY else as_input(image, kind)


def decode_bytes(path: PathLike, contents: bytes, kind: str) -> np.ndarray:
    """Decodes a file that was read: `kind` is "image", "mask" or "mask colors"; raises InputError."""
    name = format_name(contents)
    refuse_absurd_size(path, stored_size(contents))
    if foreign := foreign_kind(contents):
        raise InputError(f"{path}: is {foreign}, which cannot be read here; save it as PNG.")
    if name == NUMPY:
        cure = "read it with --channels" if kind == "image" else "masks must be images: save it as PNG"
        raise InputError(f"{path}: is a NumPy array; {cure}.")
    if kind != "image" and name in ("JPEG", "WebP") and _run("lossy", contents):
        lossy = "JPEG" if name == "JPEG" else "lossy WebP"
        raise InputError(f"{path}: is a {lossy}, whose compression changes class ids; save masks as PNG.")
    try:
        if name == "TIFF":
            return _TIFF_DECODERS[kind](contents)
        return _run(kind, contents)
    except tf.errors.InvalidArgumentError:
        raise InputError(f"{path}: {_defect(contents)}") from None
    except ValueError as error:
        raise InputError(f"{path}: {error}; replace it.") from None


def _defect(contents: bytes) -> str:
    if not contents:
        return "is empty (0 bytes); put the image there or leave the file out."
    name = format_name(contents)
    if name:
        return f"is a truncated or damaged {name} ({len(contents)} bytes); replace it or leave it out."
    other = next((name for magic, name in _OTHER_MAGIC.items() if contents.startswith(magic)), None)
    if contents[4:8] == b"ftyp":
        other = "HEIC or AVIF"
    start = f"looks like {other}" if other else f"begins with {contents[:12]!r}"
    return f"is not an image that can be read here ({start}); convert it to JPEG or PNG."
