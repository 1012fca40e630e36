"""The formats beside JPEG and PNG, by TensorFlow's kernels alone: BMP, GIF and WebP; and which are lossy.

WebP: RFC 9649, section 2.
"""

import tensorflow as tf

JPEG = b"\xff\xd8"
_RIFF = b"RIFF"
_MAX_CHUNKS = 64  # Of a WebP, before its image


def decode_other(contents):
    """Decodes any image but a JPEG, as it is stored: uint8 RGB [H, W, 3]."""
    return tf.cond(
        begins_with(contents, b"BM"),
        lambda: _decode_bmp(contents),
        lambda: tf.cond(
            begins_with(contents, _RIFF) & _has_alpha(contents),
            # WebP has to be asked for as many channels as it has. Asked for any number, as 0, the decoder
            # writes behind its memory where an animation has no alpha.
            lambda: tf.io.decode_image(contents, channels=4, expand_animations=False)[:, :, :3],
            lambda: tf.io.decode_image(contents, channels=3, expand_animations=False),
        ),
    )


def _decode_bmp(contents):
    image = tf.io.decode_bmp(contents)  # 1, 3 or 4 channels, and it refuses to be asked for 3

    def colored():
        # Eight bits are indices of a palette of blue, green, red, 0, which lies behind the two headers.
        header = tf.cast(tf.io.decode_raw(padded(contents, 18), tf.uint8), tf.int32)
        start = 14 + header[14] + 256 * header[15]
        palette = tf.io.decode_raw(padded(tf.strings.substr(contents, start, 1024), 1024), tf.uint8)
        return tf.gather(tf.reshape(palette, [256, 4])[:, 2::-1], tf.cast(image[:, :, 0], tf.int32))

    return tf.cond(tf.equal(tf.shape(image)[-1], 1), colored, lambda: image[:, :, :3])


def _has_alpha(contents):
    """Whether a WebP, no animation, has alpha: in the flags of VP8X, or the first bytes of VP8L."""
    header = tf.cast(tf.io.decode_raw(padded(contents, 25), tf.uint8), tf.int32)
    is_extended = tf.equal(tf.strings.substr(padded(contents, 16), 12, 4), "VP8X")
    alpha, animation = 0x10, 0x02
    bits = tf.where(is_extended, header[20] & (alpha | animation), header[24] & alpha)
    return tf.equal(bits, alpha)


def is_lossy(contents):
    """Whether an image is a JPEG, or a WebP that is compressed as JPEGs are: bool scalar."""
    return begins_with(contents, JPEG) | tf.cond(
        begins_with(contents, _RIFF), lambda: _is_lossy_webp(contents), lambda: tf.constant(False)
    )


def _is_lossy_webp(contents):
    # Each chunk is a name, a length and so many bytes, of which an odd number is padded. The image's is
    # VP8L, with loss "VP8 "; profiles and the like may come before it.
    length = tf.strings.length(contents)

    def name(at):
        return tf.strings.substr(contents, at, 4)

    def is_other(at):
        return (at + 8 <= length) & tf.reduce_all(tf.not_equal(name(at), ["VP8 ", "VP8L"]))

    def behind(at):
        size = tf.io.decode_raw(tf.strings.substr(contents, at + 4, 4), tf.int32)[0]
        size = tf.clip_by_value(size, 0, length)
        return [tf.minimum(at + 8 + size + size % 2, length)]

    (at,) = tf.while_loop(is_other, behind, [tf.minimum(12, length)], maximum_iterations=_MAX_CHUNKS)
    return tf.equal(name(at), "VP8 ")


def begins_with(contents, magic):
    """Whether a string scalar begins with these bytes."""
    return tf.equal(tf.strings.substr(contents, 0, len(magic)), magic)


def padded(contents, length):
    """Returns exactly `length` bytes, zeros behind the end."""
    return tf.strings.substr(tf.strings.join([contents, tf.constant(bytes(length))]), 0, length)
