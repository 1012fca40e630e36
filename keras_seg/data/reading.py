"""Reads single files, many at a time, and says in one line what is wrong with one that cannot be read."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_seg.data import tiff
from keras_seg.data.decode import (
    EXIF_SEARCH_BYTES,
    decode_image,
    decode_mask,
    decode_mask_colors,
    exif_orientation,
)
from keras_seg.data.labels import label_table
from keras_seg.data.samples import ArraySample, Dataset, Sample
from keras_seg.errors import InputError

_MAGIC = {
    b"\xff\xd8": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"RIFF": "WebP",
} | dict.fromkeys(tiff.MAGIC, "TIFF")
_OTHER_MAGIC = {b"%PDF": "PDF"}
_DECODERS = {
    "image": decode_image,
    "mask": decode_mask,
    "mask colors": decode_mask_colors,
    "orientation": exif_orientation,
}
_TIFF_DECODERS = {
    "image": tiff.decode_tiff_image,
    "mask": tiff.decode_tiff_mask,
    "mask colors": tiff.decode_tiff_mask_colors,
}


def read_image(path) -> np.ndarray:
    """Returns a picture as uint8 RGB [H, W, 3], turned by its EXIF orientation; raises InputError."""
    return _decode(path, "image")


def read_mask(path) -> np.ndarray:
    """Returns a mask's stored values as int32 [H, W], negative where it holds a color; raises InputError."""
    return _decode(path, "mask")


def read_mask_colors(path) -> np.ndarray:
    """Returns a mask's colors, int32 [H, W] of 65536 R + 256 G + B; raises InputError."""
    return _decode(path, "mask colors")


def read_pair(sample: Sample | ArraySample, by_color: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Returns a sample's image, uint8 [H, W, 3], and its mask as stored (values or colors), int [H, W]."""
    if isinstance(sample, ArraySample):
        return sample.image, sample.mask
    return read_image(sample.image), (read_mask_colors if by_color else read_mask)(sample.mask)


def read_sample(sample: Sample | ArraySample, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Returns a sample's image, uint8 [H, W, 3], and its class ids, uint8 [H, W], 255 where ignored.

    For samples of a data set that `check_dataset` has passed.
    """
    image, mask = read_pair(sample, by_color=dataset.mask_colors is not None)
    return image, label_table(dataset)[mask]


def image_size(sample: Sample | ArraySample) -> tuple[int, int]:
    """Returns (height, width) as the picture is seen, from the file's header alone; raises InputError."""
    if isinstance(sample, ArraySample):
        return sample.image.shape[:2]
    try:
        with sample.image.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            head = file.read(EXIF_SEARCH_BYTES)
            file.seek(0)
            with Image.open(file) as picture:
                width, height = picture.size
    except Exception:  # Pillow answers damaged headers with many kinds; a full decode tells what it is.
        return read_image(sample.image).shape[:2]
    # From 5 on, the picture lies on its side.
    is_turned = format_name(head) == "JPEG" and b"Exif" in head and _decoder("orientation")(head) >= 5
    return (width, height) if is_turned else (height, width)


def parallel_map(function, items):
    """Yields function(item) in the order of the items, from as many threads as there are cores."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        yield from pool.map(function, items)
    finally:
        # Whoever stops early, by an error or Ctrl-C, does not wait for the rest.
        pool.shutdown(wait=False, cancel_futures=True)


def format_name(contents: bytes) -> str | None:
    """Returns the name of the picture format that the bytes begin like, or None."""
    return next((name for magic, name in _MAGIC.items() if contents.startswith(magic)), None)


@cache
def _decoder(kind):
    return tf.function(_DECODERS[kind], input_signature=[tf.TensorSpec([], tf.string)], autograph=False)


def read_bytes(path) -> bytes:
    """Returns the content of a file; raises InputError."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None


def _decode(path, kind):
    return decode_bytes(path, read_bytes(path), kind)


def decode_bytes(path, contents: bytes, kind: str) -> np.ndarray:
    """Decodes a file that was read: `kind` is "image", "mask" or "mask colors"; raises InputError."""
    name = format_name(contents)
    if kind != "image" and (name == "JPEG" or (name == "WebP" and contents[12:16] != b"VP8L")):
        lossy = "JPEG" if name == "JPEG" else "lossy WebP"
        raise InputError(f"{path}: is a {lossy}, whose compression changes class ids; save masks as PNG.")
    try:
        if name == "TIFF":
            return _TIFF_DECODERS[kind](contents)
        with tf.device("CPU"):
            return _decoder(kind)(contents).numpy()
    except tf.errors.InvalidArgumentError:
        raise InputError(f"{path}: {_defect(contents)}") from None
    except ValueError as error:
        raise InputError(f"{path}: {error}; replace it.") from None


def _defect(contents: bytes) -> str:
    if not contents:
        return "is empty (0 bytes); put the picture there or leave the file out."
    name = format_name(contents)
    if name:
        return f"is a truncated or damaged {name} ({len(contents)} bytes); replace it or leave it out."
    other = next((name for magic, name in _OTHER_MAGIC.items() if contents.startswith(magic)), None)
    if contents[4:8] == b"ftyp":
        other = "HEIC or AVIF"
    start = f"looks like {other}" if other else f"begins with {contents[:12]!r}"
    return f"is no picture that can be read here ({start}); convert it to JPEG or PNG."
