"""The layers that call TensorFlow's own kernels, against Keras's layers: answers, gradients, statistics."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_seg.inference import Predictor
from keras_seg.layers import (
    DilatedConv2D,
    FusedBatchNormalization,
    PatchConv2D,
    PointwiseConv2D,
    conv2d,
    dilation,
    for_this_processor,
    kernel_gradient,
    pointwise,
)
from keras_seg.layers.large_kernels import weights_follow

pytestmark = pytest.mark.processor
SIZE = (2, 13, 10, 6)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def alike(ours, theirs, shape):
    """Builds two layers with the same random weights."""
    for layer in (ours, theirs):
        layer.build(shape)
    weights = [noise(*weight.shape, seed=index) ** 2 + 0.5 for index, weight in enumerate(ours.weights)]
    for layer in (ours, theirs):
        layer.set_weights(weights)


def answer_and_gradients(layer, x, **options):
    """`[answer, gradient by x, gradients by the weights]` of the sum of a layer's cubed answers."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        answer = layer(x, **options)
        loss = tf.reduce_sum(answer**3)
    return [answer, *tape.gradient(loss, [x, *(weight.value for weight in layer.trainable_weights)])]


def assert_alike(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        limit = 1e-5 * np.abs(other).max()
        np.testing.assert_allclose(mine, other, rtol=0, atol=limit)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("rate", [2, 3, (1, 4)])
def test_dilated_convolution_is_kerass(rate, padding):
    options = {"filters": 5, "kernel_size": 3, "dilation_rate": rate, "padding": padding}
    ours, theirs = DilatedConv2D(**options), keras.layers.Conv2D(**options)
    alike(ours, theirs, SIZE)
    x = noise(*SIZE)
    assert_alike(answer_and_gradients(ours, x), answer_and_gradients(theirs, x))


@pytest.fixture
def products(monkeypatch):
    """Lists the rates of the convolutions that were computed as products; all that can be may be."""
    found = []
    compute = dilation._products

    def products(x, kernel, rates):
        found.append(rates)
        return compute(x, kernel, rates)

    monkeypatch.setattr(dilation, "_products", products)
    monkeypatch.setattr(dilation, "_PRODUCTS_PAY_FROM", 2)
    monkeypatch.setattr(dilation, "_CHANNELS_PAY_FROM", 1)
    monkeypatch.setattr(dilation, "is_tensorflow_on_a_cpu", lambda: True)
    return found


@pytest.mark.parametrize("is_known", [True, False], ids=["known size", "any size"])
@pytest.mark.parametrize(("kernel_size", "rate"), [(3, 2), (3, (4, 3)), (3, 11), (3, 36), ((1, 5), 3)])
def test_dilation_as_products_of_what_the_taps_see(kernel_size, rate, is_known, products):
    options = {"filters": 5, "kernel_size": kernel_size, "dilation_rate": rate, "padding": "same"}
    ours, theirs = DilatedConv2D(**options), keras.layers.Conv2D(**options)
    alike(ours, theirs, SIZE)
    shape = SIZE if is_known else (None, None, None, SIZE[-1])

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)])
    def predict(x):
        with for_this_processor():
            return ours(x)

    for size in {SIZE, SIZE if is_known else (1, 4, 21, SIZE[-1])}:
        assert_alike([predict(noise(*size))], [theirs(noise(*size))])
    assert products == [ours.dilation_rate]


@pytest.mark.parametrize(
    "options", [{"padding": "valid"}, {"kernel_size": 2}, {"dilation_rate": (1, 2)}, {"groups": 2}]
)
def test_other_dilated_convolutions_are_no_products(options, products):
    options = {"filters": 4, "kernel_size": 3, "dilation_rate": 2, "padding": "same", **options}
    ours, theirs = DilatedConv2D(**options), keras.layers.Conv2D(**options)
    alike(ours, theirs, SIZE)
    with for_this_processor():
        assert_alike([ours(noise(*SIZE))], [theirs(noise(*SIZE))])
    assert not products


def test_only_a_prediction_here_has_products(products):
    layer = DilatedConv2D(4, 3, dilation_rate=2, padding="same")
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layer(image))
    model(noise(1, 8, 8, 3), training=False)
    assert not products
    Predictor(model).predict(noise(8, 8, 3))
    assert products == [(2, 2)]


@pytest.mark.bfloat16
def test_a_prediction_in_bfloat16_has_no_products(products):
    layer = DilatedConv2D(4, 3, dilation_rate=2, padding="same", dtype="bfloat16")
    with for_this_processor():
        layer(noise(1, 8, 8, 3))
    assert not products


@pytest.mark.parametrize("options", [{}, {"use_bias": False, "activation": "relu"}], ids=["bias", "relu"])
@pytest.mark.parametrize(("kernel_size", "rate"), [(3, 2), (3, (4, 3)), (3, 11), (3, 36), ((1, 5), 3)])
def test_dilation_learns_by_products_of_what_the_taps_saw(kernel_size, rate, options, products, monkeypatch):
    options = {"filters": 5, "kernel_size": kernel_size, "dilation_rate": rate, "padding": "same", **options}
    ours, theirs = DilatedConv2D(**options), keras.layers.Conv2D(**options)
    alike(ours, theirs, SIZE)
    x, learnt = noise(*SIZE), []
    monkeypatch.setattr(kernel_gradient, "_by_kernel", counted(kernel_gradient._by_kernel, learnt))
    assert_alike(answer_and_gradients(ours, x, training=True), answer_and_gradients(theirs, x))
    # Keras's way has its own gradients where TensorFlow's kernels have none.
    assert len(learnt) == dilation._kernels_know_dilation()
    learnt.clear()
    assert_alike(answer_and_gradients(ours, x), answer_and_gradients(theirs, x))
    assert not learnt  # At inference the graph is Keras's.
    assert not products


def test_dilation_beyond_the_map_leaves_the_kernels_middle():
    layer = DilatedConv2D(4, 3, dilation_rate=36, padding="same", use_bias=False)
    layer.build(SIZE)
    x = noise(*SIZE)
    np.testing.assert_allclose(layer(x), x @ layer.kernel.numpy()[1, 1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("onednn", ["0", "1"])
def test_dilated_convolutions_learn_with_and_without_onednn(onednn):
    code = """
import numpy as np, tensorflow as tf
from keras_seg.layers import DilatedConv2D
from keras_seg.layers.dilation import _kernels_know_dilation
layer = DilatedConv2D(4, 3, dilation_rate=3, padding="same", kernel_initializer="ones", use_bias=False)
x = tf.ones((1, 5, 5, 2))
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(layer(x, training=True))
# Each tap sees the pixels that lie within the map, of both channels: two fifths of a row at the sides.
by_hand = np.outer([2, 5, 2], [2, 5, 2])
np.testing.assert_array_equal(tape.gradient(loss, layer.kernel.value)[:, :, 0, 0], by_hand)
print("native" if _kernels_know_dilation() else "Keras's")
"""
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn, "TF_CPP_MIN_LOG_LEVEL": "3"}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert answer.stdout == {"0": "Keras's\n", "1": "native\n"}[onednn], answer.stderr


def test_a_large_kernel_of_a_file_is_its_own_and_learns():
    layers = [PatchConv2D(5, 3, padding="same") for _ in range(2)]
    for layer in layers:
        layer.build(SIZE)
    stored = {"0": noise(*layers[0].kernel.shape), "1": noise(5, seed=1)}
    before = {key: array.copy() for key, array in stored.items()}
    layers[0].load_own_variables(stored)
    layers[1].set_weights([before["0"], before["1"]])
    for layer in layers:
        image = keras.Input(SIZE[1:])
        model = keras.Model(image, layer(image))
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
        model.fit(noise(*SIZE), noise(*SIZE[:3], 5, seed=2), epochs=2, verbose=0)
    assert np.any(layers[0].get_weights()[0] != before["0"])
    assert_alike(layers[0].get_weights(), layers[1].get_weights())
    assert all(np.array_equal(stored[key], before[key]) for key in stored)


def test_a_large_kernel_in_bfloat16_comes_back_from_its_file(tmp_path):
    image = keras.Input(SIZE[1:])
    model = keras.Model(image, PatchConv2D(5, 3, padding="same", dtype="bfloat16")(image))
    model.save(tmp_path / "model.keras")
    found = keras.saving.load_model(tmp_path / "model.keras")
    for weight, expected in zip(found.weights, model.weights, strict=True):
        np.testing.assert_array_equal(
            *(keras.ops.convert_to_numpy(w).astype("float32") for w in (weight, expected))
        )


@pytest.mark.parametrize("filters", [3, 6, 11])  # Fewer than the map's channels, as many, and more.
@pytest.mark.parametrize("options", [{}, {"use_bias": False, "activation": "relu"}], ids=["bias", "relu"])
def test_pointwise_convolution_is_kerass(filters, options, monkeypatch):
    monkeypatch.setattr(pointwise, "is_tensorflow_on_a_cpu", lambda: True)
    ours, theirs = PointwiseConv2D(filters, 1, **options), keras.layers.Conv2D(filters, 1, **options)
    alike(ours, theirs, SIZE)
    x = noise(*SIZE)
    products = []
    monkeypatch.setattr(kernel_gradient, "_by_kernel", counted(kernel_gradient._by_kernel, products))
    assert_alike(answer_and_gradients(ours, x, training=True), answer_and_gradients(theirs, x))
    assert len(products) == 1
    assert_alike(answer_and_gradients(ours, x), answer_and_gradients(theirs, x))
    assert len(products) == 1  # At inference the graph is Keras's.


def counted(function, calls):
    """`function`, which adds its arguments to `calls`."""

    def wrapper(*arguments):
        calls.append(arguments)
        return function(*arguments)

    return wrapper


def test_pointwise_convolution_is_kerass_in_fit_with_any_size_of_image():
    weights = []
    for layer in (PointwiseConv2D(4, 1), keras.layers.Conv2D(4, 1)):
        alike(layer, keras.layers.Conv2D(4, 1), SIZE)
        image = keras.Input((None, None, SIZE[-1]))
        model = keras.Model(image, layer(image))
        model.compile("sgd", "mse")
        for shape in (SIZE, (3, 5, 7, SIZE[-1])):
            model.fit(noise(*shape), noise(*shape[:3], 4, seed=1), verbose=0)
        weights.append(layer.get_weights())
    assert_alike(*weights)


@pytest.mark.bfloat16
def test_pointwise_convolution_in_mixed_precision_learns_float32_weights():
    layer = PointwiseConv2D(4, 1, dtype="mixed_bfloat16")
    layer.build(SIZE)
    answer, _, kernel, bias = answer_and_gradients(layer, noise(*SIZE), training=True)
    assert answer.dtype == tf.bfloat16 and kernel.dtype == bias.dtype == tf.float32


def test_a_convolution_with_nothing_to_gain_is_kerass_own():
    assert type(conv2d(4, 3)) is type(conv2d(4, 1, strides=2)) is keras.layers.Conv2D
    assert type(conv2d(4, 3, dilation_rate=2)) is DilatedConv2D
    assert type(conv2d(4, 1)) is PointwiseConv2D


def test_a_kernel_whose_weights_follow_is_not_drawn():
    def draw(shape, dtype=None):
        raise AssertionError("drawn")

    layer = PatchConv2D(4, 3, kernel_initializer=draw)
    with weights_follow():
        layer.build(SIZE)
    assert layer.kernel.shape == (3, 3, 6, 4)
    assert layer.kernel_initializer is draw


@pytest.mark.parametrize(
    "initializer",
    [
        keras.initializers.HeNormal(seed=3),
        keras.initializers.RandomNormal(mean=1.0, stddev=0.01, seed=3),
        keras.initializers.GlorotUniform(seed=3),
        keras.initializers.Constant(2.0),
    ],
)
def test_a_large_kernel_starts_with_kerass_numbers(initializer):
    layers = [each(4, 3, kernel_initializer=initializer) for each in (PatchConv2D, keras.layers.Conv2D)]
    for layer in layers:
        layer.build(SIZE)
    ours, theirs = (layer.kernel.numpy() for layer in layers)
    np.testing.assert_array_equal(ours, theirs)


def test_many_large_kernels_are_no_reason_for_a_warning(caplog):
    for _ in range(8):
        PatchConv2D(4, 3, kernel_initializer="he_normal").build(SIZE)
    assert not caplog.records


def test_a_large_kernel_is_drawn_in_the_memory_where_it_stays():
    script = """
import os
from keras_seg.layers import PatchConv2D
from keras_seg.memory import peak_bytes
PatchConv2D(1, 1).build((1, 1, 1, 1))
before = peak_bytes(os.getpid())
layer = PatchConv2D(1024, 7, kernel_initializer="he_normal")
layer.build((1, 8, 8, 512))
print((peak_bytes(os.getpid()) - before) / layer.kernel.numpy().nbytes)
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(answer.stdout) < 1.5


def test_a_loaded_kernel_is_the_files(tmp_path):
    image = keras.Input((None, None, 6))
    model = keras.Model(image, PatchConv2D(4, 3, padding="same", bias_initializer="ones")(image))
    model.save(tmp_path / "model.keras")
    with weights_follow():
        loaded = keras.saving.load_model(tmp_path / "model.keras")
    for found, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [SIZE, (1, 1, 1, 6)])
def test_fused_batch_normalization_is_kerass(shape, training, trainable):
    options = {"epsilon": 1e-5, "momentum": 0.9, "trainable": trainable}
    ours, theirs = FusedBatchNormalization(**options), keras.layers.BatchNormalization(**options)
    alike(ours, theirs, shape)
    x = 3 * noise(*shape) + 1
    found, expected = (answer_and_gradients(layer, x, training=training) for layer in (ours, theirs))
    if shape[0] > 1 or not (
        training and trainable
    ):  # One value has no variance, and its gradients are noise.
        assert_alike(found, expected)
    assert_alike(ours.get_weights(), theirs.get_weights())


def test_fused_batch_normalization_keeps_the_variance_of_the_batch():
    layer = FusedBatchNormalization(momentum=0.5)
    layer.build(SIZE)
    x = noise(*SIZE)
    layer(x, training=True)
    np.testing.assert_allclose(layer.moving_variance, 0.5 + 0.5 * x.var((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, 0.5 * x.mean((0, 1, 2)), rtol=1e-5, atol=1e-7)


def test_in_lower_precision_batch_normalization_is_kerass_own():
    ours = FusedBatchNormalization(dtype="mixed_bfloat16")
    theirs = keras.layers.BatchNormalization(dtype="mixed_bfloat16")
    alike(ours, theirs, SIZE)
    x = noise(*SIZE)
    np.testing.assert_array_equal(*(tf.cast(layer(x, training=True), "float32") for layer in (ours, theirs)))
