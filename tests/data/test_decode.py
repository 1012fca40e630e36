import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_seg.data.formats.decode import decode_image, decode_mask
from tests.data.helpers import (
    GREY,
    GREY_ALPHA,
    PALETTE,
    RGB,
    RGBA,
    app_segment,
    color_profile,
    encode,
    picture,
    png,
    with_exif_orientation,
)

BYTES = [tf.TensorSpec([], tf.string)]
IDS = np.random.default_rng(1).integers(0, 256, (7, 9))
COLORS = np.random.default_rng(2).integers(0, 256, (256, 3))


@pytest.fixture(scope="module")
def image_of():
    return tf.function(decode_image, input_signature=BYTES, autograph=False)


@pytest.fixture(scope="module")
def mask_of():
    return tf.function(decode_mask, input_signature=BYTES, autograph=False)


def test_a_color_profile_changes_no_number(image_of, mask_of):
    image, profile = picture(), color_profile()
    plain = png(image, RGB)
    tagged = png(image, RGB, extra=[(b"iCCP", b"screen\0\0" + zlib.compress(profile))])
    assert len(tagged) > len(plain)
    np.testing.assert_array_equal(image_of(tagged), image)
    np.testing.assert_array_equal(
        mask_of(png(IDS, extra=[(b"iCCP", b"screen\0\0" + zlib.compress(profile))])), IDS
    )
    jpeg = encode(image, ".jpg")
    segment = app_segment(0xE2, b"ICC_PROFILE\0\1\1" + profile)
    np.testing.assert_array_equal(image_of(jpeg[:2] + segment + jpeg[2:]), image_of(jpeg))


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("transparency", [(), ((b"tRNS", b"\0\1"),), ((b"tRNS", b"\0\1\2"),)])
def test_a_palette_mask_gives_its_indices(mask_of, depth, transparency):
    ids = IDS % 2**depth
    contents = png(ids, PALETTE, depth, COLORS[: 2**depth])
    if transparency:  # It has to stand behind the palette.
        contents = contents.replace(*_insert_before_idat(contents, *transparency))
    np.testing.assert_array_equal(mask_of(contents), ids)


def _insert_before_idat(contents, chunk):
    whole = png(np.zeros((1, 1)), extra=[chunk])
    start = whole.index(chunk[0]) - 4
    start_idat = contents.index(b"IDAT") - 4
    head = contents[start_idat : start_idat + 8]
    return head, whole[start : start + 12 + len(chunk[1])] + head


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_grey_mask_gives_its_samples_at_every_depth(mask_of, depth):
    ids = IDS * 257 if depth == 16 else IDS % 2**depth
    if depth == 16:
        ids[0, 0] = 300
    np.testing.assert_array_equal(mask_of(png(ids, GREY, depth)), ids)


@pytest.mark.parametrize("color_type", [RGB, GREY_ALPHA, RGBA])
def test_a_mask_with_equal_channels_gives_their_value(mask_of, color_type):
    alpha = np.full_like(IDS, 17)
    layers = {RGB: [IDS] * 3, GREY_ALPHA: [IDS, alpha], RGBA: [IDS] * 3 + [alpha]}[color_type]
    np.testing.assert_array_equal(mask_of(png(np.stack(layers, -1), color_type)), IDS)


def test_sixteen_bit_channels_are_compared_in_full(mask_of):
    samples = np.array([[[300, 300, 300], [300, 300, 301], [0x1234, 0, 0xFF00]]])
    np.testing.assert_array_equal(mask_of(png(samples, RGB, 16)), [[300, -1 - 0x010101, -1 - 0x1200FF]])


@pytest.mark.parametrize("suffix", [".bmp", ".png"])
def test_a_colored_mask_gives_no_ids(mask_of, suffix):
    image = np.array([[[1, 2, 3], [5, 5, 5]], [[128, 0, 0], [0, 0, 0]]])
    np.testing.assert_array_equal(mask_of(encode(image, suffix)), [[-1 - 0x010203, 5], [-1 - 0x800000, 0]])


def test_a_jpeg_mask_is_refused(mask_of):
    with pytest.raises(tf.errors.InvalidArgumentError, match="JPEG"):
        mask_of(encode(picture(), ".jpg"))


@pytest.mark.parametrize(
    "before", [b"", app_segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"), app_segment(0xE1, b"http:x\0")]
)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_exif_orientation_is_applied_as_opencv_does(image_of, value, order, before):
    contents = with_exif_orientation(encode(picture(8, 24), ".jpg"), value, order, before)
    expected = cv2.imdecode(np.frombuffer(contents, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    image = image_of(contents).numpy()
    assert image.shape == ((8, 24, 3) if value < 5 else (24, 8, 3))
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("value", [0, 9, 40000])
def test_an_orientation_that_does_not_exist_changes_nothing(image_of, value):
    jpeg = encode(picture(8, 24), ".jpg")
    np.testing.assert_array_equal(image_of(with_exif_orientation(jpeg, value)), image_of(jpeg))


def test_damaged_exif_changes_nothing(image_of):
    jpeg = encode(picture(8, 24), ".jpg")
    whole = with_exif_orientation(b"\xff\xd8", 6)[2:]
    content = whole[4:]
    for length in range(len(content)):
        damaged = jpeg[:2] + app_segment(0xE1, content[:length]) + jpeg[2:]
        assert image_of(damaged).shape in [(8, 24, 3), (24, 8, 3)]
    for offset in (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\xff\xff"):
        damaged = jpeg[:2] + app_segment(0xE1, content[:10] + offset + content[14:]) + jpeg[2:]
        np.testing.assert_array_equal(image_of(damaged), image_of(jpeg))


@pytest.mark.parametrize("color_type", [GREY, GREY_ALPHA, RGB, RGBA, PALETTE])
def test_every_kind_of_png_becomes_rgb(image_of, color_type):
    rng = np.random.default_rng(3)
    channels = {GREY: 1, GREY_ALPHA: 2, RGB: 3, RGBA: 4, PALETTE: 1}[color_type]
    samples = rng.integers(0, 256, (5, 6, channels))
    expected = {
        GREY: samples[..., [0, 0, 0]],
        GREY_ALPHA: samples[..., [0, 0, 0]],
        PALETTE: COLORS[samples[..., 0]],
    }.get(color_type, samples[..., :3])
    np.testing.assert_array_equal(image_of(png(samples, color_type, palette=COLORS)), expected)


def test_sixteen_bits_keep_the_upper_eight(image_of):
    samples = np.random.default_rng(4).integers(0, 65536, (5, 6, 3))
    np.testing.assert_array_equal(image_of(png(samples, RGB, 16)), samples >> 8)


@pytest.mark.parametrize("suffix", [".bmp", ".gif", ".webp"])
def test_other_formats_are_told_by_content(image_of, suffix):
    image = np.full((6, 8, 3), (255, 0, 0), np.uint8)
    assert np.abs(image_of(encode(image, suffix)).numpy().astype(int) - image).max() <= 4


def test_a_palette_bmp_gives_its_colors(image_of):
    ids = IDS[:, :8]  # Rows of a multiple of four bytes need no padding.
    table = np.concatenate([COLORS[:, ::-1], np.zeros((256, 1))], axis=1).astype(np.uint8).tobytes()
    sizes = np.array([14 + 40 + 1024 + ids.size, 0, 14 + 40 + 1024, 40, 8, 7], "<i4").tobytes()
    rest = np.array([0, ids.size, 0, 0, 256, 0], "<i4").tobytes()
    contents = (
        b"BM"
        + sizes
        + np.array([1, 8], "<i2").tobytes()
        + rest
        + table
        + ids[::-1].astype(np.uint8).tobytes()
    )
    np.testing.assert_array_equal(image_of(contents), COLORS[ids])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_truncated_picture_is_an_error(image_of, suffix, kept):
    contents = encode(picture(64, 64), suffix)
    with pytest.raises(tf.errors.InvalidArgumentError):
        image_of(contents[: int(len(contents) * kept)])
