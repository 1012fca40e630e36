"""Images larger than the memory: how they are divided, and that tiles change nothing that they need not."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_seg import InputError, Predictor, build_model
from keras_seg.data.samples import RGB
from keras_seg.inference.footprint import Footprint, footprint
from keras_seg.inference.tiles import ALIGNMENT, Tiling, bounded, split, within
from tests.backend_answers import randomize

TILING = Tiling(300 * 300)
KIND = tf.TensorSpec([None, None, 4], tf.float32)


@pytest.fixture(scope="module")
def network():
    """A narrow U-Net of two levels: a pixel sees 20 around it."""
    keras.utils.set_random_seed(0)
    model = build_model("unet_paper", 4, widths=[4, 6, 8], decoder_widths=[6, 4])
    randomize(model)
    return model


def noise(*shape):
    return np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)


def logits_of(network):
    return lambda images: network(tf.cast(images, tf.float32), training=False)


@pytest.mark.parametrize("size", [(355, 401), (40, 2300), (330, 271)])
def test_tiles_give_the_logits_of_the_whole_where_a_pixel_sees_no_farther(network, size):
    image, run = noise(*size), logits_of(network)
    whole = run(image[None])[0].numpy()
    found = within(run, image, TILING, KIND).numpy()
    assert np.abs(found - whole).max() < 1e-5 * np.abs(whole).max()


def test_tiles_hold_no_more_pixels_than_they_may(network):
    sizes = []

    def run(images):
        sizes.append(images.shape)
        return tf.zeros([*images.shape[:3], 4])

    padded = Tiling(500 * 500, (200, 200))
    for size in ((900, 1100), (3, 60_000), (60_000, 1), (300, 301)):
        assert within(run, tf.zeros([*size, 3]), padded, KIND).shape == (*size, 4)
    assert max((height + 200) * (width + 200) for _, height, width, _ in sizes) <= 500 * 500


def test_a_batch_that_is_too_large_goes_through_image_by_image(network):
    counts = []

    def run(images):
        counts.append(len(images))
        return logits_of(network)(images)

    images = noise(3, 40, 56)
    found = bounded(run, Tiling(2 * 40 * 56), KIND)(images)
    assert counts == [1, 1, 1]
    np.testing.assert_allclose(found.numpy(), logits_of(network)(images).numpy(), atol=1e-6)
    bounded(run, Tiling(3 * 40 * 56), KIND)(images)
    assert counts[3:] == [3]


@pytest.mark.parametrize("tile", [1, 2, 7, 64, 255, 256, 300, 1000])
def test_tiles_cover_an_axis_share_what_they_must_and_are_aligned(tile):
    for length in (1, tile, tile + 1, 2 * tile - 1, 5 * tile + 3):
        for overlap in {0, tile // 8, tile // 4}:
            starts, size, bounds = (each.numpy() for each in split(length, tile, overlap))
            assert size <= tile and starts[0] == bounds[0] == 0 and starts[-1] + size == bounds[-1] == length
            assert (starts[1:] - starts[:-1] <= size - overlap).all()
            assert (bounds[1:] > bounds[:-1]).all()
            # What is kept lies half of the overlap from the borders that the image goes on beyond.
            assert (bounds[1:-1] - starts[1:] >= overlap // 2).all()
            assert (starts[:-1] + size - bounds[1:-1] >= overlap // 2).all()
            if tile >= 256:
                assert not (starts % ALIGNMENT).any()


def test_the_memory_of_a_network_is_that_of_its_largest_convolution():
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(64, 3, padding="same", activation="relu")(image)
    x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    model = keras.Model(image, layers.Conv2D(2, 1)(x))
    found = footprint(model, lambda images: model(images, training=False), RGB)
    # A map of 64 floats in, one out, and for the kernel all that it sees: 3 x 3 of 64 channels.
    assert found.per_pixel == pytest.approx(2 * 64 * 4 + 3 * 3 * 64 * 4, rel=0.01)


def test_the_predictor_has_the_same_mask_in_tiles(network):
    image = noise(420, 530)
    whole = Predictor(network)
    found = footprint(network, logits_of(network), RGB)
    tiled = Predictor(network, memory=found.least + 400_000 * 16)
    assert whole._holds((1, 420, 530)) and not tiled._holds((1, 420, 530))
    expected, prediction = whole.predict(image), tiled.predict(image)
    assert len(np.unique(expected.mask)) > 1
    assert prediction.mask.dtype == np.uint8 and prediction.confidence.dtype == np.float32
    np.testing.assert_array_equal(prediction.mask, expected.mask)
    np.testing.assert_allclose(prediction.confidence, expected.confidence, atol=1e-5)
    np.testing.assert_allclose(tiled.probabilities(image), whole.probabilities(image), atol=1e-5)


def test_too_little_memory_is_told_with_what_is_needed():
    found = Footprint(2 * 10**9, 3000.0)
    with pytest.raises(InputError, match=r"--memory 2.1: .* 256 x 256 pixels at once take 2.20 GB"):
        found.tiling(2_100_000_000, 1)
    assert found.tiling(found.least + 16, 1).side == 256
