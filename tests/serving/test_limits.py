"""What an image or a file may cost before it is refused."""

import struct
import time
import zlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_seg import InputError, build_model
from keras_seg.data.formats.decode import exif_orientation
from keras_seg.data.formats.headers import stored_size
from keras_seg.inference.footprint import padding_of
from keras_seg.serving.export import export_saved_model
from keras_seg.serving.limits import within_limit
from tests.serving.helpers import encoded, gif, picture, signatures_of

IMAGE = picture(8, 8)
PNG, JPEG, GIF = encoded(IMAGE, ".png"), encoded(IMAGE, ".jpg"), gif([IMAGE])
TABLE = 13 + 3 * 2 ** (GIF[10] % 8 + 1) if GIF[10] >= 128 else 13  # Where a GIF's blocks begin
CLASSES = {"classes": ["a", "b"], "colors": [[0, 0, 0], [9, 9, 9]]}
MOST = 2 * 201 * 201


def with_markers(marker, count):
    return JPEG[:2] + marker * count + JPEG[2:]


def with_comment(blocks):
    return GIF[:TABLE] + b"\x21\xfe" + blocks + b"\0" + GIF[TABLE:]


@tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
def limited(contents):
    return within_limit(contents, tf.constant(64, tf.int64))[0]


def passes(contents):
    try:
        limited(contents)
    except tf.errors.InvalidArgumentError:
        return False
    return True


@pytest.mark.parametrize("marker", [b"\xff\xd0", b"\xff\xe0\0\2", b"\xff\xfe\0\2", b"\0"])
def test_a_jpeg_of_a_few_hundred_markers_is_taken_and_one_of_thousands_refused(marker):
    assert passes(with_markers(marker, 300))
    assert not passes(with_markers(marker, 3000))


def test_a_gif_may_have_as_many_blocks_as_its_bytes_need():
    assert passes(with_comment((b"\xff" + bytes(255)) * 4000))
    assert not passes(with_comment(b"\1x" * 4000))


def test_a_file_of_far_more_bytes_than_its_pixels_need_is_refused():
    assert passes(PNG + bytes(1 << 20))
    assert not passes(PNG + bytes((1 << 24) + 1000))


def test_the_texts_of_a_png_are_not_read():
    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    texts = b"".join(chunk(b"tEXt", b"k%d\0v" % number) for number in range(100_000))
    begun = time.process_time()
    assert stored_size(PNG[:33] + texts + PNG[33:]) == (8, 8)
    assert time.process_time() - begun < 0.1  # Pillow took 0.3 s for them.


def test_exif_is_looked_for_in_the_first_segments_alone():
    entry = b"\x12\1\3\0\1\0\0\0\6\0\0\0"
    content = b"Exif\0\0II*\0\x08\0\0\0\1\0" + entry + bytes(4)
    exif = b"\xff\xe1" + struct.pack(">H", 2 + len(content)) + content
    for count, orientation in ((0, 6), (20, 6), (1000, 1)):
        contents = JPEG[:2] + b"\xff\xe0\0\2" * count + exif + JPEG[2:]
        assert int(exif_orientation(tf.constant(contents))) == orientation


@pytest.fixture(scope="module")
def padded():
    """A network that pads by 100 pixels as the original FCNs do."""
    image = keras.Input((None, None, 3))
    x = layers.ZeroPadding2D(100, name="pad1")(image)
    return keras.Model(image, layers.Cropping2D(100)(layers.Conv2D(2, 1)(x)))


def test_a_limit_counts_the_pixels_that_a_network_pads_by(padded):
    signatures = signatures_of(padded, **CLASSES, max_pixels=MOST)
    for name in ("serving_default", "logits"):
        signatures[name](images=tf.zeros([2, 1, 1, 3], tf.uint8))
        with pytest.raises(tf.errors.InvalidArgumentError, match="too many pixels"):
            signatures[name](images=tf.zeros([3, 1, 1, 3], tf.uint8))
    small, large = (tf.constant([encoded(np.zeros((1, side, 3), np.uint8), ".png")]) for side in (100, 300))
    signatures["bytes"](image_bytes=small)
    with pytest.raises(tf.errors.InvalidArgumentError, match="too many pixels"):
        signatures["bytes"](image_bytes=large)


def test_a_warm_up_that_the_server_would_refuse_is_refused(padded, tmp_path):
    with pytest.raises(InputError, match=f"--warm-up 1 300: a request may have {MOST} pixels"):
        export_saved_model(padded, tmp_path / "1", **CLASSES, warm_up=[(1, 300)], max_pixels=MOST)


def test_the_original_networks_pad_by_100_pixels_on_each_side():
    assert padding_of(build_model("fcn_alexnet", 2, fc_filters=8)) == (200, 200)
    assert padding_of(build_model("unet", 2, widths=[4, 8], decoder_widths=[4])) == (0, 0)
