"""Damages bytes and JSON at random: everything follows from the random generator that is given."""

import struct
import zlib

from tests.attack.case import pick

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_HEADER = 64  # Bytes in which formats keep their sizes
_PNG = b"\x89PNG\r\n\x1a\n"


def mutated(contents, random, others=()):
    """Returns the bytes with one to four changes.

    Args:
        contents: Bytes.
        random: `numpy.random.Generator`.
        others: Other files, whose pieces may come in.
    """
    for _ in range(int(random.integers(1, 5))):
        if len(contents) < 2:
            return contents
        contents = pick(random, _CHANGES)(contents, random, others)
    # Half of the PNGs have right checksums again, or decoders would look no further.
    return with_checksums(contents) if contents.startswith(_PNG) and random.random() < 0.5 else contents


def _flip(contents, random, _):
    out = bytearray(contents)
    for at in random.integers(0, len(out), random.integers(1, 9)):
        out[at] ^= 1 << int(random.integers(8))
    return bytes(out)


def _noise(contents, random, _):
    at, length = _span(contents, random)
    return contents[:at] + random.bytes(length) + contents[at + length :]


def _cut(contents, random, _):
    return contents[: int(random.integers(len(contents)))]


def _drop(contents, random, _):
    at, length = _span(contents, random)
    return contents[:at] + contents[at + length :]


def _repeat(contents, random, _):
    at, length = _span(contents, random)
    return contents[:at] + contents[at : at + length] * int(random.integers(2, 5)) + contents[at + length :]


def _insert(contents, random, _):
    at = int(random.integers(len(contents)))
    return contents[:at] + random.bytes(int(random.integers(1, 33))) + contents[at:]


def _extreme(contents, random, _):
    """Sets a field, mostly of the header, to a number at the end of a range."""
    layout = pick(random, (">B", ">H", "<H", ">I", "<I"))
    size = struct.calcsize(layout)
    end = min(_HEADER, len(contents)) if random.random() < 0.7 else len(contents)
    at = int(random.integers(max(end - size, 0) + 1))
    number = pick(random, EXTREMES) % 256**size
    return contents[:at] + struct.pack(layout, number) + contents[at + size :]


def _splice(contents, random, others):
    """Puts a piece of this file, or of another, before, behind or in the place of one."""
    pieces = pieces_of(contents)
    source = (random.random() < 0.5 and others and pieces_of(pick(random, others))) or pieces
    at = int(random.integers(len(pieces)))
    end = at + int(random.integers(2))
    return b"".join([*pieces[:at], pick(random, source), *pieces[end:]])


def _swap(contents, random, _):
    pieces = pieces_of(contents)
    a, b = random.integers(0, len(pieces), 2)
    pieces[a], pieces[b] = pieces[b], pieces[a]
    return b"".join(pieces)


def _without(contents, random, _):
    pieces = pieces_of(contents)
    del pieces[int(random.integers(len(pieces)))]
    return b"".join(pieces)


_CHANGES = (_flip, _noise, _cut, _drop, _repeat, _insert, _extreme, _extreme, _splice, _swap, _without)


def _span(contents, random):
    at = int(random.integers(len(contents)))
    return at, int(random.integers(1, min(65, len(contents) - at + 1)))


def pieces_of(contents):
    """Takes a file apart: a PNG's and a WebP's chunks, a JPEG's segments, another's bytes by the dozen."""
    if contents.startswith(_PNG):
        return [contents[:8], *_chunks(contents, 8, ">I", 12)]
    if contents.startswith(b"RIFF"):
        return [contents[:12], *_chunks(contents, 12, "<4xI", 8)]
    if contents.startswith(b"\xff\xd8"):
        return _segments(contents)
    step = max(12, len(contents) // 16)
    return [contents[at : at + step] for at in range(0, len(contents), step)]


def _chunks(contents, at, layout, around):
    found = []
    while at + 8 <= len(contents):
        (length,) = struct.unpack_from(layout, contents, at)
        found.append(contents[at : at + length + around])
        at += len(found[-1])
    return [*found, contents[at:]]


def _segments(contents):
    found, at = [contents[:2]], 2
    while at + 4 <= len(contents) and contents[at] == 0xFF and contents[at + 1] != 0xDA:
        found.append(contents[at : at + 2 + int.from_bytes(contents[at + 2 : at + 4], "big")])
        at += len(found[-1])
    return [*found, contents[at:]]


def with_checksums(png):
    """Returns a PNG whose chunks have the right checksums, as far as they go."""
    out, at = [png[:8]], 8
    while at + 12 <= len(png):
        end = at + 8 + int.from_bytes(png[at : at + 4], "big")
        if end + 4 > len(png):
            break
        out += [png[at:end], struct.pack(">I", zlib.crc32(png[at + 4 : end]))]
        at = end + 4
    return b"".join([*out, png[at:]])


# Of every type that JSON has, and of what Python's parser takes besides.
VALUES = (
    *(None, True, False, 0, -1, 1, 2, 255, 256, 65535, 65536, 2**31, -(2**31), 2**63, 10**30, 0.5, -0.0),
    *(1e308, float("nan"), float("inf"), float("-inf")),
    *("", "a", "images", "..", "/", "/dev/zero", "a\0b", "a\nb"),
    *("\ud800", "=1+1", "x" * 300, "\u202e", [], [0], [[]], [None], ["a", "a"], [0, 0, 0], [[0, 0, 0]] * 3),
    *({}, {"a": 1}, {"": []}, [[[[[0]]]]]),
)  # fmt: skip


def mutated_json(value, random):
    """Returns a copy of what JSON holds with one to three changes: other types, keys gone or new."""
    for _ in range(int(random.integers(1, 4))):
        value = _changed(value, random)
    return value


def _changed(value, random):
    if not value or not isinstance(value, (dict, list)) or random.random() < 0.1:
        return pick(random, VALUES)
    if isinstance(value, list):
        index = int(random.integers(len(value)))
        new = {0: [], 1: [value[index]] * 2}.get(int(random.integers(6)), [_changed(value[index], random)])
        return [*value[:index], *new, *value[index + 1 :]]
    key = pick(random, list(value))
    rest = {name: item for name, item in value.items() if name != key}
    chance = random.random()
    if chance < 0.1:
        return rest
    if chance < 0.2:
        return {**value, pick(random, ("", "more", "class", "\ud800", "__class__")): pick(random, VALUES)}
    return {**rest, key: _changed(value[key], random)}
