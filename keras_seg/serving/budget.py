"""What requests to an export may have, so that none takes more memory than it was made for."""

from typing import NamedTuple

from keras_seg.errors import InputError
from keras_seg.inference.footprint import DEFAULT_MEMORY, MAX_PIXELS, Footprint
from keras_seg.inference.tiles import Tiling

MAX_TILED_PIXELS = 1 << 27
TILE = 512
_MAX_MESSAGE = (1 << 31) - (1 << 20)  # Bytes; a protocol buffer ends at 2 GiB.


class Limits(NamedTuple):
    """What requests may have, and the memory that the largest of them takes.

    Attributes:
        memory: Bytes that one request takes at most, with the program and the weights.
        max_pixels: Pixels of a request of arrays, and of an encoded image, padding included.
        max_tiled_pixels: Pixels of an image of `tiled`.
        logits_pixels: Pixels of a request to `logits`.
        tiling: `Tiling` of all but `tiled`.
        tile: (height, width) of the tiles of `tiled`.
        footprint: `Footprint` of the network.
    """

    memory: int
    max_pixels: int
    max_tiled_pixels: int
    logits_pixels: int
    tiling: Tiling
    tile: tuple
    footprint: Footprint

    def content(self):
        """Returns what an export says of them, for JSON."""
        return {
            "memory_bytes": self.memory,
            "fixed_bytes": self.footprint.fixed,
            "network_bytes_per_pixel": round(self.footprint.per_pixel, 1),
            "image_bytes_per_pixel": self.footprint.image_bytes,
            "max_pixels": self.max_pixels,
            "max_tiled_pixels": self.max_tiled_pixels,
            "max_logits_pixels": self.logits_pixels,
            "pixels_at_once": self.tiling.pixels,
            "overlap": self.tiling.overlap,
            "tiled_tile": list(self.tile),
        }


def find_limits(
    found, num_logits, *, memory=DEFAULT_MEMORY, max_pixels=None, max_tiled_pixels=None, tile=None
):
    """Divides the memory: what is left beside the largest image is for what goes through the network at once.

    Args:
        found: `Footprint` of the network.
        num_logits: channels of the logits.
        memory: bytes that one request may take, with the program and the weights.
        max_pixels: N * H * W of a request of arrays, and H * W of an encoded image at most, with what the
            network pads them by; None: `MAX_PIXELS`, or what the memory holds.
        max_tiled_pixels: the same for `tiled`; None: `MAX_TILED_PIXELS`, or what the memory holds.
        tile: height and width of the tiles of `tiled`; None: `TILE`, or less where the memory is short.

    Returns:
        `Limits`.

    Raises:
        InputError: The memory is too little for the network's smallest tile and the largest image.
    """
    most = max_pixels or found.image_pixels(memory, MAX_PIXELS)
    most_tiled = max_tiled_pixels or found.image_pixels(memory, MAX_TILED_PIXELS)
    tiling = found.tiling(memory, most)
    # Flips keep the logits of a tile and those of its mirror image.
    mirrored = found._replace(per_pixel=found.per_pixel + 8 * num_logits)
    tiles = mirrored.tiling(memory, most_tiled)
    logits_pixels = min(most, tiling.pixels, _MAX_MESSAGE // (4 * num_logits))
    side = min(tile or TILE, tiles.side)
    if tile and side < tile and not found.size:
        raise InputError(
            f"--tile {tile}: tiles of {side} x {side} pixels are the largest for the memory; "
            "take these, or allow more with --memory"
        )
    return Limits(memory, most, most_tiled, logits_pixels, tiling, found.size or (side, side), found)
