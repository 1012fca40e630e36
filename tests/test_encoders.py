"""ResNet encoders: against keras.applications, against themselves at other strides, and by their names."""

import keras
import numpy as np
import pytest

from keras_seg.encoders import RESNETS, freeze_encoder, resnet
from keras_seg.encoders.pyramid import ENCODER_LAYER

# With their classifiers of 1000 classes: torchvision's figures, Keras's less its 53,120 batch statistics
# of ResNet50 and 105,344 of ResNet101.
PARAMETERS = {
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet50_keras": 25_636_712 - 53_120,
    "resnet101_keras": 44_707_176 - 105_344,
}


def encoder_model(name, output_stride=32, input_shape=(None, None, 3)):
    image = keras.Input(input_shape)
    return keras.Model(image, list(resnet(image, encoder=name, output_stride=output_stride)))


def randomize(model):
    """Gives batch norms statistics that would betray a swap, a missing layer or another epsilon."""
    rng = np.random.default_rng(3)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])


def copy_by_name(source, target):
    for layer in target.layers:
        if layer.weights:
            layer.set_weights(source.get_layer(layer.name).get_weights())


@pytest.fixture(scope="module", params=("resnet50", "resnet50_keras"))
def strided(request):
    model = encoder_model(request.param)
    randomize(model)
    return request.param, model


def image(height, width):
    return np.random.default_rng(5).normal(0, 1, (1, height, width, 3)).astype("float32")


@pytest.mark.parametrize("output_stride", (8, 16))
def test_dilated_maps_hold_the_strided_maps_at_every_nth_pixel(strided, output_stride):
    name, model = strided
    dilated = encoder_model(name, output_stride)
    copy_by_name(model, dilated)
    x = image(67, 98)
    for stage, (ours, theirs) in enumerate(zip(dilated(x), model(x), strict=True)):
        step = max(1, (2 << stage) // output_stride)
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        np.testing.assert_allclose(
            ours[:, ::step, ::step], theirs, rtol=0, atol=1e-4 * np.max(np.abs(theirs))
        )


def test_keras_variant_is_keras_applications_resnet50():
    reference = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(None, None, 3))
    randomize(reference)
    ours = encoder_model("resnet50_keras")
    copy_by_name(reference, ours)
    assert ours.count_params() == reference.count_params()
    x = image(65, 96)
    expected = np.asarray(reference(x))
    np.testing.assert_allclose(
        np.asarray(ours(x)[-1]), expected, rtol=0, atol=1e-5 * np.max(np.abs(expected))
    )


def test_stages_have_the_papers_strides_and_channels():
    shapes = [stage.shape for stage in encoder_model("resnet50", 16, (64, 96, 3)).outputs]
    sizes = [(32, 48, 64), (16, 24, 256), (8, 12, 512), (4, 6, 1024), (4, 6, 2048)]
    assert shapes == [(None, *size) for size in sizes]


@pytest.mark.parametrize("name", RESNETS)
def test_every_weight_is_known_as_the_encoders_and_counted_as_published(name):
    model = encoder_model(name)
    parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert parameters == PARAMETERS[name] - (2048 + 1) * 1000
    assert all(ENCODER_LAYER.match(layer.name) for layer in model.layers if layer.weights)
    freeze_encoder(model)
    assert not model.trainable_weights


def test_wrong_arguments_name_the_choices():
    x = keras.Input((None, None, 3))
    with pytest.raises(ValueError, match=r"output_stride must be one of \(8, 16, 32\), received 4"):
        resnet(x, output_stride=4)
    with pytest.raises(ValueError, match=r"encoder must be one of .*'resnet50'.*received 'resnet18'"):
        resnet(x, encoder="resnet18")
