"""Encoded images and masks to tensors with TensorFlow's kernels alone, so a SavedModel can carry them.

Formats are told by content, never by name: JPEG, PNG, BMP, GIF (first frame) and WebP.
PNG: W3C recommendation, third edition. EXIF orientation: CIPA DC-008, section 4.6.5, tag 0x0112.
"""

import zlib

import tensorflow as tf

from keras_seg.data.formats.other_formats import JPEG, begins_with, decode_other, is_lossy, padded

# EXIF orientation to (transpose, flip up-down, flip left-right), in that order.
ORIENTATIONS = (
    (False, False, False),
    (False, False, False),
    (False, False, True),
    (False, True, True),
    (False, True, False),
    (True, False, False),
    (True, False, True),
    (True, True, True),
    (True, True, False),
)
EXIF_SEARCH_BYTES = 1 << 18  # An APP segment has at most 64 KiB; EXIF is the first or second of them.
_EXIF_SEGMENTS = 64  # That are looked at; each costs some 15 microseconds.
_PNG = b"\x89PNG\r\n\x1a\n"
_GREY, _PALETTE = 0, 3  # PNG color types
# CRC-32 is affine: turning one byte of an IHDR chunk from palette to grey changes its checksum by a constant.
_PALETTE_TO_GREY_CRC = zlib.crc32(bytes(17)) ^ zlib.crc32(bytes(13) + bytes([_PALETTE ^ _GREY]) + bytes(3))


def decode_image(contents: tf.Tensor) -> tf.Tensor:
    """Decodes an image, turned as its EXIF orientation says.

    Grey becomes three equal channels, a palette its colors, 16 bits the upper 8, and alpha is dropped.

    Args:
        contents: string scalar, a whole encoded file.

    Returns:
        uint8 RGB [H, W, 3].

    Raises:
        tf.errors.InvalidArgumentError: where the bytes are no complete image.
    """
    image = tf.cond(
        begins_with(contents, JPEG),
        lambda: turn(decode_jpeg_or_png(contents), exif_orientation(contents)),
        lambda: decode_other(contents),
    )
    return tf.ensure_shape(image, [None, None, 3])


def decode_channels(contents, channels):
    """Decodes a PNG or JPEG of so many channels, turned as its EXIF orientation says: uint8 [H, W, channels].

    Raises:
        tf.errors.InvalidArgumentError: where it is another image, or has other channels.
    """
    is_jpeg = begins_with(contents, JPEG)
    check = tf.debugging.Assert(is_jpeg | begins_with(contents, _PNG), ["no PNG or JPEG"])
    with tf.control_dependencies([check]):
        image = tf.io.decode_jpeg(contents, channels=0, dct_method="INTEGER_ACCURATE")
    image = tf.ensure_shape(image, [None, None, channels])
    image = tf.cond(is_jpeg, lambda: turn(image, exif_orientation(contents)), lambda: image)
    return tf.ensure_shape(image, [None, None, channels])


def decode_stored(contents):
    """Decodes an image as `decode_image` does, but leaves it as it is stored, whatever EXIF says."""
    image = tf.cond(
        begins_with(contents, JPEG), lambda: decode_jpeg_or_png(contents), lambda: decode_other(contents)
    )
    return tf.ensure_shape(image, [None, None, 3])


def decode_jpeg_or_png(contents):
    """Decodes a JPEG or PNG as it is stored: uint8 RGB [H, W, 3]."""
    # The accurate transform gives OpenCV's and Pillow's values, bit for bit; the default is up to 8 off.
    return tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")


def decode_png8(contents, is_palette):
    """Decodes a PNG of 8 bits in grey, or indices of a palette, to its samples: uint8 [H, W]."""
    if is_palette:
        crc = tf.cast(tf.io.decode_raw(tf.strings.substr(contents, 29, 4), tf.uint8), tf.int32)
        contents = _palette_as_grey(contents, crc)
    return tf.io.decode_png(contents, channels=1)[:, :, 0]


def decode_mask(contents: tf.Tensor) -> tf.Tensor:
    """Decodes a mask to the values that were stored in it.

    The samples of a grey PNG of any depth (1 to 16 bits), the indices of a palette PNG (not its colors), or
    the common value of three equal channels. A pixel whose channels differ has no value: it becomes
    `-1 - (65536 R + 256 G + B)`, which is no class id, so that a color image is never taken for ids.

    Args:
        contents: string scalar, a whole encoded file. JPEG and lossy WebP are refused, since compression
            changes the values.

    Returns:
        int32 [H, W].

    Raises:
        tf.errors.InvalidArgumentError: where the bytes are no complete image, or a lossy one.
    """
    contents = _lossless(contents)
    mask = tf.cond(
        begins_with(contents, _PNG),
        lambda: _decode_png_mask(contents),
        lambda: _common_value(decode_other(contents)),
    )
    return tf.ensure_shape(mask, [None, None])


def decode_mask_colors(contents):
    """Decodes a mask to its colors, a palette's as well: int32 [H, W] of 65536 R + 256 G + B.

    Args:
        contents: string scalar, a whole encoded file. JPEG and lossy WebP are refused.

    Raises:
        tf.errors.InvalidArgumentError: where the bytes are no complete image, or a lossy one.
    """
    return color_codes(tf.ensure_shape(decode_other(_lossless(contents)), [None, None, 3]))


def color_codes(image):
    """Returns int32 [H, W] of 65536 R + 256 G + B for uint8 RGB [H, W, 3]."""
    return tf.tensordot(tf.cast(image, tf.int32), [65536, 256, 1], 1)


def _lossless(contents):
    check = tf.debugging.Assert(
        tf.logical_not(is_lossy(contents)), ["a mask in JPEG or lossy WebP has lost its values; use PNG"]
    )
    with tf.control_dependencies([check]):
        return tf.identity(contents)


def _decode_png_mask(contents):
    header = tf.cast(tf.io.decode_raw(padded(contents, 33), tf.uint8), tf.int32)
    depth, color_type = header[24], header[25]
    contents = tf.cond(
        tf.equal(color_type, _PALETTE), lambda: _palette_as_grey(contents, header[29:33]), lambda: contents
    )

    def grey8():
        mask = tf.io.decode_png(contents, channels=1)[:, :, 0]
        # The decoder stretches 1, 2 and 4 bits to the full range 0..255.
        step = tf.gather([1, 255, 85, 1, 17], tf.where(depth < 8, depth, 0))
        mask = tf.cond(step > 1, lambda: mask // tf.cast(step, tf.uint8), lambda: mask)
        return tf.cast(mask, tf.int32)

    def grey16():
        return tf.cast(tf.io.decode_png(contents, channels=1, dtype=tf.uint16)[:, :, 0], tf.int32)

    def color8():
        return _common_value(tf.io.decode_png(contents, channels=3))

    def color16():
        return _common_value(tf.io.decode_png(contents, channels=3, dtype=tf.uint16), depth=16)

    has_color = tf.equal(tf.bitwise.bitwise_and(color_type, 2), 2) & tf.not_equal(color_type, _PALETTE)
    is_deep = tf.equal(depth, 16)
    return tf.case([(has_color & is_deep, color16), (has_color, color8), (is_deep, grey16)], default=grey8)


def _palette_as_grey(contents, crc):
    """Rewrites a palette PNG's header so that it decodes to its indices, as a grey image."""
    change = [(_PALETTE_TO_GREY_CRC >> shift) & 255 for shift in (24, 16, 8, 0)]
    crc = tf.strings.join(tf.unstack(_byte_strings(tf.bitwise.bitwise_xor(crc, change))))
    grey = bytes([_GREY])
    parts = (tf.strings.substr(contents, 0, 25), grey, tf.strings.substr(contents, 26, 3), crc)
    return tf.strings.join([*parts, tf.strings.substr(contents, 33, tf.strings.length(contents) - 33)])


def _byte_strings(values):
    return tf.gather(tf.constant([bytes([value]) for value in range(256)]), values)


def _common_value(image, depth=8):
    image = tf.cast(image, tf.int32)
    red, green, blue = tf.unstack(tf.bitwise.right_shift(image, depth - 8), num=3, axis=-1)
    is_grey = tf.reduce_all(tf.equal(image, image[:, :, :1]), axis=-1)
    return tf.where(is_grey, image[:, :, 0], -1 - (65536 * red + 256 * green + blue))


def turn(image, orientation):
    """Turns a stored image as its EXIF orientation, 1 to 8, says."""

    def turned():
        transpose, up_down, left_right = tf.unstack(tf.gather(ORIENTATIONS, orientation))
        out = tf.cond(transpose, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
        out = tf.cond(up_down, lambda: tf.reverse(out, [0]), lambda: out)
        return tf.cond(left_right, lambda: tf.reverse(out, [1]), lambda: out)

    return tf.cond(tf.greater(orientation, 1), turned, lambda: image)


def exif_orientation(contents):
    """Returns the orientation tag of a JPEG, int32 1..8; 1 where there is none or it makes no sense."""
    data = tf.io.decode_raw(tf.strings.substr(contents, 0, EXIF_SEARCH_BYTES), tf.uint8)
    size = tf.size(data)

    def byte(at):
        # A damaged tag may point anywhere.
        return tf.cast(tf.gather(data, tf.clip_by_value(at, 0, size - 1)), tf.int32)

    def is_other_segment(at):
        return tf.equal(byte(at), 0xFF) & tf.equal(byte(at + 1) // 16, 0xE) & ~is_exif(at) & (at + 10 < size)

    def is_exif(at):
        return tf.reduce_all(tf.equal(byte(at + tf.constant([1, 4, 5, 6, 7])), [0xE1, *b"Exif"]))

    (at,) = tf.while_loop(
        is_other_segment,
        lambda at: [at + 2 + 256 * byte(at + 2) + byte(at + 3)],
        [2],
        maximum_iterations=_EXIF_SEGMENTS,
    )

    def orientation():
        start = at + 10
        little = tf.equal(byte(start), ord("I"))

        def number(position, length):
            places = 8 * tf.range(length)
            places = tf.where(little, places, places[::-1])
            digits = byte(position[..., None] + tf.range(length))
            return tf.reduce_sum(tf.bitwise.left_shift(digits, places), axis=-1)

        directory = start + tf.clip_by_value(number(start + 4, 4), 0, size)
        entries = directory + 2 + 12 * tf.range(tf.minimum(number(directory, 2), size // 12))
        values = tf.boolean_mask(number(entries + 8, 2), tf.equal(number(entries, 2), 0x0112))
        return tf.concat([values, [1]], 0)[0]

    value = tf.cond(is_exif(at) & (at + 18 < size), orientation, lambda: 1)
    return tf.where((value >= 1) & (value <= 8), value, 1)
