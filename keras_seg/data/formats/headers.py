"""What the first bytes of an image say: its format, its size and the kind of its samples.

PNG: W3C recommendation, third edition, section 11.2. WebP: RFC 9649, section 2. BMP: BITMAPV4HEADER.
"""

import io
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import BmpImagePlugin, JpegImagePlugin, TiffImagePlugin

from keras_seg.data.formats import tiff
from keras_seg.errors import InputError
from keras_seg.gif import frame_sizes

# In color these fill 384 MiB; TensorFlow's decoders refuse 512 MiB in words that nobody understands.
MAX_PIXELS = 1 << 27
_HEADER_BYTES = 1 << 22  # In which a JPEG or GIF says its size; full of markers they take Pillow a second.
_OS2_HEADER, _BITFIELDS = 12, 3  # BMP: bytes of its shortest header; the compression that only orders colors
_WEBP_ANIMATION = 0x02
_PNG = b"\x89PNG\r\n\x1a\n"
NUMPY = "NumPy"
_MAGIC = {
    b"\xff\xd8": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"RIFF": "WebP",
    b"\x93NUMPY": NUMPY,
} | dict.fromkeys(tiff.MAGIC, "TIFF")
# Pillow's own open() refuses large images without a word on how large, and tries every format in turn.
_OPENERS: dict[str, Callable[..., Any]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
}


class PngKind(NamedTuple):
    """How a PNG stores its samples: bits per sample, and 0 grey, 2 RGB, 3 palette, 4 and 6 with alpha."""

    depth: int
    color_type: int


GREY_8, PALETTE_8 = PngKind(8, 0), PngKind(8, 3)


def format_name(contents: bytes) -> str | None:
    """Returns the name of the image format that the bytes begin like, or None."""
    return next((name for magic, name in _MAGIC.items() if contents.startswith(magic)), None)


def png_kind(contents: bytes) -> PngKind | None:
    """Returns how a PNG stores its samples, from its first 26 bytes; None of other files."""
    is_png = len(contents) >= 26 and contents.startswith(b"\x89PNG")
    return PngKind(contents[24], contents[25]) if is_png else None


def has_alpha(contents: bytes) -> bool:
    """Whether the first 26 bytes are those of a PNG whose samples have alpha."""
    kind = png_kind(contents)
    return kind is not None and kind.color_type in (4, 6)


def png_palette(contents: bytes) -> list[tuple[int, int, int]]:
    """Returns the RGB colors of a palette PNG in the order of their indices; empty of other files."""
    kind, at = png_kind(contents), contents.find(b"PLTE", 33)
    if kind is None or kind.color_type != PALETTE_8.color_type or at < 0:
        return []
    colors = contents[at + 4 : at + 4 + int.from_bytes(contents[at - 4 : at], "big")]
    return list(zip(colors[::3], colors[1::3], colors[2::3], strict=False))


def foreign_kind(contents: bytes) -> str | None:
    """Names the kind of a BMP or WebP that TensorFlow's decoders do not know; None for other files."""
    if contents[12:16] == b"VP8X" and format_name(contents) == "WebP" and len(contents) > 20:
        return "an animated WebP" if contents[20] & _WEBP_ANIMATION else None
    return _foreign_bmp(contents) if format_name(contents) == "BMP" and len(contents) >= 34 else None


def _foreign_bmp(contents):
    def number(at, length):
        return int.from_bytes(contents[at : at + length], "little")

    if number(14, 4) == _OS2_HEADER:
        return "a BMP of OS/2"
    bits, compression = number(28, 2), number(30, 4)
    if bits not in (8, 24, 32):
        return f"a BMP of {bits}-bit pixels"
    if compression == _BITFIELDS and bits == 32:
        is_blue_first = [number(at, 4) for at in (54, 58, 62)] == [0xFF0000, 0xFF00, 0xFF]
        return None if is_blue_first else "a BMP of another order of colors"
    return f"a BMP of compressed {bits}-bit pixels" if compression else None


def stored_size(contents: bytes) -> tuple[int, int] | None:
    """Returns (height, width) as a file's header tells it, before any turn; None where it tells nothing.

    Args:
        contents: the file, or as much of its start as holds the header.
    """
    name = format_name(contents)
    try:
        if name == NUMPY:
            return _numpy_size(contents)
        if name == "WebP":
            return _webp_size(contents)  # Pillow would decode it.
        if name == "PNG":
            return _png_size(contents)  # Pillow would read every text in it.
        if name == "GIF":
            return _gif_size(contents)  # Pillow knows but its first frame.
        if name != "TIFF":  # Which may have its header at its end
            contents = contents[:_HEADER_BYTES]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            width, height = _OPENERS[name or ""](io.BytesIO(contents)).size
        return height, width
    except Exception:  # Pillow answers damaged headers with many kinds.
        return None


def refuse_absurd_size(path: object, size: tuple[int, int] | None) -> None:
    """Raises InputError where an image is, by its header, more than can be read."""
    if size is not None and size[0] * size[1] > MAX_PIXELS:
        height, width = size
        raise InputError(
            f"{path}: says that it is {width} x {height} pixels; at most {MAX_PIXELS:,} pixels can be read:"
            " cut it into tiles, or replace it if that is wrong."
        )


def _numpy_size(contents):
    file = io.BytesIO(contents)
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    height, width, *_ = read(file)[0]
    return height, width


def _png_size(contents):
    if contents[:8] != _PNG or contents[12:16] != b"IHDR":
        return None
    width, height = (int.from_bytes(contents[at : at + 4], "big") for at in (16, 20))
    return (height, width) if width and height else None


def _gif_size(contents):
    """The decoder gives the first frame on a ground as high and as wide as any."""
    heights, widths = zip(*frame_sizes(contents), strict=True)
    return (max(heights), max(widths)) if 0 not in heights + widths else None


def _webp_size(contents):
    kind, data = contents[12:16], contents[20:30]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (4, 7))
    elif kind == b"VP8L":
        bits = int.from_bytes(data[1:5], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return height, width
