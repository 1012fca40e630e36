"""The shared layers against NumPy written by hand."""

import json
import zipfile

import keras
import numpy as np
import pytest

import keras_seg
from keras_seg.encoders.alexnet import max_pool
from keras_seg.layers import (
    AdaptiveAveragePooling2D,
    CropLike,
    LocalResponseNormalization,
    MaxPoolingWithIndices2D,
    MaxUnpooling2D,
    MirrorPadding2D,
    Preprocessing,
    ResizeLike,
    bilinear_kernel,
)
from keras_seg.layers.former_names import FORMER_NAMES

SIZES = ((1, 1), (2, 3), (5, 4), (7, 7))


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def run(layer, *inputs):
    """A layer's answer within a model of unknown height and width, as the networks use it."""
    tensors = [keras.Input((None, None, x.shape[-1])) for x in inputs]
    model = keras.Model(tensors, layer(tensors if len(tensors) > 1 else tensors[0]))
    answer = model.predict_on_batch(list(inputs))
    return answer if isinstance(answer, (list, tuple)) else np.asarray(answer)


def test_caffe_preprocessing_turns_to_bgr_and_subtracts_the_mean():
    red = np.zeros((1, 1, 1, 3), "float32")
    red[..., 0] = 255
    expected = [-104.00699, -116.66877, 255 - 122.67892]
    np.testing.assert_allclose(run(Preprocessing("caffe"), red)[0, 0, 0], expected, rtol=1e-6)


def test_keras_preprocessing_is_that_of_keras_applications():
    image = np.random.default_rng(0).integers(0, 256, (1, 2, 3, 3)).astype("float32")
    expected = keras.applications.vgg16.preprocess_input(image.copy())
    np.testing.assert_allclose(run(Preprocessing("keras"), image), expected, rtol=1e-5)


def test_torch_preprocessing_scales_and_normalizes_in_rgb():
    image = np.full((1, 1, 1, 3), 51, "float32")
    expected = [(0.2 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    np.testing.assert_allclose(run(Preprocessing("torch"), image)[0, 0, 0], expected, rtol=1e-5)


def test_bgr_preprocessing_turns_the_channels_around_and_nothing_else():
    image = noise(1, 3, 2, 3)
    np.testing.assert_array_equal(run(Preprocessing("bgr"), image), image[..., ::-1])


def test_no_preprocessing_leaves_pixels_as_they_are():
    image = noise(1, 3, 2, 3)
    np.testing.assert_array_equal(run(Preprocessing("none"), image), image)


def test_an_unknown_preprocessing_is_refused_with_the_choice():
    with pytest.raises(ValueError, match=r"one of \('caffe', 'keras', .*'none'\), received 'vgg'"):
        Preprocessing("vgg")


@pytest.mark.parametrize("offset", [0, 2])
def test_crop_cuts_at_the_offset(offset):
    x, reference = noise(2, 9, 8, 3), noise(2, 4, 5, 1)
    expected = x[:, offset : offset + 4, offset : offset + 5]
    np.testing.assert_array_equal(run(CropLike(offset), x, reference), expected)


def test_padding_puts_the_odd_pixel_last():
    x = np.ones((1, 1, 2, 1), "float32")
    answer = run(CropLike(pad=True), x, noise(1, 4, 3, 2))[0, ..., 0]
    np.testing.assert_array_equal(answer, [[0, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0]])
    wide = np.ones((1, 1, 5, 1), "float32")
    np.testing.assert_array_equal(
        run(CropLike(pad=True), wide, noise(1, 2, 3, 2))[0, ..., 0], [[1, 1, 1], [0, 0, 0]]
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (9, 30), (40, 41)])
def test_mirror_padding_is_numpys_reflection(size):
    image = noise(2, *size, 3)
    sides = [20 + 8 * max(0, -(-(side + 10 - 20) // 8)) for side in size]
    margins = [(5, total - 5 - side) for total, side in zip(sides, size, strict=True)]
    expected = image
    for axis, margin in enumerate(margins, 1):  # What mirrors a single pixel is `edge` to NumPy.
        pad = [(0, 0)] * axis + [margin] + [(0, 0)] * (3 - axis)
        expected = np.pad(expected, pad, "reflect" if image.shape[axis] > 1 else "edge")
    answer = run(MirrorPadding2D(5, 20, 8), image)
    np.testing.assert_array_equal(answer, expected)
    assert MirrorPadding2D(5, 20, 8).compute_output_shape((None, *size, 3)) == (None, *answer.shape[1:])


@pytest.mark.parametrize("size", SIZES)
def test_unpooling_puts_each_maximum_back_at_its_place(size):
    x = noise(2, *size, 3)
    expected_pool = np.empty((2, -(-size[0] // 2), -(-size[1] // 2), 3), "float32")
    expected = np.zeros_like(x)
    for b, i, j, c in np.ndindex(expected_pool.shape):
        window = x[b, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        row, column = np.unravel_index(window.argmax(), window.shape)
        expected_pool[b, i, j, c] = window.max()
        expected[b, 2 * i + row, 2 * j + column, c] = window.max()

    image = keras.Input((None, None, 3))
    pooled, indices = MaxPoolingWithIndices2D()(image)
    model = keras.Model(image, [pooled, MaxUnpooling2D()([pooled, indices, image])])
    pooled, unpooled = model.predict_on_batch(x)
    np.testing.assert_array_equal(pooled, expected_pool)
    np.testing.assert_array_equal(unpooled, expected)


def test_pooling_takes_the_first_of_equals():
    _, indices = run(MaxPoolingWithIndices2D(), np.ones((1, 3, 2, 1), "float32"))
    np.testing.assert_array_equal(indices, np.zeros((1, 2, 1, 1)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bins", [1, 3, 6])
def test_adaptive_pooling_averages_overlapping_bins(size, bins):
    x = noise(1, *size, 2)
    expected = np.empty((1, bins, bins, 2))
    for i in range(bins):
        rows = slice(i * size[0] // bins, -(-(i + 1) * size[0] // bins))
        for j in range(bins):
            columns = slice(j * size[1] // bins, -(-(j + 1) * size[1] // bins))
            expected[0, i, j] = x[0, rows, columns].mean((0, 1))
    np.testing.assert_allclose(run(AdaptiveAveragePooling2D(bins), x), expected, rtol=1e-5, atol=1e-6)


def interpolate(x, target, align_corners):
    """One axis of bilinear interpolation, pixel by pixel."""
    size = len(x)
    answer = np.empty((target, *x.shape[1:]))
    for index in range(target):
        if align_corners:
            place = index * (size - 1) / max(target - 1, 1)
        else:
            place = min(max((index + 0.5) * size / target - 0.5, 0), size - 1)
        low = int(place)
        high = min(low + 1, size - 1)
        answer[index] = x[low] + (place - low) * (x[high] - x[low])
    return answer


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("target", SIZES)
def test_resizing_is_bilinear(target, align_corners):
    x = noise(1, 3, 4, 2)
    rows = interpolate(x[0].astype("float64"), target[0], align_corners)
    expected = interpolate(rows.swapaxes(0, 1), target[1], align_corners).swapaxes(0, 1)
    answer = run(ResizeLike(align_corners), x, noise(1, *target, 1))[0]
    np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_bilinear_kernel_of_four_is_the_papers():
    # surgery.py's upsample_filt(4), worked out by hand.
    row = np.array([1, 3, 3, 1]) / 4
    kernel = np.asarray(bilinear_kernel((4, 4, 2, 2)))
    np.testing.assert_allclose(kernel[:, :, 1, 1], np.outer(row, row))
    np.testing.assert_array_equal(kernel[:, :, 0, 1], np.zeros((4, 4)))


def test_bilinear_kernel_of_an_odd_size_has_its_peak_in_the_middle():
    row = np.array([1, 2, 3, 2, 1]) / 3
    np.testing.assert_allclose(
        np.asarray(bilinear_kernel((5, 5, 1, 1)))[..., 0, 0], np.outer(row, row), rtol=1e-6
    )


def test_local_response_normalization_sums_squares_across_channels():
    x = noise(1, 2, 2, 7) * 30
    expected = np.empty_like(x)
    for channel in range(7):
        window = x[..., max(channel - 2, 0) : channel + 3]
        expected[..., channel] = x[..., channel] / (1 + 1e-4 / 5 * (window**2).sum(-1)) ** 0.75
    np.testing.assert_allclose(run(LocalResponseNormalization(), x), expected, rtol=1e-5)


@pytest.mark.parametrize("size", [2, 3, 5, 6])
def test_alexnet_pools_round_up(size):
    x = np.abs(noise(1, size, size, 1))
    starts = range(0, 2 * (-(-(size - 3) // 2) + 1), 2)
    expected = [[x[0, i : i + 3, j : j + 3, 0].max() for j in starts] for i in starts]
    answer = run(lambda image: max_pool(image, "pool"), x)
    np.testing.assert_array_equal(answer[0, ..., 0], expected)


@pytest.mark.parametrize(
    "layer",
    [
        CropLike(3),
        CropLike(pad=True),
        ResizeLike(True),
        AdaptiveAveragePooling2D(6),
        LocalResponseNormalization(7, 1, 2),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_comes_back_from_its_config(layer):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("name", [name for name in FORMER_NAMES if name != "PadLike"])
def test_a_file_with_a_former_name_of_a_layer_is_read(name, tmp_path):
    image = keras.Input((None, None, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, padding="same")(image))
    model = keras.Model(image, x)
    model.save(tmp_path / "now.keras")
    with zipfile.ZipFile(tmp_path / "now.keras") as new, zipfile.ZipFile(tmp_path / "old.keras", "w") as old:
        for member in new.namelist():
            content = new.read(member)
            if member == "config.json":
                config = json.loads(content)
                for layer in config["config"]["layers"]:
                    if layer["class_name"] == FORMER_NAMES[name].__name__:
                        layer.update(module="", class_name=name, registered_name=f"keras_seg>{name}")
                content = json.dumps(config)
                assert name in content
            old.writestr(member, content)
    for load in (keras_seg.load_model, keras.saving.load_model):
        found = load(tmp_path / "old.keras")
        np.testing.assert_array_equal(found(noise(1, 5, 6, 3)), model(noise(1, 5, 6, 3)))


def test_what_padded_alone_is_read_as_a_crop_that_pads():
    written = keras.saving.serialize_keras_object(CropLike(pad=True, name="up1_pad"))
    del written["config"]["offset"], written["config"]["pad"]
    written.update(module="", class_name="PadLike", registered_name="keras_seg>PadLike")
    layer = keras.saving.deserialize_keras_object(written)
    assert type(layer) is CropLike and layer.name == "up1_pad"
    assert run(layer, noise(1, 2, 2, 1), noise(1, 3, 3, 1)).shape == (1, 3, 3, 1)
