"""ResNet encoders: against keras.applications, against themselves at other strides, and by their names."""

import keras
import numpy as np
import pytest

from keras_seg.encoders import RESNETS, encoder_layers, freeze_encoder, mark_encoder, resnet
from keras_seg.errors import InputError
from keras_seg.layers import Preprocessing
from keras_seg.models import build_model
from keras_seg.registry import encoders
from tests.models.helpers import build_narrow

# With their classifiers of 1000 classes: torchvision's figures, Keras's less its 53,120 batch statistics
# of ResNet50 and 105,344 of ResNet101.
PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnet50_keras": 25_636_712 - 53_120,
    "resnet101_keras": 44_707_176 - 105_344,
    "resnet152_keras": 60_419_944 - 151_424,
}


def encoder_model(name, output_stride=32, input_shape=(None, None, 3)):
    image = keras.Input(input_shape)
    return keras.Model(image, list(encoders()[name].build(image, output_stride=output_stride).stages))


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


@pytest.fixture(scope="module", params=("resnet18", "resnet50", "resnet50_keras", "vgg16"))
def strided(request):
    model = encoder_model(request.param)
    randomize(model)
    return request.param, model


def image(height, width):
    return np.random.default_rng(5).normal(0, 1, (1, height, width, 3)).astype("float32")


@pytest.mark.parametrize("output_stride", (8, 16))
def test_dilated_maps_hold_the_strided_maps_at_every_nth_pixel(strided, output_stride):
    name, model = strided
    if output_stride not in encoders()[name].output_strides:
        pytest.skip("this encoder has not that output stride")
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
def test_weights_are_as_many_as_published(name, monkeypatch):
    zeros = keras.initializers.Zeros()  # A count asks for no random numbers.
    monkeypatch.setattr(
        keras.initializers.VarianceScaling, "__call__", lambda self, shape, dtype=None: zeros(shape, dtype)
    )
    parameters = sum(int(np.prod(weight.shape)) for weight in encoder_model(name).trainable_weights)
    assert parameters == PARAMETERS[name] - (encoders()[name].channels[-1] + 1) * 1000


@pytest.mark.parametrize("name", ("resnet18", "resnet50", "vgg16", "vgg16_bn"))
def test_stages_have_the_channels_and_strides_that_the_row_says(name):
    row = encoders()[name]
    shapes = [stage.shape for stage in encoder_model(name, input_shape=(64, 96, 3)).outputs]
    assert shapes == [
        (None, 64 // stride, 96 // stride, channels)
        for stride, channels in zip(row.strides, row.channels, strict=True)
    ]


def network(name="unet", **options):
    return build_narrow(name, 2, **options)


def test_an_encoder_is_all_that_leads_to_its_stages():
    model = network("deeplabv3plus", encoder="resnet18")
    names = encoder_layers(model)
    weighted = {layer.name for layer in model.layers if layer.weights}
    assert {"conv1", "bn1", "layer4_1_conv2"} <= set(names)
    decoder = {name for name in weighted if name.startswith(("aspp", "reduce", "fuse", "score"))}
    assert weighted - set(names) == decoder
    assert not {"image", "preprocessing"} & set(names)


def test_stages_are_frozen_from_the_image_on():
    model = network("pspnet", encoder="resnet18")
    frozen = freeze_encoder(model, stages=3)
    learning = {layer.name for layer in model.layers if layer.trainable_weights}
    assert {"conv1", "layer1_0_conv1", "layer2_0_conv1"} <= set(frozen)
    assert "layer3_0_conv1" in learning and not learning & set(frozen)
    freeze_encoder(model, frozen=False)
    assert {layer.name for layer in model.layers if layer.trainable_weights} > learning


def test_a_network_of_other_stages_or_none_is_refused():
    model = network("unet")
    with pytest.raises(InputError, match="unet has 4 encoder stages, received 7"):
        freeze_encoder(model, stages=7)
    image = keras.Input((None, None, 3))
    other = keras.Model(image, keras.layers.Conv2D(2, 1)(image), name="other")
    with pytest.raises(InputError, match="other does not say which of its layers are the encoder"):
        freeze_encoder(other)


def test_a_stage_that_ends_in_an_operation_is_refused():
    image = keras.Input((None, None, 3))
    x = Preprocessing("none")(image)
    with pytest.raises(ValueError, match="a stage must end in a layer, such as Add"):
        mark_encoder(image, [x + x])


def test_wrong_arguments_name_the_choices():
    x = keras.Input((None, None, 3))
    with pytest.raises(ValueError, match=r"output_stride must be one of \(8, 16, 32\), received 4"):
        resnet(x, output_stride=4)
    with pytest.raises(ValueError, match=r"encoder must be one of .*'resnet50'.*received 'resnet19'"):
        resnet(x, encoder="resnet19")


def test_an_unknown_encoder_lists_those_that_fit():
    with pytest.raises(
        ValueError, match=r"encoder must be one of .*resnet18, .*vgg16_bn.*received 'resnet19'"
    ):
        build_model("fcn8", 2, encoder="resnet19")
    with pytest.raises(ValueError, match=r"must be one of (?!.*vgg16).*resnet18.*, received 'caffenet'"):
        build_model("deeplabv2", 2, encoder="caffenet")


def test_an_encoder_that_cannot_be_dilated_so_far_says_so():
    with pytest.raises(ValueError, match="vgg16 has output stride 16 or 32, received 8; give output_stride"):
        build_model("deeplabv2", 2, encoder="vgg16")
