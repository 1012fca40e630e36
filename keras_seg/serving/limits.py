"""An encoded image's size from its header, in TensorFlow's operations: a limit that holds before decoding.

`tf.io.decode_image` allocates what a header asks for, up to half a gigabyte, and for a GIF all of its frames.
PNG: W3C recommendation, third edition. JPEG: ITU-T T.81, annex B. GIF: GIF89a. WebP: RFC 9649.
"""

import tensorflow as tf

_HEADER = 32  # Bytes that hold the size of every format but JPEG.
# Of the markers 0xC0..0xCF, those that begin no frame.
_NO_FRAME = (0xC4, 0xC8, 0xCC)
# A step costs 20 microseconds. A JPEG has some hundred segments at most; a GIF's blocks have up to 255 bytes.
_MAX_SEGMENTS = 1 << 10
_MAX_BLOCKS, _BYTES_A_BLOCK = 1 << 16, 128
# What a file may hold beside its pixels, which take 8 bytes at most: profiles, thumbnails, a short film.
_MAX_BYTES_A_PIXEL, _MAX_OTHER_BYTES = 8, 1 << 24


@tf.function(input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64)], autograph=False)
def within_limit(contents, max_pixels):
    """Passes an encoded image on if it is small enough to be decoded.

    Args:
        contents: string scalar, a whole encoded file.
        max_pixels: int64, height times width at most.

    Returns:
        `(contents, pixels)`: the contents, of an animated GIF the first frame alone, and height times width.

    Raises:
        tf.errors.InvalidArgumentError: there are too many pixels, or bytes for them, or no size can be read.
    """
    contents, pixels = _measured(contents)
    size = tf.cast(tf.strings.length(contents), tf.int64)
    checks = (
        tf.debugging.Assert(pixels > 0, ["no complete JPEG, PNG, GIF, BMP or WebP image"]),
        tf.debugging.Assert(
            pixels <= max_pixels, ["the image has too many pixels:", pixels, "of", max_pixels]
        ),
        _few_bytes("the image has", size, pixels),
    )
    with tf.control_dependencies(checks):
        return tf.identity(contents), tf.identity(pixels)


def within_limit_together(images, max_pixels, padding):
    """Passes the encoded images of a request on if they are so few and small as a single one has to be.

    Args:
        images: strings [N], whole encoded files.
        max_pixels: Of all of them, with as many as the padding alone has for each.
        padding: (rows, columns) that the network puts around an image.

    Returns:
        The images.

    Raises:
        tf.errors.InvalidArgumentError: as of `within_limit`.
    """

    def measure(contents):
        return within_limit(contents, max_pixels)[1]

    pixels = tf.map_fn(measure, images, fn_output_signature=tf.int64, parallel_iterations=1)
    count = tf.size(images, out_type=tf.int64)
    total = tf.reduce_sum(pixels)
    computed = total + (count - 1) * padding[0] * padding[1]
    size = tf.reduce_sum(tf.cast(tf.strings.length(images), tf.int64))
    checks = (
        tf.debugging.Assert(
            computed <= max_pixels,
            ["the images of the request have too many pixels:", computed, "of", max_pixels],
        ),
        _few_bytes("the images of the request have", size, total),
    )
    with tf.control_dependencies(checks):
        return tf.identity(images)


def _few_bytes(what, size, pixels):
    return tf.debugging.Assert(
        size <= _MAX_OTHER_BYTES + _MAX_BYTES_A_PIXEL * pixels,
        [f"{what} too many bytes:", size, "for pixels:", pixels],
    )


def _measured(contents):
    """Returns `(contents, pixels)`: int64, 0 where no size can be read."""
    padded = tf.strings.substr(tf.strings.join([contents, tf.constant(bytes(_HEADER))]), 0, _HEADER)
    header = tf.cast(tf.io.decode_raw(padded, tf.uint8), tf.int64)

    def starts(magic, at=0):
        return tf.reduce_all(tf.equal(header[at : at + len(magic)], list(magic)))

    def number(at, length, big=False):
        digits = header[at : at + length]
        return tf.reduce_sum(digits * [256 ** (length - 1 - i if big else i) for i in range(length)])

    def png():
        return tf.where(starts(b"IHDR", 12), number(16, 4, big=True) * number(20, 4, big=True), 0)

    def bmp():
        height = number(22, 4)  # Negative where the rows go down.
        return number(18, 4) * tf.minimum(height, (1 << 32) - height)

    def webp():
        lossy = (number(26, 2) % (1 << 14)) * (number(28, 2) % (1 << 14))
        packed = number(21, 4)
        lossless = (packed % (1 << 14) + 1) * (packed // (1 << 14) % (1 << 14) + 1)
        extended = (number(24, 3) + 1) * (number(27, 3) + 1)
        cases = [(starts(name, 12), value) for name, value in ((b"VP8L", lossless), (b"VP8X", extended))]
        return tf.where(cases[0][0], cases[0][1], tf.where(cases[1][0], cases[1][1], lossy))

    webp_magic = starts(b"RIFF") & starts(b"WEBP", 8)
    return tf.case(
        [
            (starts(b"\xff\xd8"), lambda: (contents, _jpeg_pixels(contents))),
            (starts(b"\x89PNG\r\n\x1a\n"), lambda: (contents, png())),
            (starts(b"GIF8"), lambda: _first_frame(contents, header)),
            (starts(b"BM"), lambda: (contents, bmp())),
            (webp_magic, lambda: (contents, webp())),
        ],
        default=lambda: (contents, tf.constant(0, tf.int64)),
    )


def _reader(contents):
    """Returns `(read, size)`: `read(at, count)` gives int64 bytes, the last one again behind the end."""
    data = tf.io.decode_raw(contents, tf.uint8)
    size = tf.size(data, out_type=tf.int64)

    def read(at, count):
        places = tf.minimum(at + tf.range(count, dtype=tf.int64), size - 1)
        return tf.unstack(tf.cast(tf.gather(data, places), tf.int64), num=count)

    return read, size


def _jpeg_pixels(contents):
    """Follows the segments to the first frame header, as libjpeg does: what is no marker is skipped."""
    read, size = _reader(contents)

    def is_frame(first, code):
        return (
            tf.equal(first, 0xFF) & tf.equal(code // 16, 0xC) & tf.reduce_all(tf.not_equal(code, _NO_FRAME))
        )

    def goes_on(at):
        first, code = read(at, 2)
        # A scan or the end before a frame header: a decoder would refuse it too.
        is_last = tf.equal(first, 0xFF) & (tf.equal(code, 0xD9) | tf.equal(code, 0xDA))
        return (at + 9 <= size) & ~is_frame(first, code) & ~is_last

    def follow(at):
        first, code, high, low = read(at, 4)
        is_marker = tf.equal(first, 0xFF) & tf.not_equal(code, 0) & tf.not_equal(code, 0xFF)
        is_bare = tf.equal(code, 0x01) | ((code >= 0xD0) & (code <= 0xD8))
        step = tf.where(is_bare, tf.constant(2, tf.int64), 2 + tf.maximum(256 * high + low, 2))
        return [at + tf.where(is_marker, step, 1)]

    start = tf.constant(2, tf.int64)
    (at,) = tf.while_loop(goes_on, follow, [start], maximum_iterations=_MAX_SEGMENTS)
    first, code, _, _, _, top, bottom, left, right = read(at, 9)
    pixels = (256 * top + bottom) * (256 * left + right)
    return tf.where(is_frame(first, code) & (at + 9 <= size), pixels, 0)


_BLOCK, _SKIPPED, _PICTURE, _DONE, _BROKEN = range(5)  # Where in a GIF the walk is.


def _first_frame(contents, header):
    """Returns a GIF cut behind its first frame, and that frame's pixels."""
    read, size = _reader(contents)

    def table_bytes(flags):
        return tf.where(flags >= 128, 3 * 2 ** (flags % 8 + 1), 0)

    def follow(at, state, pixels):
        kind, _, _, _, _, *shape, flags = read(at, 10)
        is_picture, is_extension = tf.equal(kind, 0x2C), tf.equal(kind, 0x21)
        in_block = tf.equal(state, _BLOCK)
        # Inside of data, `kind` is the number of bytes that follow; none ends it.
        ends = ~in_block & tf.equal(kind, 0)
        begun = tf.where(is_picture, _PICTURE, tf.where(is_extension, _SKIPPED, _BROKEN))
        ended = tf.where(tf.equal(state, _PICTURE), _DONE, _BLOCK)
        after_block = at + tf.where(is_picture, 11 + table_bytes(flags), 2)
        area = (shape[0] + 256 * shape[1]) * (shape[2] + 256 * shape[3])
        return (
            tf.where(in_block, after_block, at + kind + 1),
            tf.where(in_block, begun, tf.where(ends, ended, state)),
            tf.where(in_block & is_picture, area, pixels),
        )

    most = tf.minimum(_MAX_SEGMENTS + size // _BYTES_A_BLOCK, _MAX_BLOCKS)
    at, state, pixels = tf.while_loop(
        lambda at, state, pixels: (at < size) & (state < _DONE),
        follow,
        (13 + table_bytes(header[10]), tf.constant(_BLOCK), tf.constant(0, tf.int64)),
        maximum_iterations=tf.cast(most, tf.int32),
    )
    # Data that runs out is one damaged frame; a walk that was given up may hide any number of them.
    is_known = tf.equal(state, _DONE) | (tf.equal(state, _PICTURE) & (at >= size))
    first = tf.strings.join([tf.strings.substr(contents, 0, tf.cast(at, tf.int32)), ";"])
    return tf.where(tf.equal(state, _DONE), first, contents), tf.where(is_known, pixels, 0)
