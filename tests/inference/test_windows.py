"""Sliding windows and test-time augmentation, against sums over the whole image in float64."""

from itertools import pairwise

import cv2
import keras
import numpy as np
import pytest
from keras import layers

from keras_seg.errors import InputError
from keras_seg.inference import Averaging, Predictor, windows
from keras_seg.inference.windows import sliding_logits, window_starts, window_weights

CLASSES = 3


@pytest.fixture(scope="module")
def model():
    """Sees 3 pixels to each side, so that what it says near a window's border differs."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 5, padding="same", activation="relu")(layers.Rescaling(1 / 255)(image))
    return keras.Model(image, layers.Conv2D(CLASSES, 3, padding="same")(x))


def picture(height, width):
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


def logits_of(model, image):
    return np.asarray(model(image[None].astype(np.float32)), np.float64)[0]


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def profile_by_hand(size, overlap, blend):
    if blend == "gaussian":
        return [np.exp(-(((i - (size - 1) / 2) / (size / 8)) ** 2) / 2) for i in range(size)]
    return [min(i + 1, size - i, max(int(size * overlap), 1)) for i in range(size)]


def averaged_by_hand(model, image, window, overlap, blend):
    height, width = min(window[0], image.shape[0]), min(window[1], image.shape[1])
    weights = np.outer(profile_by_hand(height, overlap, blend), profile_by_hand(width, overlap, blend))[
        ..., None
    ]
    total, count = np.zeros((*image.shape[:2], CLASSES)), np.zeros((*image.shape[:2], 1))
    for top in window_starts(image.shape[0], height, overlap):
        for left in window_starts(image.shape[1], width, overlap):
            place = np.s_[top : top + height, left : left + width]
            total[place] += weights * logits_of(model, image[place])
            count[place] += weights
    return total / count


@pytest.mark.parametrize("blend", ["linear", "gaussian"])
@pytest.mark.parametrize(
    ("size", "window", "overlap", "batch_size"),
    [((40, 52), (16, 20), 0.25, 1), ((33, 61), (16, 16), 0.5, 3), ((9, 50), (16, 16), 0.0, 2)],
)
def test_windows_are_averaged_by_their_weights(model, size, window, overlap, batch_size, blend):
    image = picture(*size)
    averaging = Averaging(window, overlap, blend, batch_size=batch_size)
    predictor = Predictor(model, averaging=averaging)
    expected = softmax(averaged_by_hand(model, image, window, overlap, blend))
    np.testing.assert_allclose(predictor.probabilities(image), expected, atol=1e-5)
    mask, confidence = predictor.predict(image)
    np.testing.assert_allclose(confidence, expected.max(-1), atol=1e-5)
    sure = np.diff(np.sort(expected, axis=-1))[..., -1] > 1e-4
    np.testing.assert_array_equal(mask[sure], expected.argmax(-1)[sure])


@pytest.mark.parametrize("blend", ["linear", "gaussian"])
@pytest.mark.parametrize(
    ("length", "size", "overlap"), [(100, 30, 0.25), (31, 30, 0.9), (30, 30, 0.5), (1, 1, 0)]
)
def test_windows_reach_every_pixel_and_their_weights_add_up_to_one(length, size, overlap, blend):
    starts = window_starts(length, size, overlap)
    assert starts[0] == 0 and starts[-1] == length - size
    assert all(after - before <= size - int(size * overlap) for before, after in pairwise(starts))
    total = np.zeros(length)
    for start, weights in zip(starts, window_weights(starts, size, overlap, blend), strict=True):
        assert (weights > 0).all()
        total[start : start + size] += weights
    np.testing.assert_allclose(total, 1, rtol=1e-6)


def sees_enough(starts, size, length, reach):
    """Whether all windows over a pixel hold all that the network sees from it, as far as the image does."""
    enough = np.ones(length, bool)
    for start in starts:
        place = np.arange(start, start + size)
        near_start, near_end = place - start < reach, start + size - 1 - place < reach
        enough[place] &= ~(near_start & (start > 0)) & ~(near_end & (start + size < length))
    return enough


def test_windows_equal_the_whole_picture_away_from_their_borders(model):
    image = picture(80, 112)
    whole = Predictor(model).probabilities(image)
    found = Predictor(model, averaging=Averaging((32, 32), 0.25)).probabilities(image)
    rows, columns = (sees_enough(window_starts(n, 32, 0.25), 32, n, reach=3) for n in image.shape[:2])
    inside = np.outer(rows, columns)
    assert 0.2 < inside.mean() < 0.8
    np.testing.assert_allclose(found[inside], whole[inside], atol=1e-6)
    assert np.abs(found - whole)[~inside].max() > 1e-3


def test_rows_are_given_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr(windows, "PIXELS", 200)
    image = picture(70, 50)
    same = sliding_logits(lambda images: images, image, (32, 32), 0.25, "linear", 1)
    found = [(top, rows.copy()) for top, rows in same]  # Each is overwritten by the next.
    assert max(len(rows) for _, rows in found) == 4 and sum(len(rows) for _, rows in found) == 70
    for top, rows in found:
        np.testing.assert_allclose(rows, image[top : top + len(rows)], rtol=1e-5)


def test_a_picture_of_one_window_is_predicted_as_a_whole(model):
    image = picture(20, 30)
    whole, windowed = Predictor(model), Predictor(model, averaging=Averaging((64, 64)))
    np.testing.assert_allclose(windowed.probabilities(image), whole.probabilities(image), atol=1e-6)
    np.testing.assert_array_equal(windowed.predict(image).mask, whole.predict(image).mask)


def test_scales_and_mirror_are_averaged(model):
    image = picture(20, 30)
    scales = (0.5, 1.0, 1.5)
    expected = np.zeros((20, 30, CLASSES))
    for scale in scales:
        size = round(30 * scale), round(20 * scale)
        scaled = image if scale == 1 else cv2.resize(image, size)
        logits = (logits_of(model, scaled) + logits_of(model, scaled[:, ::-1])[:, ::-1]) / 2
        expected += cv2.resize(softmax(logits), (30, 20)) / len(scales)
    predictor = Predictor(model, averaging=Averaging(scales=scales, flip=True))
    np.testing.assert_allclose(predictor.probabilities(image), expected, atol=1e-5)
    mask, confidence = predictor.predict(image)
    np.testing.assert_array_equal(mask, expected.argmax(-1))
    np.testing.assert_allclose(confidence, expected.max(-1), atol=1e-5)


def test_a_mirrored_picture_has_the_mirrored_answer(model):
    image = picture(20, 30)
    predictor = Predictor(model, averaging=Averaging((16, 16), flip=True))
    np.testing.assert_allclose(
        predictor.probabilities(image[:, ::-1])[:, ::-1], predictor.probabilities(image), atol=1e-6
    )


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"window": (0, 5)}, "--sliding must be 1 pixel or more"),
        ({"overlap": 1.0}, "--overlap must be from 0 to below 1, received 1.0"),
        ({"blend": "hard"}, "--blend must be one of linear, gaussian, received hard"),
        ({"scales": (1, 0)}, "--scales must be above 0"),
        ({"batch_size": 0}, "--batch-size must be 1 or more"),
    ],
)
def test_what_is_out_of_range_is_one_line(settings, line):
    with pytest.raises(InputError, match=line):
        Averaging(**settings)
