"""An image through a network in overlapping tiles: Ronneberger et al., 2015, figure 2 (arXiv:1505.04597).

Of each tile the middle is kept, which has seen its surroundings; neighbors meet halfway through what they
share. Tiles begin at multiples of `ALIGNMENT` pixels, and divided by it their sizes leave the remainder of
the image's, so that pools and strides fall where they do in the whole image: a pixel that sees no farther
than to the border of its tile has the same output.
"""

from itertools import pairwise, product
from typing import NamedTuple

import tensorflow as tf

ALIGNMENT = 32  # Pixels; the stride of the coarsest maps of all networks.
OVERLAP = 16  # Neighbors share a tile's side over this, at least.


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

    def divide(self, height, width):
        """Divides an image so that as few pixels as possible are computed twice: in bands, or in tiles.

        Args:
            height: Pixels, an int64 tensor.
            width: The same.

        Returns:
            An `Axis` of the rows, and one of the columns.
        """
        rows, columns = self.padding
        step, overlap = _step(self.side), self.overlap
        # From bands of the whole width, over squares, to tiles of half their width.
        across = tf.range(1, 2 * number_of_tiles(width, self.side, overlap, step) + 1)
        tallest = self.pixels // (_longest(width, across, overlap, step) + columns) - rows
        down = number_of_tiles(height, tallest, overlap, step)
        pixels = (height + (down - 1) * _shared(height, overlap, step) + down * rows) * (
            width + (across - 1) * _shared(width, overlap, step) + across * columns
        )
        fits = _longest(height, down, overlap, step) <= tallest
        best = tf.argmin(tf.where(fits, pixels, pixels.dtype.max))
        return split(height, down[best], overlap, step), split(width, across[best], overlap, step)


class Axis(NamedTuple):
    """How an axis of an image is divided; int64 tensors of pixels.

    Attributes:
        starts: The first of each tile, [n].
        ends: The one after its last, [n].
        bounds: Where what is kept of each begins and ends, [n + 1].
    """

    starts: tf.Tensor
    ends: tf.Tensor
    bounds: tf.Tensor


def split(length, number, overlap, step=1):
    """Divides an axis into tiles that differ by `step` pixels at most.

    Args:
        length: Pixels of the axis, an int64 tensor, as all that follow may be.
        number: Of tiles.
        overlap: Pixels that neighbors share at least; `step - 1` more at most.
        step: Tiles begin at multiples of it, and their sizes leave the length's remainder.

    Returns:
        `Axis`.
    """
    shared = _shared(length, overlap, step)
    starts = tf.range(number) * ((length - shared) // step) // number * step
    return _axis(starts, tf.concat([starts[1:] + shared, [length]], axis=0))


def split_equally(length, size, overlap):
    """Divides an axis into tiles of just one size, which share `overlap` pixels at least; returns `Axis`."""
    number = tf.where(length <= size, tf.ones_like(length), _ceil(length - overlap, size - overlap))
    size = tf.minimum(length, size)
    starts = tf.range(number) * (length - size) // tf.maximum(number - 1, 1)
    return _axis(starts, starts + size)


def split_by(length, tile, overlap):
    """Divides an axis into tiles of `tile` pixels, a Python number, or somewhat less; returns `Axis`."""
    step = _step(tile)
    return split(length, number_of_tiles(length, tile, overlap, step), overlap, step)


def number_of_tiles(length, tile, overlap, step):
    """Returns how many tiles, none of them longer than `tile`, an axis takes; the rest is as of `split`."""
    shared = _shared(length, overlap, step)
    return tf.maximum(_ceil((length - shared) // step, tf.maximum((tile - shared) // step, 1)), 1)


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
    height, width = tf.unstack(tf.shape(image, out_type=tf.int64)[:2])
    return in_tiles(function, image, *tiling.divide(height, width), kind)


def places(tiling, height, width):
    """Yields what `within` takes and keeps of each tile of an image, for arrays.

    Args:
        tiling: `Tiling`.
        height: Pixels, a number.
        width: The same.

    Yields:
        `(tile, kept, middle)`, pairs of slices: the tile and what is kept of it, in the image; and that in
        the tile.
    """
    axes = tiling.divide(*(tf.constant(length, tf.int64) for length in (height, width)))
    cuts = [
        [
            (slice(start, end), slice(*kept), slice(kept[0] - start, kept[1] - start))
            for start, end, kept in zip(
                axis.starts.numpy(), axis.ends.numpy(), pairwise(axis.bounds.numpy()), strict=True
            )
        ]
        for axis in axes
    ]
    for row, column in product(*cuts):
        yield tuple(zip(row, column, strict=True))


def in_tiles(function, image, down, across, kind):
    """Maps one image tile by tile.

    Args:
        function: Of images [1, h, w, 3] to maps [1, h, w, K].
        image: [H, W, 3].
        down: `Axis` of its rows.
        across: `Axis` of its columns.
        kind: `tf.TensorSpec` of the maps, [None, None, K].

    Returns:
        Maps [H, W, K].
    """

    def middle(row, column):
        top, left = down.starts[row], across.starts[column]
        maps = function(image[None, top : down.ends[row], left : across.ends[column]])[0]
        return maps[
            down.bounds[row] - top : down.bounds[row + 1] - top,
            across.bounds[column] - left : across.bounds[column + 1] - left,
        ]

    # Tiles lie on their side in a band, since a TensorArray is joined along its first axis.
    def band(row):
        return _on_its_side(_joined(across, lambda column: _on_its_side(middle(row, column)), kind))

    return _joined(down, band, kind)


def _axis(starts, ends):
    return Axis(starts, ends, tf.concat([[0], (starts[1:] + ends[:-1]) // 2, ends[-1:]], axis=0))


def _shared(length, overlap, step):
    return overlap + (length - overlap) % step


def _longest(length, number, overlap, step):
    """The longest of so many tiles."""
    shared = _shared(length, overlap, step)
    return shared + _ceil((length - shared) // step, number) * step


def _step(tile):
    """Small tiles have no room to be aligned."""
    return ALIGNMENT if tile >= 8 * ALIGNMENT else 1


def _ceil(value, divisor):
    return -(-value // divisor)


def _on_its_side(maps):
    return tf.transpose(maps, [1, 0, 2])


def _joined(axis, part, kind):
    """Joins `part(0), part(1), ...`, one for each tile of an axis, along their first axis."""
    count = tf.size(axis.starts)
    parts = tf.TensorArray(kind.dtype, count, element_shape=kind.shape, infer_shape=False)
    _, parts = tf.while_loop(
        lambda index, _: index < count,
        lambda index, parts: (index + 1, parts.write(index, part(index))),
        (0, parts),
        parallel_iterations=1,
    )
    return parts.concat()
