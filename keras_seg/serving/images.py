"""The pixels of encoded images that come back from a server, without TensorFlow.

What comes back is bounded by the size of what was sent before a decoder allocates anything.
"""

import io

import numpy as np
from PIL import JpegImagePlugin, PngImagePlugin

from keras_seg.serving.image_sizes import image_size
from keras_seg.serving.outputs import MAX_CLASSES, Output

_JPEG, _PNG = b"\xff\xd8", b"\x89P"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_GREY_8 = b"\x08\x00"  # Bits and color type in the header of a PNG
# Pillow's own open() refuses large images, and tries every format in turn.
_OPENERS = {_JPEG: JpegImagePlugin.JpegImageFile, _PNG: PngImagePlugin.PngImageFile}


def encoded_output(size):
    """Returns the Output of one mask or overlay in a file, for an image of `size`."""
    height, width = size or (0, 0)
    # Noise takes a byte a pixel as a mask, and some two and a half in color as a JPEG.
    return Output("object", (1,), max_string=4 * (height + 1) * (width + 1) + (1 << 16))


def decode_grey(contents, size, num_classes=MAX_CLASSES):
    """Returns the pixels of a PNG: uint8 [H, W], all below `num_classes`.

    Args:
        contents: the file, by a server.
        size: `(height, width)` that it has to have; None: unknown, and nothing is right.
        num_classes: number of classes.

    Raises:
        ValueError: it is no complete grey PNG of 8 bits, or has another size or a value that is no class.
    """
    if not contents.startswith(_PNG) or contents[24:26] != _GREY_8:
        raise ValueError(f"is no grey PNG of 8 bits: {contents[:26]!r}")
    pixels = _decoded(contents, size)
    if not contents.endswith(_PNG_END):
        raise ValueError("is no complete image: a PNG without its end")
    Output(num_classes=num_classes).check_values(pixels)
    return pixels


def checked_jpeg(contents, size):
    """Returns the bytes of a complete JPEG of `size`, `(height, width)`; raises ValueError for others."""
    if not contents.startswith(_JPEG):
        raise ValueError(f"is no JPEG: {contents[:26]!r}")
    _decoded(contents, size)
    return contents


def _decoded(contents, size):
    found = image_size(contents)
    if size is None or found != size:
        raise ValueError(f"is {_text(found)} large, and its image {_text(size)}")
    try:
        return np.asarray(_OPENERS[contents[:2]](io.BytesIO(contents)))
    except Exception as error:  # As above.
        raise ValueError(f"is no complete image: {error}") from None


def _text(size):
    return f"{size[1]} x {size[0]}" if size else "of unknown size"
