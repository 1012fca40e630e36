"""Images larger than the memory: how they are divided, and that tiles change nothing that they need not."""

import itertools
import tracemalloc
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_seg import InputError, Predictor, build_model
from keras_seg.data.samples import RGB
from keras_seg.inference import Averaging
from keras_seg.inference.crf import CRF, refine
from keras_seg.inference.footprint import Footprint, footprint
from keras_seg.inference.tiles import ALIGNMENT, Tiling, bounded, split_by, split_equally, within
from tests.backend_answers import randomize

TILING = Tiling(300 * 300)
KIND = tf.TensorSpec([None, None, 4], tf.float32)


@pytest.fixture(scope="module")
def network():
    """A narrow U-Net of one pool: a pixel sees 9 around it."""
    keras.utils.set_random_seed(0)
    model = build_model("unet_paper", 4, widths=[4, 6], decoder_widths=[4])
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


def axis_of(split, length):
    return [each.numpy() for each in split(tf.constant(length, tf.int64))]


def assert_covered(starts, ends, bounds, length, overlap):
    assert starts[0] == bounds[0] == 0 and ends[-1] == bounds[-1] == length
    assert (ends[:-1] - starts[1:] >= overlap).all()
    assert (bounds[1:] > bounds[:-1]).all()
    # What is kept lies half of the overlap from the borders that the image goes on beyond.
    assert (bounds[1:-1] - starts[1:] >= overlap // 2).all()
    assert (ends[:-1] - bounds[1:-1] >= overlap // 2).all()


@pytest.mark.parametrize("tile", [1, 2, 7, 64, 255, 256, 300, 1000])
def test_tiles_cover_an_axis_share_what_they_must_and_are_aligned(tile):
    for length in (1, tile, tile + 1, 2 * tile - 1, 5 * tile + 3):
        for overlap in {0, tile // 16, tile // 4}:
            starts, ends, bounds = axis_of(partial(split_by, tile=tile, overlap=overlap), length)
            assert_covered(starts, ends, bounds, length, overlap)
            sizes, step = ends - starts, ALIGNMENT if tile >= 256 else 1
            assert sizes.max() <= tile and sizes.max() - sizes.min() <= step
            assert not (starts % step).any() and not ((length - sizes) % step).any()
            # No pixel is shared but those that must be, and what the alignment asks for.
            assert (ends[:-1] - starts[1:] < overlap + step).all()
            starts, ends, bounds = axis_of(partial(split_equally, size=tile, overlap=overlap), length)
            assert_covered(starts, ends, bounds, length, overlap)
            assert set(ends - starts) == {min(tile, length)}


def sizes_by_hand(length, number, overlap):
    """The tiles of an axis: the least that they may share, and what is left dealt out by 32 pixels."""
    shared = next(size for size in range(overlap, overlap + 32) if (length - size) % 32 == 0)
    steps = max((length - shared) // 32, number)
    return [shared + 32 * (steps // number + (index < steps % number)) for index in range(number)]


@pytest.mark.parametrize("padding", [0, 200])
@pytest.mark.parametrize("size", [(420, 300), (300, 420), (600, 900), (1210, 817), (310, 2000)])
def test_no_other_number_of_tiles_computes_fewer_pixels(size, padding):
    tiling = Tiling((320 + padding) ** 2, (padding, padding))
    computed = []
    for number in itertools.product(range(1, 16), repeat=2):
        tall, wide = map(sizes_by_hand, size, number, (20, 20))
        if (tall[0] + padding) * (wide[0] + padding) <= tiling.pixels:
            computed.append((sum(tall) + padding * len(tall)) * (sum(wide) + padding * len(wide)))
    found = tiling.divide(*(tf.constant(length, tf.int64) for length in size))
    tall, wide = ((axis.ends - axis.starts).numpy() + padding for axis in found)
    assert tall.max() * wide.max() <= tiling.pixels
    assert tall.sum() * wide.sum() == min(computed)


def test_bands_cost_less_than_an_eighth_more_where_two_hold_an_image():
    down, across = Tiling(1213 * 1213).divide(*tf.constant([1448, 1448], tf.int64))
    computed = sum((down.ends - down.starts).numpy()) * sum((across.ends - across.starts).numpy())
    assert computed / 1448**2 < 1.08


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
    tiled = Predictor(network, memory=found.least + 420 * 530 * 70)
    assert [each._tiling(420 * 530).holds(1, 420, 530) for each in (whole, tiled)] == [True, False]
    expected, prediction = whole.predict(image), tiled.predict(image)
    assert len(np.unique(expected.mask)) > 1
    assert prediction.mask.dtype == np.uint8 and prediction.confidence.dtype == np.float32
    np.testing.assert_array_equal(prediction.mask, expected.mask)
    np.testing.assert_allclose(prediction.confidence, expected.confidence, atol=1e-5)
    np.testing.assert_allclose(tiled.probabilities(image), whole.probabilities(image), atol=1e-5)


def test_mirror_images_are_averaged_tile_by_tile(network):
    image = noise(420, 530)
    whole = Predictor(network, averaging=Averaging(flip=True))
    tiled = Predictor(network, averaging=Averaging(flip=True), memory=whole._footprint.least + 420 * 530 * 20)
    assert not tiled._tiling(420 * 530).holds(1, 420, 530)
    expected, found = whole.predict(image), tiled.predict(image)
    assert (expected.mask != Predictor(network).predict(image).mask).any()
    np.testing.assert_array_equal(found.mask, expected.mask)
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{"averaging": Averaging(scales=(1.0, 2.0))}, {"crf": CRF()}, {"averaging": Averaging((500, 500))}],
)
def test_an_image_whose_probabilities_do_not_fit_is_refused_with_what_is_needed(network, options):
    memory = Predictor(network)._footprint.least + 420 * 530 * 20
    with pytest.raises(InputError, match=r"--memory 1.7\d*: .* an image of 0.2 megapixels .*; allow \d.\d"):
        Predictor(network, memory=memory, **options).predict(noise(420, 530))


@pytest.mark.parametrize("num_classes", [2, 21])
def test_a_crf_takes_no_more_memory_than_it_says(num_classes):
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(num_classes), (60, 80)).astype(np.float32)
    tracemalloc.start()
    refine(probabilities, noise(60, 80), CRF(steps=1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.5 < peak / (60 * 80) / CRF.bytes_a_pixel(num_classes) < 1


def test_too_little_memory_is_told_with_what_is_needed():
    found = Footprint(2 * 10**9, 3000.0)
    with pytest.raises(InputError, match=r"--memory 2.1: .* 256 x 256 pixels at once take 2.20 GB; 2.6 are"):
        found.tiling(2_100_000_000, 1)
    assert found.tiling(found.least + 16, 1).side == 256
