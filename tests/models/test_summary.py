"""The table of networks: its figures against published ones, and the page against the code."""

import json

import keras
import pytest
from keras import layers

from keras_seg.models import MODELS, build_model
from keras_seg.models.classifier import vgg16_classifier
from keras_seg.models.summary import rows
from tests.models.helpers import free
from tools.networks_page import DOCS, format_page, measure, multiply_adds
from tools.weights_page import format_weights


@pytest.fixture(autouse=True)
def free_networks(monkeypatch):
    # Counts ask for no random numbers, a hundred million of which take seconds.
    zeros = keras.initializers.Zeros()
    monkeypatch.setattr(
        keras.initializers.VarianceScaling, "__call__", lambda self, shape, dtype=None: zeros(shape, dtype)
    )
    yield
    free()


def test_multiply_adds_of_small_convolutions_are_those_by_hand():
    x = image = keras.Input((8, 6, 4))
    x = layers.Conv2D(10, 3, strides=2, padding="same", groups=2)(x)  # 4 x 3 pixels, 2 of 4 channels each.
    x = layers.Conv2DTranspose(5, 4, strides=2, padding="same")(x)
    model = keras.Model(image, layers.ReLU()(x))
    assert multiply_adds(model) == (4 * 3) * (3 * 3 * 2 * 10) + (4 * 3) * (4 * 4 * 10 * 5)


def test_multiply_adds_of_vgg16_are_the_published_ones():
    convolutions = sum(
        (224 >> stage) ** 2 * 9 * inputs * outputs
        for stage, inputs, outputs in (
            *((0, 3, 64), (0, 64, 64), (1, 64, 128), (1, 128, 128)),
            *((2, 128, 256), (2, 256, 256), (2, 256, 256)),
            *((3, 256, 512), (3, 512, 512), (3, 512, 512)),
            *((4, 512, 512), (4, 512, 512), (4, 512, 512)),
        )
    )
    dense = 7 * 7 * 512 * 4096 + 4096 * 4096 + 4096 * 1000
    assert round((convolutions + dense) / 1e9, 2) == 15.47  # torchvision's figure.
    assert multiply_adds(vgg16_classifier(1000, (224, 224, 3))) == convolutions + dense


@pytest.mark.parametrize(("name", "published"), [("fcn_resnet50", 152.717), ("deeplabv3_resnet50", 178.722)])
def test_multiply_adds_of_torchvisions_networks_are_the_published_ones(name, published):
    model = build_model(name, 21, (520, 520, 3), aux_head=True)
    assert round(multiply_adds(model) / 1e9, 3) == published


@pytest.mark.parametrize("name", ["unet", "fcn8_resnet50"])
def test_stored_figures_are_the_computed_ones(name):
    row = next(row for row in rows() if row.network == name)
    assert measure(name) == {"parameters": row.parameters, "multiply_adds": row.multiply_adds}


def test_page_is_the_generated_one_and_lists_every_network():
    assert [row.network for row in rows()] == list(MODELS)
    assert (DOCS / "reference" / "networks.md").read_text(encoding="utf-8") == format_page()


def test_page_of_weights_is_the_generated_one():
    assert (DOCS / "reference" / "weights.md").read_text(encoding="utf-8") == format_weights()


def test_parity_errors_are_those_that_the_parity_command_wrote():
    written = json.loads((DOCS / "parity.json").read_text(encoding="utf-8"))
    errors = {
        entry["network"]: max(entry["errors"].values()) for entry in written.values() if entry["is_default"]
    }
    errors.pop("vgg16_classifier")
    assert {row.network: row.parity_error for row in rows() if row.parity_error is not None} == errors
    counts = {row.network: row.parameters for row in rows()}
    for name in ("fcn8_caffe", "unet", "pspnet", "deeplabv1"):  # Others' references have another head.
        entry = next(entry for entry in written.values() if entry["network"] == name)
        assert entry["parameters"] == counts[name]
