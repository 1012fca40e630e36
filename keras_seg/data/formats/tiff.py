"""TIFF, which TensorFlow has no kernel for: a fallback in Python, for training and checks alone.

It is no part of a SavedModel. Images are read with OpenCV (any sample layout), masks with Pillow, which
keeps the indices of a palette.
"""

import io
import warnings

import cv2
import numpy as np
import tensorflow as tf
from PIL import Image, TiffImagePlugin

MAGIC = (b"II*\0", b"MM\0*")
_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "RGB", "RGBA")
_SAMPLES_PER_PIXEL, _BITS_PER_SAMPLE = 277, 258  # TIFF 6.0, section 8
_LOSSY = ("jpeg", "old-jpeg", "tiff_jpeg", "webp")


def with_tiff(decode, fallback, dtype, rank):
    """Returns a graph function like `decode` that hands TIFF files to a Python function.

    Args:
        decode: function of a string scalar.
        fallback: function of bytes to an array; it raises ValueError for what it does not read.
        dtype: of the results.
        rank: number of dimensions of the results; a third one has 3 channels.
    """

    def in_python(contents):
        return tf.ensure_shape(tf.numpy_function(fallback, [contents], dtype), [None, None, 3][:rank])

    def decode_any(contents):
        start = tf.strings.substr(contents, 0, 4)
        is_tiff = tf.equal(start, MAGIC[0]) | tf.equal(start, MAGIC[1])
        return tf.cond(is_tiff, lambda: in_python(contents), lambda: decode(contents))

    return decode_any


def decode_tiff_image(contents: bytes) -> np.ndarray:
    """Returns the first image of a TIFF as uint8 RGB [H, W, 3]; 16 bits keep the upper 8."""
    flags = cv2.IMREAD_UNCHANGED
    image = cv2.imdecode(np.frombuffer(contents, np.uint8), flags)
    channels, bits = _samples_of_a_pixel(contents)
    # Of bands that are no colors OpenCV gives one as grey, and of 16 bits one that is nowhere in the file.
    is_grey = image is not None and image.ndim == 2
    if channels > 4 or (is_grey and channels > 1 and (channels, bits) != (2, 8)):
        raise ValueError(f"is a TIFF of {channels} channels; read all of them with --channels {channels}")
    if image is None:
        raise ValueError("is a truncated or damaged TIFF")
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if image.dtype != np.uint8:
        raise ValueError(f"is a TIFF of {image.dtype} samples; 8 or 16 bits without sign can be read")
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=-1)
    if image.shape[2] not in (3, 4):
        raise ValueError(f"is a TIFF of {image.shape[2]} channels; 1, 3 or 4 can be read")
    return np.ascontiguousarray(image[..., 2::-1])


def _samples_of_a_pixel(contents):
    """How many there are by the first directory, and their bits; zeros where there is none."""
    try:
        directory = TiffImagePlugin.ImageFileDirectory_v2(contents[:8])
        file = io.BytesIO(contents)
        file.seek(directory.next)
        directory.load(file)
        return int(directory.get(_SAMPLES_PER_PIXEL, 1)), int(directory.get(_BITS_PER_SAMPLE, (1,))[0])
    except Exception:  # Pillow answers damaged files with many kinds.
        return 0, 0


def decode_tiff_mask(contents: bytes) -> np.ndarray:
    """Returns the first mask of a TIFF as int32 [H, W], as `decode_mask` does."""
    samples = _samples(contents)
    if samples.ndim == 2:
        return samples
    red, green, blue = np.moveaxis(samples[..., :3], -1, 0)
    is_grey = (red == green) & (red == blue)
    return np.where(is_grey, red, -1 - (65536 * red + 256 * green + blue)).astype(np.int32)


def decode_tiff_mask_colors(contents: bytes) -> np.ndarray:
    """Returns the colors of the first mask of a TIFF as int32 [H, W] of 65536 R + 256 G + B."""
    samples = _samples(contents, as_color=True)
    return (samples[..., :3] @ np.array([65536, 256, 1])).astype(np.int32)


def _samples(contents, as_color=False):
    try:
        with Image.open(io.BytesIO(contents)) as image, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if image.info.get("compression") in _LOSSY:
                raise ValueError("is a TIFF with lossy compression, which changes class ids; use PNG")
            if as_color:
                image = image.convert("RGB") if image.mode in ("1", "L", "P", "RGBA") else image
                if image.mode != "RGB":
                    raise ValueError(f"is a TIFF of mode {image.mode}, which holds no 8-bit colors")
            if image.mode not in _MODES:
                raise ValueError(f"is a TIFF of mode {image.mode}, which is not a mask; use 8-bit grey")
            samples = np.asarray(image)
    except (OSError, SyntaxError, KeyError, TypeError) as error:
        raise ValueError("is a truncated or damaged TIFF, or one of an unknown kind") from error
    if samples.min() < 0 or samples.max() > 65535:
        raise ValueError("is a TIFF mask of other values than whole numbers from 0 to 65535")
    return samples.astype(np.int32)
