"""Regions as lengths of runs, which stay so until they are drawn.

COCO: Lin et al., 2014 (arXiv:1405.0312); its compressed text is that of cocodataset/cocoapi, maskApi.h.
"""

from typing import Any, NamedTuple

import numpy as np


class Runs(NamedTuple):
    """A region within a box of its image.

    Attributes:
        lengths: Lengths of runs of 0 and 1 in turn, uint32 [N].
        box: (left, top, width, height) in pixels.
        by_columns: Whether they run down the columns, as COCO's, or along the rows.
    """

    lengths: np.ndarray
    box: tuple[int, int, int, int]
    by_columns: bool

    def decode(self) -> np.ndarray:
        """Returns the pixels of the box, bool [height, width]."""
        width, height = self.box[2:]
        flat = np.repeat(np.arange(len(self.lengths)) % 2 == 1, self.lengths)
        return flat.reshape(width, height).T if self.by_columns else flat.reshape(height, width)


def make_runs(lengths: Any, box: Any, size: Any, *, by_columns: bool) -> Runs:
    """Checks runs that a file holds.

    Args:
        lengths: Integers.
        box: (left, top, width, height).
        size: (height, width) of the image.
        by_columns: As of `Runs`.

    Raises:
        ValueError: They do not fill their box, or it is not within the image.
    """
    lengths = np.asarray(lengths, np.int64).reshape(-1)
    left, top, width, height = (int(number) for number in box)
    if min(left, top) < 0 or min(width, height) < 1 or left + width > size[1] or top + height > size[0]:
        raise ValueError(
            f"its box of {width} x {height} pixels at {left}, {top} is not within the image of"
            f" {size[1]} x {size[0]}"
        )
    # Sums of huge lengths could wrap around, so each is looked at.
    if (
        lengths.min(initial=0) < 0
        or lengths.max(initial=0) > width * height
        or lengths.sum() != width * height
    ):
        raise ValueError(f"its runs cover {lengths.sum()} of {width * height} pixels")
    return Runs(lengths.astype(np.uint32), (left, top, width, height), by_columns)


def encode(mask: np.ndarray, *, by_columns: bool = False) -> list[int]:
    """Returns the lengths of the runs of 0 and 1 in turn of a bool [H, W]."""
    flat = np.concatenate([[False], mask.ravel(order="F" if by_columns else "C")])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], changes, [flat.size - 1]])).tolist()


def mask_runs(mask: np.ndarray, corner: Any, size: Any) -> Runs:
    """Returns pixels, bool [height, width], whose upper left one is at `corner` (x, y), as runs."""
    return make_runs(encode(mask), (*corner, mask.shape[1], mask.shape[0]), size, by_columns=False)


def uncompressed(text: str) -> list[int]:
    """Returns the lengths that COCO's compressed text holds.

    Six bits a character from "0" on: five of the number, low first, and one that says there are more.
    """
    lengths: list[int] = []
    number, shift = 0, 0
    for sign in text.encode("ascii"):
        bits = sign - 48
        number |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                number -= 1 << shift
            # From the fourth on, what is stored is the difference to the last run of the same kind.
            lengths.append(number + (lengths[-2] if len(lengths) > 2 else 0))
            number, shift = 0, 0
    return lengths
