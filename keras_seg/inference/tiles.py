"""An image through a network in overlapping tiles: Ronneberger et al., 2015, figure 2 (arXiv:1505.04597).

Of each tile the middle is kept, which has seen its surroundings; neighbors meet halfway through what they
share. Tiles begin at multiples of `ALIGNMENT` pixels, and divided by it their sizes leave the remainder of
the image's, so that pools and strides fall where they do in the whole image: a pixel that sees no farther
than to the border of its tile has the same output.
"""

from typing import NamedTuple

import tensorflow as tf

ALIGNMENT = 32  # Pixels; the stride of the coarsest maps of all networks.
OVERLAP = 8  # Neighbors share a tile's side over this, at least.


class Tiling(NamedTuple):
    """How much of an image goes through a network at once.

    Attributes:
        pixels: Images, or tiles of them, have this many pixels at most, padding included.
        padding: (rows, columns) that the network puts around an image.
    """

    pixels: int
    padding: tuple = (0, 0)

    @property
    def side(self):
        """Height and width of the largest square tile, in pixels without padding."""
        return int(self.pixels**0.5) - max(self.padding)

    @property
    def overlap(self):
        """Pixels that neighbors share at least."""
        return self.side // OVERLAP

    def holds(self, count, height, width):
        """Whether so many images of a size go through at once; of integers or tensors."""
        rows, columns = self.padding
        return count * (height + rows) * (width + columns) <= self.pixels

    def tile(self, height, width):
        """Returns the (height, width) of tiles at most, int64 tensors: squares, longer in narrow images."""
        rows, columns = self.padding
        tall = self.pixels // (tf.minimum(width, self.side) + columns) - rows
        wide = self.pixels // (tf.minimum(height, self.side) + rows) - columns
        return tf.maximum(tall, self.side), tf.maximum(wide, self.side)


def bounded(function, tiling, kind):
    """Makes a function of images safe for images of any size.

    Args:
        function: Of images [N, h, w, 3] to maps [N, h, w, K].
        tiling: `Tiling`.
        kind: `tf.TensorSpec` of the maps of one image, [None, None, K].

    Returns:
        A function of images [N, H, W, 3] to maps [N, H, W, K]: at once where all fit, else in tiles.
    """

    def run(images):
        count, height, width, _ = tf.unstack(tf.shape(images, out_type=tf.int64))

        def one_by_one():
            return tf.map_fn(
                lambda image: within(function, image, tiling, kind),
                images,
                fn_output_signature=kind,
                parallel_iterations=1,
            )

        return tf.cond(tiling.holds(count, height, width), lambda: function(images), one_by_one)

    return run


def within(function, image, tiling, kind):
    """Maps one image in tiles of a `Tiling`; the rest is as of `in_tiles`."""
    tile = tiling.tile(*tf.unstack(tf.shape(image, out_type=tf.int64)[:2]))
    return in_tiles(function, image, tile, tiling.overlap, kind)


def in_tiles(function, image, tile, overlap, kind, fixed=False):
    """Maps one image tile by tile.

    Args:
        function: Of images [1, h, w, 3] to maps [1, h, w, K].
        image: [H, W, 3].
        tile: (height, width) of tiles at most; an image that is no larger is one tile.
        overlap: Pixels that neighbors share at least.
        kind: `tf.TensorSpec` of the maps, [None, None, K].
        fixed: Whether tiles must have exactly that size; else they are as small as their number allows.

    Returns:
        Maps [H, W, K].
    """
    height, width = tf.unstack(tf.shape(image, out_type=tf.int64)[:2])
    tops, tile_height, downs = split(height, tile[0], overlap, fixed)
    lefts, tile_width, rights = split(width, tile[1], overlap, fixed)

    def middle(row, column):
        top, left = tops[row], lefts[column]
        maps = function(image[None, top : top + tile_height, left : left + tile_width])[0]
        return maps[
            downs[row] - top : downs[row + 1] - top, rights[column] - left : rights[column + 1] - left
        ]

    # Tiles lie on their side in a band, since a TensorArray is joined along its first axis.
    def band(row):
        return _on_its_side(_joined(lefts, lambda column: _on_its_side(middle(row, column)), kind))

    return _joined(tops, band, kind)


def split(length, tile, overlap, fixed=False):
    """Splits an axis into tiles of one size.

    Args:
        length: Pixels of the axis.
        tile: Pixels of a tile at most.
        overlap: Pixels that neighbors share at least.
        fixed: As of `in_tiles`.

    Returns:
        `(starts, size, bounds)`, int64: the first pixel of each tile [n], their size, and the pixels [n + 1]
        at which what is kept of each begins and ends.
    """
    length, tile = tf.cast(length, tf.int64), tf.cast(tile, tf.int64)
    # Small tiles have no room to be aligned, nor those whose size is given.
    step = tf.where(tile >= 8 * ALIGNMENT, 1 if fixed else ALIGNMENT, 1)
    step = tf.cast(step, tf.int64)
    shared = overlap + step - 1  # Aligned, a tile begins up to this much sooner, and is that much larger.
    number = tf.where(length <= tile, tf.ones_like(length), _ceil(length - shared, tile - step + 1 - shared))
    size = _ceil(length + (number - 1) * shared, number)
    size += (length - size) % step
    if fixed:
        size = tf.minimum(tile, length)
    starts = tf.range(number) * (length - size) // tf.maximum(number - 1, 1) // step * step
    meetings = (starts[1:] + starts[:-1] + size) // 2
    return starts, size, tf.concat([[0], meetings, [length]], axis=0)


def _ceil(value, divisor):
    return -(-value // divisor)


def _on_its_side(maps):
    return tf.transpose(maps, [1, 0, 2])


def _joined(starts, part, kind):
    """Joins `part(0), part(1), ...`, one for each tile of an axis, along their first axis."""
    count = tf.size(starts)
    parts = tf.TensorArray(kind.dtype, count, element_shape=kind.shape, infer_shape=False)
    _, parts = tf.while_loop(
        lambda index, _: index < count,
        lambda index, parts: (index + 1, parts.write(index, part(index))),
        (0, parts),
        parallel_iterations=1,
    )
    return parts.concat()
