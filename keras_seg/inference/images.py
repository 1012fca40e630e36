"""Reads images in their upright orientation, and writes masks and images whole or not at all."""

from pathlib import Path

import cv2
import numpy as np

from keras_seg import data
from keras_seg.errors import InputError
from keras_seg.files import replacing
from keras_seg.hints import PathLike

_JPEG_QUALITY = 92
MAX_JPEG_SIDE = 65500  # Pixels, the most that libjpeg writes


def read_image(path: PathLike) -> np.ndarray:
    """Reads an image; JPEG and TIFF are turned as their EXIF orientation says.

    The pixels come from the decoder that training and the exported model use, so that all three see the
    same image.

    Args:
        path: a JPEG, PNG, BMP, GIF (first frame), WebP or TIFF file, told by its content. Grey becomes
            three equal channels, 16 bits are scaled to 8, alpha is dropped.

    Returns:
        RGB uint8 [H, W, 3].

    Raises:
        InputError: the file cannot be read, or is no whole image.
    """
    return data.read_image(path)


def write_mask(path: PathLike, mask: np.ndarray) -> None:
    """Writes class ids as a grey PNG, 8 bits (uint8) or 16 (uint16) per pixel.

    Raises:
        InputError: the file cannot be written.
    """
    _write(path, mask)


def write_image(path: PathLike, image: np.ndarray) -> None:
    """Writes an RGB or grey uint8 image as PNG or JPEG, as the suffix of `path` says.

    Raises:
        InputError: the file cannot be written, or has another suffix.
    """
    _write(path, _as_opencv_has_it(image))


def encode_png(image):
    """Returns the bytes of an RGB or grey image, or of class ids, as PNG.

    Raises:
        InputError: it has more pixels than PNG holds.
    """
    is_encoded, contents = cv2.imencode(".png", _as_opencv_has_it(image))
    if not is_encoded:
        raise InputError(f"{image.shape[1]} x {image.shape[0]} pixels are more than PNG holds")
    return contents.tobytes()


def drawing_path(path, image):
    """`path` with the suffix for an image of this size: .jpg, or .png for what no JPEG holds."""
    return path.with_name(f"{path.name}{'.jpg' if max(image.shape[:2]) <= MAX_JPEG_SIDE else '.png'}")


def _as_opencv_has_it(image):
    return cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image


def _write(path, image):
    path = Path(path)
    # By the suffix alone, for OpenCV ends the process over a folder whose name is no UTF-8.
    if not cv2.haveImageWriter(f"image{path.suffix}"):
        raise InputError(f"{path}: an image's name must end in .png or .jpg")
    options = [] if path.suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    with replacing(path) as temporary:
        # Encoded in memory, since imwrite answers a full disk and a bad name with a bare False.
        is_encoded, contents = cv2.imencode(path.suffix, image, options)
        if not is_encoded:
            height, width = image.shape[:2]
            raise InputError(f"{path}: {width} x {height} pixels are more than the format holds; use .png")
        temporary.write_bytes(contents)
