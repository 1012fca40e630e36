"""One large picture through the network in overlapping tiles, as TensorFlow operations.

Logits of tiles that overlap are averaged with weights that fall towards a tile's border. Tiles are visited
row by row; a pixel becomes a class id as soon as its last tile is done, so that of the logits only the
overlap with the next row of tiles is kept.
"""

import tensorflow as tf

from keras_seg.inference import classify

OVERLAP = 4  # The least overlap is a tile's size over this.
_NEIGHBORS = 3  # Tiles on either side that can reach a pixel, as the least overlap is a quarter.


def tile_starts(length, tile):
    """Returns `(starts, size)` of tiles along an axis: int32 [n], evenly spread, and their common size."""
    size = tf.minimum(length, tile)
    stride = tf.maximum(size - size // OVERLAP, 1)
    steps = -(-(length - size) // stride)
    # The product may exceed 32 bits.
    places = tf.range(steps + 1, dtype=tf.int64) * tf.cast(length - size, tf.int64)
    return tf.cast(places // tf.cast(tf.maximum(steps, 1), tf.int64), tf.int32), size


def tile_weights(starts, size, index):
    """Returns float32 [size]: weights of a tile's pixels along an axis; over all tiles they add up to 1."""
    ramp = tf.maximum(size // OVERLAP, 1)

    def height(place):
        return tf.cast(tf.clip_by_value(tf.minimum(place + 1, size - place), 0, ramp), tf.float32)

    place = tf.range(size)
    first = tf.maximum(index - _NEIGHBORS, 0)
    near = starts[first : index + _NEIGHBORS + 1]
    total = tf.reduce_sum(height(starts[index] + place[None] - near[:, None]), axis=0)
    return height(place) / total


def tiled_mask(network, num_logits, image, tile, flip, threshold=None):
    """Predicts a large picture.

    Args:
        network: function of float32 [1, h, w, 3] to logits [1, h, w, C].
        num_logits: C.
        image: uint8 [H, W, 3].
        tile: (height, width) of a tile; a picture smaller than that is one tile.
        flip: bool scalar: average the logits with those of the mirrored tile.
        threshold: of `classify`.

    Returns:
        uint8 class ids [H, W].
    """
    height, width = tf.unstack(tf.shape(image)[:2])
    (tops, tile_height), (lefts, tile_width) = tile_starts(height, tile[0]), tile_starts(width, tile[1])

    def predict(top, left):
        x = tf.cast(image[None, top : top + tile_height, left : left + tile_width], tf.float32)
        logits = network(x)
        return tf.cond(flip, lambda: (logits + network(x[:, :, ::-1])[:, :, ::-1]) / 2, lambda: logits)[0]

    # Strips lie on their side, [width, height, C], since a TensorArray is joined along its first axis.
    def row(index, above, rows):
        top, down = tops[index], _advance(tops, tile_height, index)
        weights = tile_weights(tops, tile_height, index)[:, None, None]

        def column(number, before, masks, kept):
            left, right = lefts[number], _advance(lefts, tile_width, number)
            across = tile_weights(lefts, tile_width, number)[None, :, None]
            strip = tf.transpose(predict(top, left) * (weights * across), [1, 0, 2])
            strip = _add_to_start(strip, before, axis=0)
            ready, after = strip[:right], strip[right:]
            ready = _add_to_start(ready, above[left : left + right], axis=1)
            masks = masks.write(number, classify(ready[:, :down], threshold)[0])
            return number + 1, after, masks, kept.write(number, ready[:, down:])

        start = tf.zeros([0, tile_height, num_logits])
        arrays = _array(lefts, tf.uint8, [None, None]), _array(lefts, tf.float32, [None, None, num_logits])
        _, _, masks, kept = _for_each(lefts, column, (start, *arrays), [None, None, num_logits])
        return index + 1, kept.concat(), rows.write(index, tf.transpose(masks.concat()))

    start = tf.zeros([width, 0, num_logits])
    _, _, rows = _for_each(tops, row, (start, _array(tops, tf.uint8, [None, None])), [None, None, num_logits])
    return rows.concat()


def _for_each(starts, body, state, shape):
    """Runs `body(index, *state)` for every tile along an axis; the first of the state varies in shape."""
    rest = [array.flow.shape for array in state[1:]]
    return tf.while_loop(
        lambda index, *_: index < tf.size(starts),
        body,
        (0, *state),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape(shape), *rest),
        parallel_iterations=1,
    )


def _advance(starts, size, index):
    """Returns how many pixels of a tile no later tile reaches: up to the next tile's start."""
    return tf.concat([starts[1:], starts[-1:] + size], axis=0)[index] - starts[index]


def _add_to_start(strip, part, axis):
    size = tf.shape(part)[axis]
    first, rest = tf.split(strip, [size, tf.shape(strip)[axis] - size], axis=axis)
    return tf.concat([first + part, rest], axis=axis)


def _array(starts, dtype, shape):
    return tf.TensorArray(dtype, tf.size(starts), element_shape=shape, infer_shape=False)
