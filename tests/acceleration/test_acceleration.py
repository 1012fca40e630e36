"""What replaces a layer gives that layer's outputs, gradients and statistics, and where it does."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_seg.acceleration import accelerate, fold_batch_normalization
from keras_seg.acceleration.rules import RULES
from keras_seg.layers import AdaptiveAveragePooling2D, BilinearUpSampling2D, ResizeLike
from keras_seg.models import build_model
from tests.models.helpers import build_narrow

pytestmark = pytest.mark.processor
SIZE = (13, 10)
CHANNELS = 6


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def network_of(layer, *, channels=CHANNELS):
    """A network of one layer, with random weights and statistics."""
    image = keras.Input((None, None, channels))
    return randomized(keras.Model(image, layer(image)))


def randomized(model):
    for index, weight in enumerate(model.weights):
        weight.assign(noise(*weight.shape, seed=index) ** 2 + 0.5)
    return model


def outputs_and_gradients(model, x, training):
    """Of the sum of cubed outputs: `[outputs, gradient by x, gradients by the weights]`."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = model(x, training=training)
        loss = tf.reduce_sum(outputs**3)
    return [outputs, *tape.gradient(loss, [x, *(weight.value for weight in model.trainable_weights)])]


def assert_alike(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-5 * np.abs(other).max())


def replaced(model, purpose):
    """Names of the classes of ours that `accelerate` put into a network."""
    found = accelerate(model, purpose).layers
    return {type(layer).__name__ for layer in found if type(layer).__module__.startswith("keras_seg.accel")}


CONVOLUTIONS = {
    "dilated": ({"kernel_size": 3, "dilation_rate": 2}, "ShiftedConv2D"),
    "of two rates": ({"kernel_size": 3, "dilation_rate": (4, 3)}, "ShiftedConv2D"),
    "as wide as the map": ({"kernel_size": 3, "dilation_rate": 11}, "ShiftedConv2D"),
    "wider than the map": ({"kernel_size": 3, "dilation_rate": 36}, "ShiftedConv2D"),
    "flat": ({"kernel_size": (1, 5), "dilation_rate": 3}, "ShiftedConv2D"),
    "1 x 1": ({"kernel_size": 1}, "ShiftedConv2D"),
    "1 x 1, unpadded": ({"kernel_size": 1, "padding": "valid"}, "ShiftedConv2D"),
    "in groups": ({"kernel_size": 3, "groups": 2}, "GroupedConv2D"),
    "in strided groups": ({"kernel_size": 3, "groups": 3, "strides": 2}, "GroupedConv2D"),
    "of a plain kernel": ({"kernel_size": 3}, None),
    "strided": ({"kernel_size": 1, "strides": 2}, None),
    "dilated, unpadded": ({"kernel_size": 3, "dilation_rate": 2, "padding": "valid"}, None),
    "dilated, even": ({"kernel_size": 2, "dilation_rate": 2}, None),
}


@pytest.mark.parametrize("options", [{}, {"use_bias": False, "activation": "relu"}], ids=["bias", "relu"])
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolutions_learn_as_kerass(kind, options):
    convolution, replacement = CONVOLUTIONS[kind]
    model = network_of(layers.Conv2D(**{"filters": 6, "padding": "same", **convolution, **options}))
    assert replaced(model, "training") == ({replacement} if replacement else set())
    x = noise(2, *SIZE, CHANNELS)
    found = outputs_and_gradients(accelerate(model, "training"), x, training=True)
    assert_alike(found, outputs_and_gradients(model, x, training=True))
    assert_alike([accelerate(model, "training")(x)], [model(x)])


@pytest.mark.parametrize("kernel_size", [3, (1, 5), (5, 3)])
def test_with_avx2_alone_plain_convolutions_learn_by_products(kernel_size, monkeypatch):
    monkeypatch.setattr("keras_seg.acceleration.convolutions.has_avx2_alone", lambda: True)
    model = network_of(layers.Conv2D(7, kernel_size, padding="same"), channels=16)
    assert replaced(model, "training") == {"ShiftedConv2D"}
    x = noise(3, *SIZE, 16)
    found = outputs_and_gradients(accelerate(model, "training"), x, training=True)
    assert_alike(found, outputs_and_gradients(model, x, training=True))


@pytest.mark.parametrize("options", [{"padding": "valid"}, {"strides": 2}, {"kernel_size": 4}])
def test_other_convolutions_do_not(options, monkeypatch):
    monkeypatch.setattr("keras_seg.acceleration.convolutions.has_avx2_alone", lambda: True)
    options = {"kernel_size": 3, "padding": "same", **options}
    assert replaced(network_of(layers.Conv2D(7, **options), channels=16), "training") == set()
    assert replaced(network_of(layers.Conv2D(7, 3, padding="same"), channels=3), "training") == set()


def test_plain_convolutions_stay_where_there_is_avx512(monkeypatch):
    monkeypatch.setattr("keras_seg.acceleration.convolutions.has_avx2_alone", lambda: False)
    model = network_of(layers.Conv2D(7, 3, padding="same"), channels=16)
    assert replaced(model, "training") == set()


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolutions_predict_as_kerass(kind):
    model = network_of(layers.Conv2D(**{"filters": 6, "padding": "same", **CONVOLUTIONS[kind][0]}))
    x = noise(2, *SIZE, CHANNELS)
    assert_alike([accelerate(model, "inference")(x)], [model(x)])


@pytest.fixture
def every_kernel_is_large(monkeypatch):
    monkeypatch.setattr("keras_seg.acceleration.convolutions.LARGE", 1)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [SIZE, (3, 3)])  # Of the second, a kernel of 3 x 3 sees all.
@pytest.mark.parametrize("is_known", [True, False], ids=["known size", "any size"])
def test_large_kernels_as_patches_learn_as_kerass(every_kernel_is_large, padding, size, is_known):
    image = keras.Input((*(size if is_known else (None, None)), CHANNELS))
    model = randomized(keras.Model(image, layers.Conv2D(5, 3, padding=padding, activation="relu")(image)))
    assert replaced(model, "training") == {"PatchConv2D"}
    x = noise(2, *size, CHANNELS)
    found = outputs_and_gradients(accelerate(model, "training"), x, training=True)
    assert_alike(found, outputs_and_gradients(model, x, training=True))


def test_a_kernel_that_reaches_beyond_a_known_map_meets_it_alone(every_kernel_is_large):
    image = keras.Input((2, 2, CHANNELS))
    model = randomized(keras.Model(image, layers.Conv2D(5, 7, padding="same")(image)))
    x = noise(2, 2, 2, CHANNELS)
    assert_alike([accelerate(model, "inference")(x)], [model(x)])


def test_fc6_and_fc7_are_large_and_no_other_convolution_is():
    zeros = {"kernel_initializer": "zeros"}
    fc6 = network_of_zeros(layers.Conv2D(4096, 7, padding="same", **zeros), 512)
    other = network_of_zeros(layers.Conv2D(1024, 3, padding="same", **zeros), 1024)
    assert replaced(fc6, "training") == {"PatchConv2D"}
    assert "PatchConv2D" not in replaced(other, "training")


def test_fc6_predicts_as_a_plain_convolution():
    fc6 = network_of_zeros(layers.Conv2D(4096, 7, padding="same", kernel_initializer="zeros"), 512)
    assert replaced(fc6, "inference") == set()


def network_of_zeros(layer, channels):
    image = keras.Input((None, None, channels))
    return keras.Model(image, layer(image))


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [SIZE, (1, 1)])
def test_batch_normalization_learns_as_kerass(size, training, trainable):
    model = network_of(layers.BatchNormalization(epsilon=1e-5, momentum=0.9, trainable=trainable))
    assert replaced(model, "training") == {"FusedBatchNormalization"}
    before = model.get_weights()
    x = 3 * noise(2, *size, CHANNELS) + 1
    found = []
    for each in (accelerate(model, "training"), model):
        model.set_weights(before)
        values = outputs_and_gradients(each, x, training)
        # The gradient by the input of two pixels' normalization is rounding noise about zero.
        found.append([values[0], *values[2:], *model.get_weights()] if size == (1, 1) else
                     [*values, *model.get_weights()])  # fmt: skip
    assert_alike(*found)


@pytest.mark.bfloat16
def test_batch_normalization_in_bfloat16_keeps_float32_statistics():
    model = network_of(layers.BatchNormalization(momentum=0.5, dtype="mixed_bfloat16"))
    model.set_weights([np.ones(6), np.zeros(6), np.zeros(6), np.ones(6)])
    x = noise(2, *SIZE, CHANNELS) * 2 + 1
    outputs = accelerate(model, "training")(x, training=True)
    assert outputs.dtype == "bfloat16"
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    np.testing.assert_allclose(outputs, (x - mean) / np.sqrt(variance + 1e-3), atol=0.04)
    np.testing.assert_allclose(model.get_weights()[2], 0.5 * mean, rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(model.get_weights()[3], 0.5 + 0.5 * variance, rtol=1e-2)


FOLDED = {
    "convolution": lambda: layers.Conv2D(5, 3, padding="same"),
    "without bias": lambda: layers.Conv2D(5, 3, use_bias=False, strides=2),
    "dilated": lambda: layers.Conv2D(5, 3, dilation_rate=2, padding="same"),
    "transposed": lambda: layers.Conv2DTranspose(5, 4, strides=2, padding="same"),
    "dense": lambda: layers.Dense(5, use_bias=False),
}


@pytest.mark.parametrize("options", [{}, {"scale": False, "center": False}], ids=["scaled", "bare"])
@pytest.mark.parametrize("kind", FOLDED)
def test_batch_normalization_is_folded_into_the_layer_before_it(kind, options):
    image = keras.Input((None, None, CHANNELS))
    x = layers.BatchNormalization(epsilon=1e-5, **options)(FOLDED[kind]()(image))
    model = randomized(keras.Model(image, layers.ReLU()(x)))
    folded = fold_batch_normalization(model)
    assert "BatchNormalization" not in {type(layer).__name__ for layer in folded.layers}
    assert len(folded.layers) == len(model.layers) - 1
    x = noise(2, *SIZE, CHANNELS)
    assert_alike([folded(x), accelerate(model, "inference")(x)], [model(x)] * 2)


def test_folding_is_the_formula():
    image = keras.Input((None, None, 1))
    normalization = layers.BatchNormalization(epsilon=0.5)
    model = keras.Model(image, normalization(layers.Conv2D(1, 1)(image)))
    # kernel, bias; gamma, beta, mean, variance
    model.set_weights([np.full((1, 1, 1, 1), 3.0), *np.array([[1.0], [4.0], [7.0], [2.0], [3.5]])])
    kernel, bias = fold_batch_normalization(model).get_weights()
    assert kernel.item() == 4 * 3 / 2 and bias.item() == 4 * (1 - 2) / 2 + 7


@pytest.mark.parametrize(
    "between",
    [
        lambda x: layers.ReLU()(x),
        lambda x: layers.MaxPooling2D()(x),
        lambda x: layers.Conv2D(4, 1, activation="relu")(x),
    ],
    ids=["relu", "pool", "activation"],
)
def test_what_stands_between_keeps_a_batch_normalization_from_being_folded(between):
    image = keras.Input((None, None, CHANNELS))
    x = layers.BatchNormalization()(between(layers.Conv2D(4, 3)(image)))
    model = randomized(keras.Model(image, x))
    assert "BatchNormalization" in {type(layer).__name__ for layer in fold_batch_normalization(model).layers}
    x = noise(2, *SIZE, CHANNELS)
    assert_alike([accelerate(model, "inference")(x)], [model(x)])


def test_a_map_that_others_see_too_is_normalized_for_itself():
    image = keras.Input((None, None, CHANNELS))
    shared = layers.Conv2D(4, 3)(image)
    model = keras.Model(image, layers.Add()([shared, layers.BatchNormalization()(shared)]))
    x = noise(2, *SIZE, CHANNELS)
    assert_alike([accelerate(randomized(model), "inference")(x)], [model(x)])


@pytest.mark.parametrize("kernel_size", [3, (1, 5), 1])
@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("size", [SIZE, (4, 3)])  # Larger and smaller than the grids.
@pytest.mark.parametrize("place", [0, 1, 3])  # Of the large map among the coarse ones.
def test_coarse_maps_meet_the_kernel_without_being_resized(size, align_corners, kernel_size, place):
    x = keras.Input((None, None, CHANNELS))
    maps = [AdaptiveAveragePooling2D(bins)(x) for bins in (1, 2, 6)]
    maps = [ResizeLike(align_corners)([layers.Conv2D(4, 1)(each), x]) for each in maps]
    maps.insert(place, x)
    joined = layers.Concatenate()(maps)
    convolution = layers.Conv2D(5, kernel_size, padding="same", activation="tanh")
    model = randomized(keras.Model(x, convolution(joined)))
    for weight in model.weights:
        weight.assign(weight / 40)  # Where tanh is neither straight nor flat.
    assert "PyramidConv2D" in replaced(model, "training") & replaced(model, "inference")
    image = noise(2, *size, CHANNELS)
    found = outputs_and_gradients(accelerate(model, "training"), image, training=True)
    expected = outputs_and_gradients(model, image, training=True)
    assert len(found) == len(expected)
    ours = dict(
        zip([w.path for w in accelerate(model, "training").trainable_weights], found[2:], strict=True)
    )
    theirs = dict(zip([w.path for w in model.trainable_weights], expected[2:], strict=True))
    assert_alike([*found[:2], *ours.values()], [*expected[:2], *(theirs[path] for path in ours)])


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("layer", ["like", "by a factor"])
def test_resizing_in_one_operation_is_resizing(layer, align_corners):
    x = keras.Input((None, None, CHANNELS))
    if layer == "like":
        resized = ResizeLike(align_corners)([layers.MaxPooling2D(3)(x), x])
    else:
        resized = BilinearUpSampling2D(3, align_corners)(x)
    model = keras.Model(x, resized)
    assert replaced(model, "training") == replaced(model, "inference") == {"FusedResize"}
    for size in (SIZE, (5, 31)):
        image = noise(2, *size, CHANNELS)
        found = outputs_and_gradients(accelerate(model, "training"), image, training=True)
        assert_alike(found, outputs_and_gradients(model, image, training=True))


def test_what_an_accelerated_network_learns_the_plain_one_knows():
    model = randomized(build_model("unet", 3, widths=(4, 6), decoder_widths=(4,)))
    training = accelerate(model, "training")
    assert {id(weight) for weight in training.weights} == {id(weight) for weight in model.weights}
    assert [w.path for w in training.trainable_weights] == [w.path for w in model.trainable_weights]
    image = noise(1, 8, 8, 3)
    before = np.asarray(model(image))
    training.compile("sgd", "mse")
    training.train_on_batch(image, noise(1, 8, 8, 3))
    assert np.abs(np.asarray(model(image)) - before).max() > 1e-3
    assert_alike([training(image, training=False)], [model(image, training=False)])
    assert_alike([accelerate(model, "inference")(image)], [model(image, training=False)])


def test_the_plain_network_stays_what_it_was():
    model = build_narrow("pspnet", 3)
    config = model.get_config()
    accelerate(model, "training")
    accelerate(model, "inference")
    assert model.get_config() == config
    assert {layer.output.name for layer in model.layers if layer.name == "head_conv"}


def test_a_layer_that_is_not_to_learn_does_not():
    model = randomized(build_model("unet", 3, widths=(4, 6), decoder_widths=(4,)))
    training = accelerate(model, "training")
    for layer in model.layers:
        layer.trainable = layer.name == "logits"
    assert [weight.path for weight in training.trainable_weights] == ["logits/kernel", "logits/bias"]
    before = model.get_weights()
    training.compile("sgd", "mse")
    training.train_on_batch(noise(1, 8, 8, 3), noise(1, 8, 8, 3))
    changed = {
        weight.path
        for weight, old in zip(model.weights, before, strict=True)
        if np.any(old != np.asarray(weight))
    }
    assert changed == {"logits/kernel", "logits/bias"}


def test_elsewhere_than_on_a_cpu_only_batch_normalization_is_folded():
    model = build_narrow("deeplabv3", 3)
    plain = {type(layer).__name__ for layer in model.layers}
    for device in ("gpu", "tpu", "jax"):
        assert {type(layer) for layer in accelerate(model, "training", device).layers} == {
            type(layer) for layer in model.layers
        }
        found = {type(layer).__name__ for layer in accelerate(model, "inference", device).layers}
        assert found == plain - {"BatchNormalization"}


def test_float16_stays_plain():
    model = network_of(layers.Conv2D(4, 3, dilation_rate=2, padding="same", dtype="mixed_float16"))
    assert replaced(model, "training") == set()


def test_a_compiled_model_is_not_compiled_again():
    model = network_of(layers.Conv2D(4, 1))
    model.compile(loss=lambda truth, outputs: outputs)  # Keras could not write it down and read it again.
    assert not accelerate(model, "inference").compiled


def test_a_model_that_is_no_graph_of_layers_is_returned_as_it_is():
    class Doubled(keras.Model):
        def call(self, x):
            return 2 * x

    model = Doubled()
    assert accelerate(model, "inference") is model


def test_an_unknown_purpose_is_refused():
    with pytest.raises(ValueError, match=r"one of \('training', 'inference'\), received 'test'"):
        accelerate(network_of(layers.Conv2D(4, 1)), "test")


def test_rules_have_names_of_their_own_and_are_explained():
    assert len({rule.name for rule in RULES}) == len(RULES) == 10
    page = Path(__file__).parents[2] / "docs/explanation/acceleration.md"
    table = [
        line.split(" | ")[0][2:] for line in page.read_text(encoding="utf-8").splitlines() if " | " in line
    ]
    assert sorted(table[2:]) == sorted(rule.name for rule in RULES)  # The first two are the heading.
