"""Augmentation of an image and its mask together, in the graph, by a key alone.

Scale and crop as in DeepLab (Chen et al., 2017, arXiv:1606.00915, section 4.1): 0.5 to 2, then a crop.
Elastic deformation as in U-Net (Ronneberger et al., 2015, arXiv:1505.04597, section 3.1).
"""

import tensorflow as tf

from keras_seg.augmentation import Augmentation
from keras_seg.data.batches.warp import blur, warp
from keras_seg.palette import IGNORE

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_TRIES = 10  # Crops that are drawn until one class fills no more than it may


DEFAULT = Augmentation()


def augment(image, mask, size, key, options=DEFAULT):
    """Changes one image at random, and its mask alike.

    Args:
        image: uint8 RGB [H, W, 3], or [H, W, C] of uint8 or float32, whose values are not changed.
        mask: uint8 class ids [H, W].
        size: (height, width) of the result in pixels.
        key: int64 [2]; the same key gives the same result.
        options: Augmentation.

    Returns:
        [height, width, C] of the same type and uint8 [height, width]. What lies outside of the image has the
        image's mean color and is ignored.
    """
    dtype = image.dtype
    chance = tf.random.stateless_uniform([9], key)
    flip, scale, window_place, margin_place, factors = tf.split(chance, [1, 1, 2, 2, 3])
    scale = _between(options.scales, scale[0])
    window = _window(mask, size, scale)
    if options.max_class_share < 1:
        window_place = _varied_place(mask, window, key, window_place, options.max_class_share)
    corner = _part(tf.shape(mask) - window, window_place)
    flip = (flip[0] < 0.5) if options.flip else tf.constant(False)
    image, mask = _scaled_window(image, mask, corner, window, _target(mask, window, size, scale), flip)
    mean = _mean_color(image)
    if dtype == tf.uint8 and image.shape[-1] == 3:
        low, high = options.color_factors
        matrix, offset = _color_map(mean, *tf.unstack(low + (high - low) * factors))
        image = _stored(tf.tensordot(image, matrix, 1), dtype, offset)
        mean = _stored(tf.tensordot(mean, matrix, 1), dtype, offset)
    else:
        image, mean = _stored(image, dtype), _stored(mean, dtype)
    image, mask = _padded(image, mask, mean, size, margin_place)
    if options.rotation or options.elastic or options.blur:
        image = tf.cast(image, tf.float32)
        if options.rotation or options.elastic:
            image, mask = warp(image, mask, _subkey(key, 1), options.rotation, options.elastic)
        if options.blur:
            image = blur(image, options.blur * tf.random.stateless_uniform([], _subkey(key, 2)))
        image = _stored(image, dtype)
    return tf.ensure_shape(image, (*size, image.shape[-1])), tf.ensure_shape(mask, size)


def resize(image, mask, size):
    """Resizes an image (bilinear) and its mask (nearest neighbor) to `size`, (height, width) in pixels."""
    if tuple(mask.shape) == tuple(size):
        return image, mask
    extent, target, dtype = tf.shape(mask), tf.constant(size), image.dtype
    # Down to half the size bilinear sampling skips no pixel; below, smooth (and slow) filtering is due.
    image = tf.cond(
        tf.reduce_any(extent > 2 * target),
        lambda: tf.image.resize(image, size, antialias=True),
        lambda: tf.image.resize(tf.cast(image, tf.float32), size),
    )
    return _stored(image, dtype), _nearest(mask, tf.zeros([2], tf.int32), extent, target, tf.constant(False))


def _scaled_window(image, mask, corner, window, target, flip):
    """Resizes what a window shows to `target`, mirrored left and right if `flip`; all of them int32 [2]."""
    image = tf.slice(image, tf.concat([corner, [0]], 0), tf.concat([window, [image.shape[-1]]], 0))
    # The operation is told by a tensor; a condition would cost more than the mirroring.
    image = tf.raw_ops.Reverse(tensor=image, dims=tf.stack([False, flip, False]))
    # Down to half the size, bilinear sampling skips no pixel, so this needs no (slow) antialiasing.
    image = tf.image.resize(tf.cast(image, tf.float32), target)
    return image, _nearest(mask, corner, window, target, flip)


def _nearest(mask, corner, window, target, flip):
    """Does the same to a mask by nearest neighbor: rows and columns are taken by their numbers."""
    mask = tf.slice(mask, corner, window)
    rows, columns = (
        tf.minimum(
            tf.cast((tf.range(target[axis], dtype=tf.float32) + 0.5) * step[axis], tf.int32), window[axis] - 1
        )
        for step in [tf.cast(window, tf.float32) / tf.cast(target, tf.float32)]
        for axis in (0, 1)
    )
    columns = tf.raw_ops.Reverse(tensor=columns, dims=flip[None])
    # Whole rows are fast to take, so columns are taken as rows too.
    return tf.transpose(tf.gather(tf.transpose(tf.gather(mask, rows)), columns))


def _padded(image, mask, color, size, place):
    """Puts margins of a color, [C], about an image, and ignored ones about its mask, up to `size`."""
    missing = tf.constant(size) - tf.shape(mask)

    def padded():
        before = _part(missing, place)
        after = missing - before
        left, right = (_plane(color, tf.shape(mask)[0], margin[1]) for margin in (before, after))
        top, bottom = (_plane(color, margin[0], size[1]) for margin in (before, after))
        middle = tf.concat([left, image, right], 1)
        margins = tf.stack([before, after], axis=1)
        return tf.concat([top, middle, bottom], 0), tf.pad(mask, margins, constant_values=IGNORE)

    return tf.cond(tf.reduce_any(missing > 0), padded, lambda: (image, mask))


def _plane(color, height, width):
    row = tf.reshape(tf.tile(color, [width]), [1, -1])
    return tf.reshape(tf.tile(row, [height, 1]), [height, width, color.shape[0]])


def _window(mask, size, scale):
    """Returns how much of the image, in its own pixels, a crop of `size` shows."""
    return tf.minimum(tf.shape(mask), _rounded(tf.cast(tf.constant(size), tf.float32) / scale))


def _target(mask, window, size, scale):
    """Returns the size of the window in the crop."""
    extent, size = tf.shape(mask), tf.constant(size)
    whole = tf.minimum(size, _rounded(tf.cast(extent, tf.float32) * scale))
    # A window that was cut out fills the size, where rounding could leave a stripe.
    return tf.where(window < extent, size, whole)


def _varied_place(mask, window, key, first_place, most):
    """Returns the first of some random places where no class has more than its share of the window."""
    places = tf.random.stateless_uniform([_TRIES - 1, 2], _subkey(key, 3))
    places = tf.concat([first_place[None], places], axis=0)

    def share(place):
        top, left = tf.unstack(_part(tf.shape(mask) - window, place))
        part = mask[top : top + window[0], left : left + window[1]]
        counts = tf.math.bincount(tf.cast(tf.reshape(part, [-1]), tf.int32), minlength=IGNORE + 1)[:IGNORE]
        return tf.reduce_max(counts) / tf.maximum(tf.reduce_sum(counts), 1)

    def is_uniform(index):
        return (index < _TRIES - 1) & (share(places[index]) > most)

    (index,) = tf.while_loop(is_uniform, lambda index: [index + 1], [tf.constant(0)])
    return places[index]


def _between(bounds, fraction):
    low, high = bounds
    return low * (high / low) ** fraction  # Half and double are equally likely.


def _subkey(key, number):
    """Returns another key, so that what is switched on or off changes nothing else."""
    return tf.stack([key[0] + (number << 32), key[1]])


def _part(room, fraction):
    """Returns a whole number from 0 to `room`, all equally likely for a uniform fraction in [0, 1)."""
    return tf.cast(tf.cast(room + 1, tf.float32) * fraction, tf.int32)


def _color_map(mean, brightness, contrast, saturation):
    """Returns the matrix [3, 3] and the offset by which colors change.

    Scales brightness, contrast about the luma of the mean color and saturation about each pixel's luma.
    """
    luma = tf.constant(_LUMA)
    matrix = brightness * contrast * (saturation * tf.eye(3) + (1 - saturation) * luma[:, None])
    return matrix, brightness * (1 - contrast) * tf.tensordot(mean, luma, 1)


def _mean_color(image):
    # Rows first: sums over long rows are fast, sums over triples are not.
    rows = tf.reshape(image, [tf.shape(image)[0], -1])
    return tf.reduce_mean(tf.reshape(tf.reduce_mean(rows, 0), [-1, image.shape[-1]]), 0)


def _rounded(lengths):
    return tf.maximum(1, tf.cast(tf.round(lengths), tf.int32))


def _stored(image, dtype, offset=0.0):
    if dtype != tf.uint8:
        return image
    # One operation clips in one pass over the pixels, tf.clip_by_value in two.
    clipped = tf.raw_ops.ClipByValue(t=image + (offset + 0.5), clip_value_min=0.0, clip_value_max=255.0)
    return tf.cast(clipped, tf.uint8)
