"""Label Studio's brush strokes: the RGBA pixels of an image as runs, packed bit by bit.

The format is that of thi.ng's rle-pack, from its README. A head: 32 bits with the number of words, 5 with the
bits of a word less 1, and four times 4 with the bits of a count less 1, for its four classes. Then groups
until all words are there: a bit that says whether one word repeats, 2 bits with the class of the count, the
count less 1, and the word that repeats or as many words as are counted.
"""

from typing import Any

import numpy as np

_WORD_BITS = 8
_COUNT_BITS = (3, 4, 8, 16)
_OPAQUE = 128  # Of an alpha of 0..255, half a pixel covered.


def decode_brush(numbers: Any, size: Any) -> np.ndarray:
    """Decodes a brush's pixels.

    Args:
        numbers: The bytes as a list of 0..255.
        size: (height, width) of the image.

    Returns:
        bool [H, W]: Where alpha is half or more.

    Raises:
        ValueError: They are damaged, or of another size.
    """
    bits = np.unpackbits(np.frombuffer(_bytes(numbers), np.uint8))
    reader = _Bits(bits)
    total, word_bits = reader.number(32), reader.number(5) + 1
    count_bits = [reader.number(4) + 1 for _ in range(4)]
    height, width = size
    if total != height * width * 4 or word_bits != _WORD_BITS:
        raise ValueError(f"its brush is of {total // 4} pixels and its image has {width} x {height}")
    words, at = np.empty(total, np.uint8), 0
    while at < total:
        repeats = reader.number(1)
        end = at + reader.number(count_bits[reader.number(2)]) + 1
        if end > total:
            raise ValueError(f"its brush has more than {total} bytes")
        words[at:end] = reader.words(1 if repeats else end - at)
        at = end
    return words[3::4].reshape(height, width) >= _OPAQUE


def encode_brush(mask: np.ndarray) -> list[int]:
    """Encodes pixels, bool [H, W], as opaque white ones among transparent black ones."""
    flat = mask.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0], changes])
    counts = 4 * np.diff(np.concatenate([starts, [flat.size]]))
    parts = [f"{4 * flat.size:032b}", f"{_WORD_BITS - 1:05b}", *(f"{bits - 1:04b}" for bits in _COUNT_BITS)]
    for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
        word = "1" * _WORD_BITS if flat[start] else "0" * _WORD_BITS
        while count > 0:
            taken = min(count, 1 << _COUNT_BITS[-1])
            kind = next(index for index, bits in enumerate(_COUNT_BITS) if taken <= 1 << bits)
            parts.append(f"1{kind:02b}{taken - 1:0{_COUNT_BITS[kind]}b}{word}")
            count -= taken
    bits = np.frombuffer("".join(parts).encode(), np.uint8) - ord("0")
    return np.packbits(bits).tolist()


class _Bits:
    """Reads numbers of some bits, one after the other."""

    def __init__(self, bits):
        self._bits, self._text, self._at = bits, (bits + ord("0")).tobytes(), 0

    def number(self, count):
        return int(self._take(self._text, count), 2)

    def words(self, count):
        return np.packbits(self._take(self._bits, count * _WORD_BITS))

    def _take(self, source, count):
        taken = source[self._at : self._at + count]
        if len(taken) < count:
            raise ValueError("its brush ends too soon")
        self._at += count
        return taken


def _bytes(numbers):
    if not isinstance(numbers, list):
        raise TypeError(f"its brush is a {type(numbers).__name__}, not a list of bytes")
    return bytes(numbers)  # Which raises ValueError beyond 0..255.
