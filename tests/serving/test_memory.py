"""An export's bound on memory: what it does to requests, what it says, and what it refuses."""

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_seg import InputError, Predictor, build_model
from keras_seg.cli import main
from keras_seg.data.samples import RGB
from keras_seg.inference.footprint import Footprint, footprint
from keras_seg.palette import overlay
from keras_seg.serving.budget import MAX_PIXELS, MAX_TILED_PIXELS, find_limits
from keras_seg.serving.export import read_limits
from tests.backend_answers import randomize
from tests.serving.helpers import encoded, exported, grey, signatures_of, strings

NAMES, COLORS = ("a", "b", "c", "d"), ((0, 0, 0), (10, 20, 30), (255, 0, 0), (0, 200, 0))
IMAGE = np.random.default_rng(1).integers(0, 256, (420, 530, 3), np.uint8)
FOUND = Footprint(2 * 10**9, 3000.0)


@pytest.fixture(scope="module")
def network():
    """A narrow U-Net of one pool: a pixel sees 9 around it."""
    keras.utils.set_random_seed(0)
    model = build_model("unet_paper", 4, widths=[4, 6], decoder_widths=[4])
    randomize(model)
    return model


@pytest.fixture(scope="module")
def signatures(network):
    """Of an export whose memory holds 300 x 300 pixels of the network at once."""
    return signatures_of(
        network, NAMES, COLORS, memory=_memory(network), max_pixels=300_000, max_tiled_pixels=300_000
    )


@pytest.fixture(scope="module")
def expected(network):
    return Predictor(network).predict(IMAGE)


def _memory(network):
    found = footprint(network, lambda images: network(images, training=False), RGB)
    return int(found.fixed + 300 * 300 * found.per_pixel + 300_000 * 16)


def test_large_images_get_the_mask_of_the_whole(signatures, expected):
    file = strings(encoded(IMAGE))
    assert len(np.unique(expected.mask)) > 1
    confidence = np.rint(expected.confidence * 255)
    found = {
        name: signatures[name](image_bytes=tf.constant(file)) for name in ("bytes", "confidence", "overlay")
    }
    for name in ("bytes", "confidence"):
        np.testing.assert_array_equal(grey(found[name]["mask_bytes"].numpy()[0]), expected.mask)
    assert np.abs(grey(found["confidence"]["confidence_bytes"].numpy()[0]) - confidence).max() <= 1
    painted = cv2.cvtColor(overlay(IMAGE, expected.mask, COLORS), cv2.COLOR_RGB2BGR)
    ours = cv2.imdecode(cv2.imencode(".jpg", painted, [cv2.IMWRITE_JPEG_QUALITY, 92])[1], cv2.IMREAD_COLOR)
    theirs = cv2.imdecode(
        np.frombuffer(found["overlay"]["overlay_bytes"].numpy()[0], np.uint8), cv2.IMREAD_COLOR
    )
    np.testing.assert_array_equal(theirs, ours)
    arrays = signatures["serving_default"](images=tf.constant(IMAGE[None]))
    np.testing.assert_array_equal(arrays["mask"][0].numpy(), expected.mask)
    assert np.abs(arrays["confidence"][0].numpy() - confidence).max() <= 1


@pytest.mark.parametrize("name", ["bytes", "confidence", "overlay", "tiled"])
def test_the_pictures_of_a_request_have_a_limit_together(signatures, name):
    def ask(*images):
        flips = {"flips": tf.constant([False] * len(images))} if name == "tiled" else {}
        found = signatures[name](image_bytes=tf.constant(strings(*map(encoded, images))), **flips)
        return len(next(iter(found.values())))

    assert ask(IMAGE, IMAGE[:100, :100]) == 2
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="the images of the request have too many pixels"
    ):
        ask(IMAGE, IMAGE[:100, :100], IMAGE[:400, :200])


def test_a_network_of_one_size_sees_that_size_alone():
    keras.utils.set_random_seed(0)
    model = build_model("unet_paper", 4, (40, 56, 3), widths=[4, 6], decoder_widths=[4])
    signatures = signatures_of(model, NAMES, COLORS)
    image, large = IMAGE[:40, :56], tf.constant(strings(encoded(IMAGE[:90, :130])))
    found = signatures["bytes"](image_bytes=tf.constant(strings(encoded(image))))["mask_bytes"].numpy()[0]
    np.testing.assert_array_equal(grey(found), Predictor(model).predict(image).mask)
    tiled = signatures["tiled"](image_bytes=large, flips=tf.constant([True]))["mask_bytes"].numpy()[0]
    assert grey(tiled).shape == (90, 130)
    assert signatures["serving_default"](images=tf.constant(np.stack([image] * 3)))["mask"].shape == (
        3,
        40,
        56,
    )
    with pytest.raises(tf.errors.InvalidArgumentError):
        signatures["bytes"](image_bytes=large)


def test_logits_are_given_of_what_goes_through_at_once(signatures):
    signatures["logits"](images=tf.zeros([1, 290, 300, 3], tf.uint8))
    with pytest.raises(tf.errors.InvalidArgumentError, match="too many pixels"):
        signatures["logits"](images=tf.zeros([1, 310, 300, 3], tf.uint8))


def test_the_default_limits_stay_where_the_memory_holds_them():
    limits = find_limits(FOUND, 21)
    assert (limits.max_pixels, limits.max_tiled_pixels, limits.tile) == (
        MAX_PIXELS,
        MAX_TILED_PIXELS,
        (512, 512),
    )
    assert limits.memory == 8 * 10**9
    # By hand: 8 GB without the program and the weights, and 16 bytes a pixel of the largest image.
    assert limits.tiling.pixels == (8 * 10**9 - 2 * 10**9 - 16 * 2**25) // 3000


def test_they_are_lower_where_it_does_not():
    limits = find_limits(FOUND, 21, memory=2_500_000_000)
    left = 2_500_000_000 - FOUND.least
    assert limits.max_pixels == limits.max_tiled_pixels == left // 2 // 16
    assert limits.tile[0] <= 512 and limits.tiling.side >= 256


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"memory": 10**9},
            "--memory 1: the program, the weights and 256 x 256 pixels at once take 2.20 GB; 2.6 are "
            "enough for images of 12 megapixels",
        ),
        (
            {"memory": 4 * 10**9, "max_pixels": 1 << 30},
            "an image of 1073.7 megapixels 17.18; allow 19.4, or fewer pixels",
        ),
        ({"memory": 4 * 10**9, "max_tiled_pixels": 1 << 30}, "an image of 1073.7 megapixels 17.18"),
        ({"tile": 2000}, "--tile 2000: tiles of"),
    ],
)
def test_memory_that_does_not_hold_what_is_asked_is_refused(options, text):
    with pytest.raises(InputError, match=text):
        find_limits(FOUND, 21, **options)


def test_an_export_says_what_it_takes():
    content = read_limits(exported().folder)
    assert content["memory_bytes"] == 8 * 10**9 and content["max_pixels"] == 1 << 20
    # A map of 8 channels, and what 5 x 5 of the preprocessed channels are, at the least.
    assert content["network_bytes_per_pixel"] > 4 * (8 + 5 * 5 * 3)
    at_once = (8 * 10**9 - content["fixed_bytes"] - 16 * content["max_pixels"]) / content[
        "network_bytes_per_pixel"
    ]
    assert content["pixels_at_once"] == pytest.approx(at_once, rel=1e-3)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
def test_an_amount_of_memory_is_above_zero(value, capsys, tmp_path):
    assert main(["export", "--run", str(tmp_path), "--memory", value]) == 2
    assert "--memory must be above 0" in capsys.readouterr().err
