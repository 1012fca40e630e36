"""The client knows an image's size as the decoder does, also of damaged files."""

import numpy as np
import pytest
import tensorflow as tf

from keras_seg.data import read_image
from keras_seg.data.formats.decode import exif_orientation as decoders_orientation
from keras_seg.serving.image_sizes import exif_orientation, image_size
from tests.attack.pictures import images
from tests.data.helpers import app_segment, encode, picture, with_exif_orientation
from tests.serving.helpers import claims, gif

IMAGE = picture(8, 24)
JPEG, PNG, BMP = (encode(IMAGE, suffix) for suffix in (".jpg", ".png", ".bmp"))


@pytest.mark.parametrize(
    "title", [title for title in images() if "TIFF" not in title and title != "animated WebP"]
)
def test_the_client_knows_the_size_of_every_format(title, tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(images()[title])
    assert image_size(images()[title]) == read_image(path).shape[:2]


@pytest.mark.parametrize(
    "contents",
    [
        PNG[:33] + b"\0\0\0\4tEXtab\0c\0\0\0\0" + PNG[33:],
        claims(encode(IMAGE[..., 0], ".bmp"), 46, "<I", 77),
        claims(BMP, 22, "<i", -8),
        JPEG[:2] + app_segment(0xE0, b"JFIF\0") + app_segment(0xE2, b"MPF\0II*\0\xff\xff\xff\xff") + JPEG[2:],
    ],
    ids=["a checksum", "a palette", "rows that go down", "segments cut short"],
)
def test_a_damaged_file_that_is_decoded_has_its_size_for_the_client_too(contents, tmp_path):
    (tmp_path / "image.png").write_bytes(contents)
    assert image_size(contents) == read_image(tmp_path / "image.png").shape[:2] == (8, 24)


def test_a_damaged_orientation_means_to_the_client_what_it_means_to_the_decoder():
    whole, random = with_exif_orientation(JPEG, 6), np.random.default_rng(0)
    decode = tf.function(
        decoders_orientation, input_signature=[tf.TensorSpec([], tf.string)], autograph=False
    )
    for _ in range(300):
        damaged = bytearray(whole)
        for at in random.integers(2, 60, 2):
            damaged[at] = random.choice([0, 1, 2, 6, 0x12, 0x49, 0x4D, 0x7F, 0xFF])
        assert exif_orientation(bytes(damaged)) == int(decode(bytes(damaged)))


@pytest.mark.parametrize("length", [0, 1, 2, 5, 9, 12, 15])
def test_a_file_that_ends_before_its_size_has_none(length):
    for contents in (JPEG, PNG, BMP, gif([IMAGE]), images()["WebP"]):
        assert image_size(contents[:length]) is None
