"""The size of an encoded image as an exported model decodes it, from its header and without TensorFlow.

It is read as the model reads it (`serving.limits`, `data.decode`), also where a file is damaged: another
reader would find another size or none, and the client take the model's mask for a wrong one.
PNG: W3C recommendation, third edition. JPEG: ITU-T T.81, annex B. EXIF: CIPA DC-008, section 4.6.5.
WebP: RFC 9649, section 2.
"""

from keras_seg.gif import frame_sizes

_SEGMENTS, _SEGMENTS_TO_EXIF = 1 << 10, 64  # Of a JPEG, which are looked at
_EXIF_BYTES = 1 << 18
_NO_FRAME = (0xC4, 0xC8, 0xCC)  # Of the markers 0xC0..0xCF, those that begin no frame
_ORIENTATION, _ON_ITS_SIDE = 0x0112, (5, 6, 7, 8)


def image_size(contents):
    """Returns `(height, width)` of an encoded image as it is seen; None where none can be read."""
    reader = next((reader for magic, reader in _READERS.items() if contents.startswith(magic)), None)
    try:
        size = reader(contents) if reader else None
    except IndexError:  # The file ends before its size.
        return None
    return size if size and min(size) > 0 else None


def _number(contents, at, length, order):
    return int.from_bytes(contents[at : at + length], order)


def _png_size(contents):
    width, height = (_number(contents, at, 4, "big") for at in (16, 20))
    return height, width


def _bmp_size(contents):
    # Negative where the rows go down.
    width, height = (int.from_bytes(contents[at : at + 4], "little", signed=True) for at in (18, 22))
    return abs(height), width


def _gif_size(contents):
    return next(frame_sizes(contents), None)  # It is decoded without what is around it.


def _webp_size(contents):
    if contents[12:16] == b"VP8X":
        width, height = (1 + _number(contents, at, 3, "little") for at in (24, 27))
    elif contents[12:16] == b"VP8L":
        bits = _number(contents, 21, 4, "little")
        width, height = 1 + bits % (1 << 14), 1 + (bits >> 14) % (1 << 14)
    else:
        width, height = (_number(contents, at, 2, "little") % (1 << 14) for at in (26, 28))
    return height, width


def _jpeg_size(contents):
    at = 2
    for _ in range(_SEGMENTS):
        first, code = contents[at], contents[at + 1]
        if first != 0xFF or code in (0x00, 0xFF):
            at += 1
        elif 0xC0 <= code <= 0xCF and code not in _NO_FRAME:
            height, width = (_number(contents, at + place, 2, "big") for place in (5, 7))
            return (width, height) if exif_orientation(contents) in _ON_ITS_SIDE else (height, width)
        elif code in (0xD9, 0xDA):  # The end, or a scan before a frame header
            return None
        else:
            is_bare = code == 0x01 or 0xD0 <= code <= 0xD8
            at += 2 if is_bare else 2 + max(_number(contents, at + 2, 2, "big"), 2)
    return None


def exif_orientation(contents):
    """Returns the orientation tag of a JPEG, 1 to 8; 1 where there is none or it makes no sense."""
    data = contents[:_EXIF_BYTES]
    size, at = len(data), 2

    def byte(at):
        return data[min(at, size - 1)]  # A damaged tag may point anywhere.

    def is_exif(at):
        return [byte(at + place) for place in (1, 4, 5, 6, 7)] == [0xE1, *b"Exif"]

    for _ in range(_SEGMENTS_TO_EXIF):
        if byte(at) != 0xFF or byte(at + 1) // 16 != 0xE or is_exif(at) or at + 10 >= size:
            break
        at += 2 + 256 * byte(at + 2) + byte(at + 3)
    if not is_exif(at) or at + 18 >= size:
        return 1
    start = at + 10
    order = "little" if byte(start) == ord("I") else "big"

    def number(at, length):
        return int.from_bytes(bytes(byte(at + place) for place in range(length)), order)

    offset = number(start + 4, 4)
    directory = start + min(offset if offset < 1 << 31 else 0, size)
    for entry in range(directory + 2, directory + 2 + 12 * min(number(directory, 2), size // 12), 12):
        if number(entry, 2) == _ORIENTATION:
            value = number(entry + 8, 2)
            return value if 1 <= value <= 8 else 1
    return 1


_READERS = {
    b"\xff\xd8": _jpeg_size,
    b"\x89PNG\r\n\x1a\n": _png_size,
    b"GIF8": _gif_size,
    b"BM": _bmp_size,
    b"RIFF": _webp_size,
}
