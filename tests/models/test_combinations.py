"""Encoders under the networks that take them: some always, all under `python -m tests.combinations`."""

import keras
import numpy as np
import pytest

from keras_seg.encoders.applications import original
from keras_seg.errors import InputError
from keras_seg.models import MODELS, build_model
from keras_seg.pretrained import load_weights, resolve_weights
from keras_seg.registry import encoders, networks
from tests import combinations
from tests.models.helpers import build_narrow, free
from tests.pretrained.test_classifiers import write_published
from tools.combinations import decoders, fitting_options, has_option

PAIRS = (
    *(("unet", "resnet18"), ("unet", "vgg16_bn"), ("unet", "mobilenet_v2"), ("fcn8", "resnet34")),
    *(("fcn16", "vgg16_bn"), ("fcn32", "resnet152"), ("refinenet", "vgg16"), ("pspnet", "vgg16_bn")),
    *(
        ("deeplabv2", "vgg16"),
        ("deeplabv3", "vgg16"),
        ("deeplabv3plus", "resnet152_keras"),
        ("fastfcn", "vgg16"),
    ),
)


@pytest.fixture(scope="module", autouse=True)
def memory():
    yield
    free()


@pytest.mark.parametrize(("network", "encoder"), PAIRS)
def test_a_network_runs_on_an_encoder_that_fits(network, encoder):
    combinations.check(networks()[network], encoders()[encoder])


@pytest.mark.long
def test_every_network_runs_on_every_encoder_that_fits():
    assert combinations.main() == 0


def test_what_does_not_fit_is_refused():
    for network in decoders():
        for encoder in encoders().values():
            if fitting_options(network, encoder) is None:
                refusal = f"'{encoder.name}'|{encoder.name} has (output stride|no map at stride 2)"
                with pytest.raises(ValueError, match=refusal):
                    build_model(network.name, 2, encoder=encoder.name)


def test_every_network_with_an_encoder_option_is_among_them():
    builders = {networks()[name].builder for name in MODELS if has_option(networks()[name], "encoder")}
    assert {row.builder for row in decoders()} == builders


@pytest.fixture(scope="module")
def mobilenet():
    """Keras's own network with weights and statistics that differ from all others."""
    keras.utils.set_random_seed(0)
    network = original("MobileNetV2")
    chance = np.random.default_rng(3)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([chance.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    return network


@pytest.fixture
def published(mobilenet, tmp_path):
    """A file in the layout and under the name that Keras publishes."""
    path = tmp_path / encoders()["mobilenet_v2"].weights[0].name
    weights = {
        layer.name: {variable.name: np.asarray(variable) for variable in layer.weights}
        for layer in mobilenet.layers
        if layer.weights
    }
    write_published(path, weights, "kernel")
    return path


def test_an_encoder_of_keras_has_its_outputs_and_takes_its_file(mobilenet, published, tmp_path):
    path, line = resolve_weights("unet", "imagenet", tmp_path, encoder="mobilenet_v2")
    assert path == published and line == f"weights: {path}, which was there."
    model = build_model("unet", 2, encoder="mobilenet_v2", decoder_widths=(8, 8, 8, 8))
    loaded = load_weights(model, path)
    assert "unet: loaded 104 layers from" in loaded and "up1_conv1" in loaded
    images = np.random.default_rng(5).uniform(0, 255, (1, 128, 128, 3)).astype("float32")
    features = keras.Model(model.input, model.get_layer("out_relu").output)(images)
    expected = np.asarray(mobilenet(keras.applications.mobilenet_v2.preprocess_input(images.copy())))
    np.testing.assert_allclose(np.asarray(features), expected, rtol=0, atol=1e-5 * expected.max())


def test_a_file_of_keras_is_refused_by_other_encoders_and_other_preprocessing(published):
    with pytest.raises(InputError, match="holds MobileNetV2, on which unet is not built"):
        load_weights(build_narrow("unet", 2), published)
    model = build_model("unet", 2, encoder="mobilenet_v2", decoder_widths=(8, 8, 8, 8), preprocessing="torch")
    with pytest.raises(InputError, match="was trained with preprocessing 'tf' and unet has 'torch'"):
        load_weights(model, published)


def test_a_file_under_the_name_of_another_network_is_refused(mobilenet, published):
    path = published.with_name(encoders()["mobilenet_v3_small"].weights[0].name)
    published.rename(path)
    model = build_model("unet", 2, encoder="mobilenet_v3_small", decoder_widths=(8, 8, 8, 8))
    with pytest.raises(InputError, match="does not hold the weights of MobileNetV3Small: ") as error:
        load_weights(model, path)
    assert len(str(error.value).splitlines()) == 1
