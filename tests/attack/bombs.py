"""Small files that claim or unfold to much: what readers of files and the server take for them is bounded."""

import functools
import struct
import zlib
from pathlib import Path

import numpy as np

from keras_seg.data.formats.reading import read_header, read_image, read_mask
from keras_seg.data.samples import Sample
from keras_seg.errors import InputError
from keras_seg.serving import Client, ServerError
from tests.attack.case import ANSWERED, REFUSED, Case, pick, refusal
from tests.attack.mutations import mutated
from tests.data.helpers import app_segment, encode
from tests.serving.helpers import NAME, claims, gif, lossy_webp, picture, png_bomb, progressive_jpeg
from tests.serving.test_malformed import PICTURES

IN_CHILD, NEEDS_SERVER, COUNT, SECONDS = True, True, 150, 30.0
MOST_MEMORY = 3 << 30  # Bytes, as of images
_IMAGE = picture(8, 8)
_PNG, _JPEG, _BMP, _WEBP, _GIF = (
    *(encode(_IMAGE, suffix) for suffix in (".png", ".jpg", ".bmp")), lossy_webp(_IMAGE), gif([_IMAGE])
)  # fmt: skip


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _in_png(*chunks):
    return b"".join([_PNG[:33], *chunks, _PNG[33:]])


def _in_jpeg(segments):
    return _JPEG[:2] + segments + _JPEG[2:]


def _of_scans(count):
    """A progressive JPEG whose last scan comes again and again."""
    jpeg = progressive_jpeg(_IMAGE)
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:last] + jpeg[last:-2] * count + jpeg[-2:]


def _tiff(entries, next_directory=0):
    """A little-endian TIFF of one directory at byte 8."""
    rows = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (
        b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + struct.pack("<I", next_directory) + bytes(64)
    )


def _sized_tiff(width, height, *more, next_directory=0):
    sizes = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    return _tiff([*sizes, (273, 4, 1, 100), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 64), *more],
                 next_directory)  # fmt: skip


def _gif_of_codes(side):
    """A GIF of one frame that repeats one color in the fewest bytes."""
    return claims(claims(_GIF, 6, "<HH", side, side), _GIF.index(b",") + 5, "<HH", side, side)


_EXIF = b"Exif\0\0II*\0\x08\0\0\0"  # Up to its directory, which begins with the number of its tags
_EXIF_LOOP = b"\1\0" + struct.pack("<HHII", 0x8769, 4, 1, 8)


@functools.cache
def _zeros():
    return zlib.compress(bytes(1 << 27))


# Functions, since some take seconds.
BOMBS = {
    **{
        title: lambda value=value: value[0]
        for title, value in PICTURES.items()
        if "bomb" in title or "claims" in title
    },
    "PNG of 11000 x 11000": lambda: png_bomb(11_000, 11_000),
    "PNG of one row": lambda: png_bomb(1, 1 << 20),
    "PNG of one column": lambda: png_bomb(1 << 20, 1),
    "PNG of 50,000 texts": lambda: _in_png(*(chunk(b"tEXt", b"k%d\0v" % number) for number in range(50_000))),
    "PNG of 50,000 empty chunks": lambda: _in_png(chunk(b"IDAT", b"") * 50_000),
    "PNG of packed text": lambda: _in_png(chunk(b"zTXt", b"a\0\0" + _zeros())),
    "PNG of a packed profile": lambda: _in_png(chunk(b"iCCP", b"a\0\0" + _zeros())),
    "PNG of international text": lambda: _in_png(chunk(b"iTXt", b"a\0\1\0\0\0" + _zeros())),
    "PNG whose pixels go on": lambda: _PNG[:33] + chunk(b"IDAT", _zeros()) + _PNG[-12:],
    "JPEG of 100,000 markers": lambda: _in_jpeg(b"\xff\xd0" * 100_000),
    "JPEG of 60,000 segments": lambda: _in_jpeg(b"\xff\xe0\0\2" * 60_000),
    "JPEG of 60,000 comments": lambda: _in_jpeg(b"\xff\xfe\0\2" * 60_000),
    "JPEG of 1,000 scans": lambda: _of_scans(1000),
    "JPEG of EXIF that leads to itself": lambda: _in_jpeg(app_segment(0xE1, _EXIF + _EXIF_LOOP)),
    "JPEG of 65,535 EXIF tags": lambda: _in_jpeg(app_segment(0xE1, _EXIF + b"\xff\xff" + bytes(60_000))),
    "GIF of 65535 x 65535": lambda: _gif_of_codes(65535),
    "GIF of 10000 x 10000": lambda: _gif_of_codes(10_000),
    "GIF of 100,000 blocks": lambda: _GIF[:13] + b"\x21\xfe" + b"\1x" * 100_000 + b"\0" + _GIF[13:],
    "GIF whose second frame is of 65535 x 65535": lambda: _GIF[:-1]
    + claims(_GIF[_GIF.index(b",") :], 5, "<HH", 65535, 65535),
    "GIF of 2,000 frames": lambda: _GIF[:-1] + _GIF[_GIF.index(b",") : -1] * 2000 + b";",
    "BMP of 30000 x 30000": lambda: claims(_BMP, 18, "<ii", 30_000, 30_000),
    "BMP whose pixels begin beyond its end": lambda: claims(_BMP, 10, "<I", 2**31 - 1),
    "BMP of 2^31 colors": lambda: claims(_BMP, 46, "<I", 2**31 - 1),
    "WebP of 2^32 bytes": lambda: claims(_WEBP, 16, "<I", 2**32 - 1),
    "WebP of 60,000 chunks": lambda: _WEBP[:12] + b"EXIF\0\0\0\0" * 60_000 + _WEBP[12:],
    "TIFF of 2^32 a side": lambda: _sized_tiff(2**32 - 1, 2**32 - 1),
    "TIFF of 30000 x 30000": lambda: _sized_tiff(30_000, 30_000),
    "TIFF of 11000 x 11000": lambda: _sized_tiff(11_000, 11_000),
    "TIFF whose directory is its next": lambda: _sized_tiff(8, 8, next_directory=8),
    "TIFF of 2^32 samples": lambda: _sized_tiff(8, 8, (277, 4, 1, 2**32 - 1)),
    "TIFF of 2^30 strips": lambda: _sized_tiff(8, 8, (273, 4, 2**30, 8), (279, 4, 2**30, 8)),
    "TIFF of 65,535 tags": lambda: _tiff([(65000, 1, 1, 0)] * 65_535),
}  # fmt: skip


@functools.cache
def bomb(title):
    """The bytes of a bomb."""
    return BOMBS[title]()


def case(random, number):
    """The bombs first; then damaged ones."""
    titles = list(BOMBS)
    if number < len(titles):
        return Case(titles[number], bomb(titles[number]))
    title = pick(random, titles)
    return Case(f"damaged {title}", mutated(bomb(title), random))


def ask(case, place):
    """Reads the file as an image and a mask, and sends it to two signatures of the server."""
    path = Path(place.scratch, "bomb.png")
    path.write_bytes(case.contents)
    outcomes = {_read(path, read) for read in (_header, read_image, read_mask)}
    with Client(place.grpc, NAME, timeout=SECONDS, retries=0) as client:
        outcomes |= {_send(case.contents, ask) for ask in (client.mask, client.tiled_mask)}
        assert client.mask(_PNG).shape == (8, 8)
    return ANSWERED if ANSWERED in outcomes else REFUSED


def _header(path):
    return np.zeros(read_header(Sample(path, path)).size, bool)


def _read(path, read):
    try:
        read(path)
    except InputError as error:
        return refusal(error)
    return ANSWERED


def _send(contents, ask):
    try:
        ask(contents)
    except InputError as error:
        assert not isinstance(error, ServerError) or error.code in (3, 13), error
        return refusal(error)
    return ANSWERED
