"""One contract that every network of MODELS keeps.

The battery runs on narrow and shallow builds, as nothing in it depends on how wide a convolution is or how
often a block repeats. The counts of parameters are those of the full networks; tests/parity runs them at full
width.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_seg.encoders import freeze_encoder
from keras_seg.encoders.pyramid import ENCODER_LAYER
from keras_seg.models import MODELS, build_model
from keras_seg.models.summary import parameters, rows
from tests.model_helpers import NUM_CLASSES, build_narrow, free, images

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.processor

TINY_SIZES = ((1, 1), (2, 3))
ODD_SIZE = (33, 47)
# Trainable parameters with 21 classes, of the originals: VGG16's published 138,357,544 with its last layer
# (4,097,000) replaced by scores and upsampling; torchvision's published figures less the auxiliary head; the
# references' own counts (tests/parity/fixtures); U-Net on other widths counted by hand.
AUX_HEAD = (9 * 1024 + 2) * 256 + (256 + 1) * NUM_CLASSES
VGG16_TO_FC7 = 138_357_544 - 4_097_000
SCORES = {channels: (channels + 1) * NUM_CLASSES for channels in (256, 512, 4096)}


def kernels(*sizes):
    """Weights of bilinear kernels between all classes."""
    return sum(size * size * NUM_CLASSES**2 for size in sizes)


FCN8_SCORES = SCORES[4096] + SCORES[512] + SCORES[256]


def double_convs(*channels):
    """Pairs of 3x3 convolutions (in, middle, out), each with a bias and batch norm's scale and shift."""
    return sum((9 * a + 3) * b + (9 * b + 3) * c for a, b, c in channels)


LAST = (64 + 1) * NUM_CLASSES
UNET_PAPER = (
    double_convs((3, 64, 64), (64, 128, 128), (128, 256, 256), (256, 512, 512), (512, 1024, 1024))
    + sum((4 * 2 * c + 1) * c for c in (512, 256, 128, 64))
    + double_convs(*((2 * c, c, c) for c in (512, 256, 128, 64)))
    + LAST
)
VGG16_CONVOLUTIONS = 14_714_688
UNET_VGG16 = (
    VGG16_CONVOLUTIONS
    + double_convs((1024, 512, 512), (768, 256, 256), (384, 128, 128), (192, 64, 64))
    + LAST
)
ALEXNET_TO_FC7 = 60_965_224 - 4_097_000
PARAMETERS = {
    "fcn8": VGG16_TO_FC7 + FCN8_SCORES + kernels(4, 4, 16),
    "fcn16": VGG16_TO_FC7 + SCORES[4096] + SCORES[512] + kernels(4, 32),
    "fcn32": VGG16_TO_FC7 + SCORES[4096] + kernels(64),
    "fcn8_atonce": VGG16_TO_FC7 + FCN8_SCORES + kernels(4, 4, 16),
    "fcn8_caffe": VGG16_TO_FC7 + FCN8_SCORES,
    "fcn16_caffe": VGG16_TO_FC7 + SCORES[4096] + SCORES[512],
    "fcn32_caffe": VGG16_TO_FC7 + SCORES[4096],
    "fcn8_atonce_caffe": VGG16_TO_FC7 + FCN8_SCORES,
    "fcn_alexnet": ALEXNET_TO_FC7 + SCORES[4096],
    "fcn8_resnet50": 23_710_367,
    "fcn_resnet50": 35_322_218 - AUX_HEAD,
    "fcn_resnet101": 54_314_346 - AUX_HEAD,
    "fcn8_vgg16_bn": 24_162_113 + 20 * 257,  # Published with one class.
    "unet": 4_321_269,
    "unet_paper": UNET_PAPER,
    "unet_vgg16": UNET_VGG16,
    "segnet": 29_455_125,
    "refinenet": 90_759_765,
    "pspnet": 46_592_597,
    "deeplabv1": 20_505_429,
    "deeplabv2": 25_056_404,
    "deeplabv3": 39_638_869,
    "deeplabv3_resnet50": 42_004_074 - AUX_HEAD,
    "deeplabv3_resnet101": 60_996_202 - AUX_HEAD,
    "deeplabv3plus": 40_352_181,
    "fastfcn": 85_185_973,
}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    """One network at a time: built once, and gone before the next one is built."""
    keras.utils.set_random_seed(0)
    yield build_narrow(request.param)
    free()


@pytest.fixture(scope="module")
def answer(model):
    """The logits of one odd image."""
    return np.asarray(model(images(1, *ODD_SIZE), training=False))


def assert_same_answer(logits, answer):
    assert np.max(np.abs(np.asarray(logits) - answer)) <= 1e-5 * max(np.max(np.abs(answer)), 1e-3)


def test_logits_are_float32_of_the_images_size_even_for_one_pixel(model, answer):
    tiny = [np.asarray(model(images(1, *size), training=False)) for size in TINY_SIZES]
    for size, logits in zip((*TINY_SIZES, ODD_SIZE), (*tiny, answer), strict=True):
        assert logits.shape == (1, *size, NUM_CLASSES)
        assert logits.dtype == "float32"
        assert np.all(np.isfinite(logits))


def test_saved_network_reloads_without_custom_objects(model, answer):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        reloaded = keras.saving.load_model(path)
    assert reloaded.name == model.name
    assert_same_answer(reloaded(images(1, *ODD_SIZE), training=False), answer)


def test_exported_network_answers_alike_at_any_size(model, answer):
    with tempfile.TemporaryDirectory() as folder:
        # As `model.export`, less its walk through every layer in search of lookup tables and its second
        # trace of the model, which take seconds.
        network = tf.function(lambda image: model(image, training=False), autograph=False)
        network = network.get_concrete_function(tf.TensorSpec([None, None, None, 3]))
        archive = keras.export.ExportArchive()
        archive.add_endpoint("serve", lambda image: network(image), model.inputs)
        archive.write_out(folder, verbose=False)
        exported = tf.saved_model.load(folder)
        assert_same_answer(exported.serve(images(1, *ODD_SIZE)), answer)
        assert exported.serve(images(2, 1, 5)).shape == (2, 1, 5, NUM_CLASSES)


def test_frozen_encoder_keeps_its_batch_statistics(model):
    names = freeze_encoder(model)
    try:
        assert names
        moving = {
            (layer.name, weight.name): weight
            for layer in model.layers
            for weight in layer.non_trainable_weights
            if "moving" in weight.name
        }
        before = {path: np.asarray(weight) for path, weight in moving.items()}
        model(images(3, *ODD_SIZE), training=True)
        for (layer, weight), value in before.items():
            changed = np.any(value != np.asarray(moving[layer, weight]))
            assert changed == (layer not in names), (layer, weight)
        for layer in model.layers:
            if ENCODER_LAYER.match(layer.name):
                assert not layer.trainable_weights
    finally:
        freeze_encoder(model, frozen=False)


def test_one_training_step_changes_every_trainable_weight(model):
    rng = np.random.default_rng(7)
    for weight in model.trainable_weights:
        # Scores that start at zero let no gradient through to the layers below in the first step.
        if "kernel" in weight.name and not np.any(np.asarray(weight)):
            weight.assign(rng.normal(0, 0.1, weight.shape))
    # Lion moves a weight by the sign of its gradient, so that no small gradient is lost to rounding.
    model.compile(
        optimizer=keras.optimizers.Lion(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,
    )
    before = [np.asarray(weight) for weight in model.trainable_weights]
    model.train_on_batch(images(3, *ODD_SIZE), rng.integers(0, NUM_CLASSES, (3, *ODD_SIZE)))
    for old, weight in zip(before, model.trainable_weights, strict=True):
        assert np.any(old != np.asarray(weight)), weight.path


@pytest.mark.parametrize("name", MODELS)
def test_trainable_parameters_are_the_originals_and_the_tables(name, monkeypatch):
    # A count does not ask for random numbers, a hundred million of which take seconds.
    zeros = keras.initializers.Zeros()
    monkeypatch.setattr(
        keras.initializers.VarianceScaling, "__call__", lambda self, shape, dtype=None: zeros(shape, dtype)
    )
    listed = {row.network: row.parameters for row in rows()}
    try:
        assert parameters(build_model(name, NUM_CLASSES)) == PARAMETERS[name] == listed[name]
    finally:
        free()


@pytest.mark.bfloat16
def test_mixed_precision_gives_float32_logits(model):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = build_narrow(model.name)
        logits = mixed(images(1, 5, 6), training=False)
    finally:
        keras.config.set_dtype_policy(policy)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert logits.shape == (1, 5, 6, NUM_CLASSES)
    assert {layer.compute_dtype for layer in mixed.layers} >= {"bfloat16"}
