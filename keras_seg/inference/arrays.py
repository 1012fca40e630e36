"""Converts arrays, files and bytes into the images that a network takes."""

import os
import warnings

import numpy as np

from keras_seg.data.formats.reading import decode_image_bytes, read_image


def as_image(image, kind):
    """Reads an image, and gives a grey one the channels of the network: three equal ones, or one.

    Args:
        image: array [H, W, C], or grey [H, W] or [H, W, 1]; path of a file; or its content as bytes.
        kind: `ImageKind` of the network.

    Returns:
        array [H, W, C]; an array of any other shape as it was given.

    Raises:
        InputError: the file cannot be read, or is no image of this kind.
    """
    if isinstance(image, (str, os.PathLike)):
        return read_image(os.fsdecode(image), kind)
    if isinstance(image, (bytes, bytearray)):
        return decode_image_bytes("the image's bytes", bytes(image), kind)
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[..., None]
    is_grey = image.ndim == 3 and image.shape[2] == 1
    return np.repeat(image, 3, axis=2) if is_grey and kind.channels == 3 else image


def warn_of_fractions(images, kind):
    """Warns of floats of at most 1: a network takes 0..255, for which an image scaled to 0..1 is black.

    Args:
        images: array [..., C].
        kind: `ImageKind` of the network; only images of 8 bits are known to end at 255.
    """
    if kind.depth == "uint8" and images.dtype.kind == "f" and 0 < images.max() <= 1:
        warnings.warn(
            f"the image's largest value is {images.max():.3g}: if it is scaled to 0..1, multiply it by 255, "
            "for the network takes values in 0..255",
            stacklevel=3,
        )
