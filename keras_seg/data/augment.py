"""Augmentation of an image and its mask together, in the graph, by a key alone.

Scale and crop as in DeepLab (Chen et al., 2017, arXiv:1606.00915, section 4.1): 0.5 to 2, then a crop.
Elastic deformation as in U-Net (Ronneberger et al., 2015, arXiv:1505.04597, section 3.1).
"""

from dataclasses import dataclass

import tensorflow as tf

from keras_seg.data.warp import blur, warp
from keras_seg.errors import InputError
from keras_seg.palette import IGNORE

SCALES = (0.5, 2.0)
COLOR_FACTORS = (0.75, 1.25)  # Of brightness, contrast and saturation
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_TRIES = 10  # Crops that are drawn until one class fills no more than it may


@dataclass(frozen=True)
class Augmentation:
    """What is done to training images at random.

    Attributes:
        flip: whether to mirror left and right, half of the time.
        scales: (least, most) factor of the size.
        color_factors: (least, most) factor of brightness, contrast and saturation.
        rotation: most degrees to turn, either way.
        blur: most pixels of a Gaussian's standard deviation; each image has its own.
        elastic: standard deviation, in pixels, of the displacements of a 3 x 3 grid; U-Net takes 10.
        max_class_share: of the labeled pixels of a crop, the most that one class should have: up to ten
            crops are drawn, and the last is taken if none is fine. 1: any crop is.

    Raises:
        InputError: a value is out of range.
    """

    flip: bool = True
    scales: tuple[float, float] = SCALES
    color_factors: tuple[float, float] = COLOR_FACTORS
    rotation: float = 0.0
    blur: float = 0.0
    elastic: float = 0.0
    max_class_share: float = 1.0

    def __post_init__(self):
        for name, (low, high) in (("scales", self.scales), ("color_factors", self.color_factors)):
            if not 0 < low <= high:
                raise InputError(f"{name} must be two factors, the lower first, received {low} and {high}.")
        for name, most in (("rotation", 180), ("blur", 20), ("elastic", 1000)):
            if not 0 <= getattr(self, name) <= most:
                raise InputError(f"{name} must be between 0 and {most}, received {getattr(self, name)}.")
        if not 0 < self.max_class_share <= 1:
            raise InputError(
                f"max_class_share must be above 0 and at most 1, received {self.max_class_share}."
            )


DEFAULT = Augmentation()


def augment(image, mask, size, key, options=DEFAULT):
    """Changes one image at random, and its mask alike.

    Args:
        image: uint8 RGB [H, W, 3].
        mask: uint8 class ids [H, W].
        size: (height, width) of the result in pixels.
        key: int64 [2]; the same key gives the same result.
        options: Augmentation.

    Returns:
        uint8 [height, width, 3] and uint8 [height, width]. What lies outside of the image has the image's
        mean color and is ignored.
    """
    chance = tf.random.stateless_uniform([9], key)
    flip, scale, window_place, margin_place, factors = tf.split(chance, [1, 1, 2, 2, 3])
    scale = _between(options.scales, scale[0])
    if options.max_class_share < 1:
        window = _window(mask, size, scale)
        window_place = _varied_place(mask, window, key, window_place, options.max_class_share)
    image, mask = _scaled_crop(image, mask, size, scale, window_place, margin_place)
    if options.flip:
        image, mask = tf.cond(flip[0] < 0.5, lambda: (image[:, ::-1], mask[:, ::-1]), lambda: (image, mask))
    if options.rotation or options.elastic:
        image, mask = warp(image, mask, _subkey(key, 1), options.rotation, options.elastic)
    if options.blur:
        image = blur(image, options.blur * tf.random.stateless_uniform([], _subkey(key, 2)))
    low, high = options.color_factors
    image = _jitter(image, *tf.unstack(low + (high - low) * factors))
    return _to_uint8(image), tf.ensure_shape(mask, size)


def resize(image, mask, size):
    """Resizes an image (bilinear) and its mask (nearest neighbor) to `size`, (height, width) in pixels."""
    return _to_uint8(tf.image.resize(image, size, antialias=True)), _resize_mask(mask, size)


def _scaled_crop(image, mask, size, scale, window_place, margin_place):
    """Resizes by `scale`, crops to `size`, pads what is missing. Crops first, to resize only what is seen."""
    window = _window(mask, size, scale)
    size, extent = tf.constant(size), tf.shape(mask)
    top, left = tf.unstack(_part(extent - window, window_place))
    image = image[top : top + window[0], left : left + window[1]]
    mask = mask[top : top + window[0], left : left + window[1]]
    # A window that was cut out fills the size, where rounding could leave a stripe.
    whole = tf.minimum(size, _rounded(tf.cast(extent, tf.float32) * scale))
    target = tf.where(window < extent, size, whole)
    # Down to half the size, bilinear sampling skips no pixel, so this needs no (slow) antialiasing.
    image = tf.image.resize(image, target)
    mean = tf.reduce_mean(image, [0, 1])
    missing = size - target
    before = _part(missing, margin_place)
    margins = tf.stack([before, missing - before], axis=1)
    image = tf.pad(image - mean, tf.concat([margins, [[0, 0]]], 0)) + mean
    return image, tf.pad(_resize_mask(mask, target), margins, constant_values=IGNORE)


def _window(mask, size, scale):
    """Returns how much of the image, in its own pixels, a crop of `size` shows."""
    return tf.minimum(tf.shape(mask), _rounded(tf.cast(tf.constant(size), tf.float32) / scale))


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


def _jitter(image, brightness, contrast, saturation):
    """Scales brightness, contrast about the mean luma and saturation about the pixel's: one affine map."""
    luma = tf.constant(_LUMA)[:, None] * tf.ones([1, 3])
    matrix = brightness * contrast * (saturation * tf.eye(3) + (1 - saturation) * luma)
    mean_luma = tf.tensordot(tf.reduce_mean(image, [0, 1]), tf.constant(_LUMA), 1)
    return tf.tensordot(image, matrix, 1) + brightness * (1 - contrast) * mean_luma


def _rounded(lengths):
    return tf.maximum(1, tf.cast(tf.round(lengths), tf.int32))


def _resize_mask(mask, size):
    return tf.image.resize(mask[..., None], size, method="nearest")[..., 0]


def _to_uint8(image):
    return tf.saturate_cast(tf.round(image), tf.uint8)
