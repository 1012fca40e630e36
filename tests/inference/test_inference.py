"""A Predictor gives every image's mask and confidence at its own size."""

import warnings

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_seg.errors import InputError
from keras_seg.inference import Prediction, Predictor, read_image
from keras_seg.palette import default_colors, overlay

WEIGHTS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32) / 100


class TraceCounter(layers.Layer):
    """Counts how often the graph around it is built."""

    count = 0

    def call(self, x):
        TraceCounter.count += 1
        return x


def linear_model(weights=WEIGHTS, size=(None, None), auxiliary=False):
    image = keras.Input((*size, len(weights)))
    head = layers.Dense(weights.shape[1], use_bias=False, name="head")
    logits = head(TraceCounter()(image))
    model = keras.Model(image, {"out": logits, "aux": -logits} if auxiliary else logits, name="linear")
    model.get_layer("head").set_weights([weights])
    return model


def softmax(logits):
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


def picture(height, width):
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def predictor():
    return Predictor(linear_model())


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (33, 31)])
def test_mask_and_confidence_are_argmax_and_softmax(predictor, size):
    image = picture(*size)
    probabilities = softmax(image.astype(np.float64) @ WEIGHTS)
    prediction = predictor.predict(image)
    assert prediction.mask.dtype == np.uint8 and prediction.mask.shape == size
    assert prediction.confidence.dtype == np.float32
    np.testing.assert_array_equal(prediction.mask, probabilities.argmax(-1))
    np.testing.assert_allclose(prediction.confidence, probabilities.max(-1), rtol=1e-4)


def test_confidence_of_huge_logits_is_finite():
    confidence = Predictor(linear_model(WEIGHTS * 1e6)).predict(picture(4, 4)).confidence
    assert np.isfinite(confidence).all() and confidence.max() <= 1


def test_pictures_of_many_sizes_share_a_graph():
    predictor = Predictor(linear_model())
    predictor.predict(picture(9, 9))
    before = TraceCounter.count
    for size in range(20, 30):
        predictor.predict(picture(size, 2 * size))
    assert TraceCounter.count == before > 0


def test_floats_in_0_to_255_and_lists_are_images_too(predictor):
    image = picture(3, 4)
    expected = predictor.predict(image)
    for same in (image.astype(np.float32), image.astype(np.float64), image.tolist()):
        np.testing.assert_array_equal(predictor.predict(same).mask, expected.mask)


def test_the_main_output_of_a_model_with_an_auxiliary_head_counts(predictor):
    image = picture(6, 6)
    mask = Predictor(linear_model(auxiliary=True)).predict(image).mask
    np.testing.assert_array_equal(mask, predictor.predict(image).mask)


def test_masks_of_more_than_255_classes_are_uint16():
    weights = np.zeros((3, 300), np.float32)
    weights[:, 299] = 1
    mask = Predictor(linear_model(weights)).predict(np.full((2, 2, 3), 9)).mask
    assert mask.dtype == np.uint16 and (mask == 299).all()


def test_a_grey_array_is_predicted_as_the_same_grey_file_is(predictor, tmp_path):
    grey = picture(9, 12)[..., 0]
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    expected = predictor.predict(read_image(tmp_path / "grey.png"))
    probabilities = predictor.probabilities(read_image(tmp_path / "grey.png"))
    for array in (grey, grey[..., None], grey.astype(np.float64)):
        prediction = predictor.predict(array)
        np.testing.assert_array_equal(prediction.mask, expected.mask)
        np.testing.assert_array_equal(prediction.confidence, expected.confidence)
        np.testing.assert_array_equal(predictor.probabilities(array), probabilities)


def test_a_grey_array_is_an_image_of_a_network_of_one_channel():
    predictor = Predictor(linear_model(WEIGHTS[:1]))
    grey = picture(9, 12)[..., :1]
    np.testing.assert_array_equal(predictor.predict(grey[..., 0]).mask, predictor.predict(grey).mask)


def test_an_image_scaled_to_0_to_1_is_warned_of(predictor):
    scaled = picture(9, 12) / 255
    for method in (
        predictor.predict,
        predictor.probabilities,
        lambda image: predictor.predict_batch([image]),
    ):
        with pytest.warns(
            UserWarning, match=r"largest value is 0.99.: if it is scaled to 0..1, multiply it by 255"
        ):
            method(scaled)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # The way out, floats in 0..255, bytes, and what is black.
        for image in (scaled * 255, picture(9, 12) // 255, np.zeros((4, 4, 3))):
            predictor.predict(image)


@pytest.mark.parametrize("shape", [(4,), (4, 4, 2), (4, 4, 4), (1, 4, 4, 3), (0, 4), (0, 4, 3), (4, 0, 3)])
def test_an_array_that_is_no_rgb_image_is_refused(predictor, shape):
    with pytest.raises(ValueError, match="image must be"):
        predictor.predict(np.zeros(shape, np.uint8))


def test_a_model_of_one_size_says_so():
    predictor = Predictor(linear_model(size=(8, 8)))
    assert predictor.predict(picture(8, 8)).mask.shape == (8, 8)
    with pytest.raises(ValueError, match="one size of image only"):
        predictor.predict(picture(8, 9))


def opencv_s_out_of_memory():
    error = cv2.error("OpenCV(5.0.0) error: (-4:Insufficient memory) Failed to allocate 9 bytes")
    error.code = cv2.Error.StsNoMem
    return error


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"),
        MemoryError(),
        opencv_s_out_of_memory(),
    ],
)
def test_an_image_that_does_not_fit_into_memory_is_reported(error, monkeypatch):
    def exhausted(images):
        raise error

    predictor = Predictor(linear_model())
    # A real allocation that fails is retried for ten seconds, too long for a test.
    monkeypatch.setattr(predictor, "_classify", exhausted)
    with pytest.raises(InputError, match="5 x 4 pixels do not fit into memory"):
        predictor.predict(np.zeros((4, 5, 3)))


def test_a_model_alone_has_numbered_classes_and_voc_colors(predictor):
    assert predictor.classes == ("class 0", "class 1", "class 2", "class 3")
    np.testing.assert_array_equal(predictor.colors, default_colors(4))


def test_class_names_must_be_as_many_as_channels():
    with pytest.raises(InputError, match="predicts 4 classes, but there are 2 names"):
        Predictor(linear_model(), classes=("a", "b"))


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="not a run folder"):
        Predictor(tmp_path)
    with pytest.raises(InputError, match="no such run folder"):
        Predictor(str(tmp_path / "missing"))


def test_a_run_brings_its_model_names_and_colors(tmp_path):
    image = keras.Input((None, None, 3))
    keras.Model(image, layers.Conv2D(2, 1)(image)).save(tmp_path / "best.keras")
    (tmp_path / "config.json").write_text(
        '{"model": "fcn8", "num_classes": 2, "classes": ["sky", "car"], "colors": [[1, 2, 3], [4, 5, 6]], '
        '"image_size": [8, 8]}'
    )
    predictor = Predictor(tmp_path)
    assert predictor.classes == ("sky", "car")
    assert predictor.colors.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert predictor.predict(picture(5, 7)).mask.shape == (5, 7)


def test_files_and_their_bytes_are_predicted_as_their_pixels(run, shapes_folder):
    path = min(shapes_folder.glob("images/val/*"))
    predictor = run.predictor()
    expected = predictor.predict(read_image(path))
    for image in (path, str(path), path.read_bytes()):
        for found, wanted in zip(predictor.predict(image), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
    with pytest.raises(InputError, match="the image's bytes: is empty"):
        predictor.predict(b"")
    with pytest.raises(InputError, match=r"none\.jpg: cannot be read"):
        predictor.predict("none.jpg")


def test_a_file_of_a_model_predicts_like_the_model_and_that_of_a_run_like_the_run(run, tmp_path):
    copy = tmp_path / "copy.keras"
    copy.write_bytes(run.best_path.read_bytes())
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), "uint8")
    expected = Predictor(run).predict(image)
    for source, classes in ((copy, tuple(f"class {i}" for i in range(5))), (run.best_path, run.classes)):
        predictor = Predictor(source)
        assert predictor.classes == classes
        np.testing.assert_array_equal(predictor.predict(image).mask, expected.mask)


def test_a_prediction_draws_and_saves_itself(run, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), "uint8")
    prediction = run.predictor().predict(image)
    assert prediction._fields == ("mask", "confidence") and len(prediction) == 2
    np.testing.assert_array_equal(prediction.overlay(), overlay(image, prediction.mask, run.colors))
    prediction.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "mask.png"), -1), prediction.mask)
    assert prediction._repr_html_().startswith('<figure><img src="data:image/png;base64,')
    unknown = Prediction(prediction.mask, prediction.confidence)  # Of which it is not known what it is of.
    np.testing.assert_array_equal(unknown.overlay(), default_colors(5)[prediction.mask])
