"""Rotation and elastic deformation as one displacement of every pixel, and blur; in the graph.

Elastic deformation: random displacements of a coarse 3 x 3 grid, in between by bicubic interpolation
(Ronneberger et al., 2015, arXiv:1505.04597, section 3.1).
"""

import math

import tensorflow as tf

from keras_seg.palette import IGNORE

_GRID = 3
_REACH = 3  # Standard deviations that a Gaussian's window spans on either side


def warp(image, mask, key, rotation, elastic):
    """Turns an image about its center and deforms it, and its mask alike.

    Args:
        image: float32 [H, W, 3].
        mask: uint8 [H, W].
        key: int64 [2].
        rotation: most degrees, either way.
        elastic: standard deviation of the grid's displacements in pixels.

    Returns:
        float32 [H, W, 3], bilinear, and uint8 [H, W], nearest neighbor. What comes from outside has the
        image's mean color and is ignored.
    """
    size = tf.shape(mask)
    rows, columns = tf.meshgrid(tf.range(size[0]), tf.range(size[1]), indexing="ij")
    center = tf.cast(size - 1, tf.float32) / 2
    place = tf.cast(tf.stack([rows, columns], axis=-1), tf.float32) - center
    angle = rotation * math.pi / 180 * (2 * tf.random.stateless_uniform([], key) - 1)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    place = tf.tensordot(place, tf.reshape(tf.stack([cosine, sine, -sine, cosine]), [2, 2]), 1) + center
    if elastic:
        shifts = elastic * tf.random.stateless_normal([_GRID, _GRID, 2], key)
        place += tf.image.resize(shifts, size, method="bicubic")
    return _sample(image, mask, place)


def blur(image, sigma):
    """Blurs an image [H, W, 3] with a Gaussian of `sigma` pixels; edges are mirrored."""
    radius = tf.cast(tf.math.ceil(_REACH * sigma), tf.int32)
    # A mirror shows no more than the image.
    radius = tf.minimum(radius, tf.reduce_min(tf.shape(image)[:2]) - 1)
    steps = tf.cast(tf.range(-radius, radius + 1), tf.float32)
    weights = tf.exp(-0.5 * tf.square(steps / tf.maximum(sigma, 1e-3)))
    weights /= tf.reduce_sum(weights)
    image = tf.pad(image, [[radius, radius], [radius, radius], [0, 0]], mode="REFLECT")
    channels = tf.transpose(image, [2, 0, 1])[..., None]  # Each channel is an image of one channel.
    for shape in ([-1, 1, 1, 1], [1, -1, 1, 1]):
        channels = tf.nn.conv2d(channels, tf.reshape(weights, shape), 1, "VALID")
    return tf.transpose(channels[..., 0], [1, 2, 0])


def _sample(image, mask, place):
    """Takes each pixel from its place, [H, W, 2] of (row, column)."""
    last = tf.shape(mask) - 1
    # Half a pixel beyond the centers of the outer pixels is still the image.
    is_inside = tf.reduce_all((place > -0.5) & (place < tf.cast(last, tf.float32) + 0.5), axis=-1)
    place = tf.clip_by_value(place, 0.0, tf.cast(last, tf.float32))
    nearest = tf.gather_nd(mask, tf.cast(tf.round(place), tf.int32))
    low = tf.cast(tf.floor(place), tf.int32)
    high = tf.minimum(low + 1, last)
    down, right = tf.split(place - tf.cast(low, tf.float32), 2, axis=-1)
    top, bottom = (
        _at(image, row, low[..., 1]) * (1 - right) + _at(image, row, high[..., 1]) * right
        for row in (low[..., 0], high[..., 0])
    )
    found = top * (1 - down) + bottom * down
    mean = tf.reduce_mean(image, [0, 1])
    return tf.where(is_inside[..., None], found, mean), tf.where(
        is_inside, nearest, tf.constant(IGNORE, tf.uint8)
    )


def _at(image, rows, columns):
    return tf.gather_nd(image, tf.stack([rows, columns], axis=-1))
