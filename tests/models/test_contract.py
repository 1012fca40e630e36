"""One contract that every network of MODELS keeps, in all its outputs.

The battery runs on narrow and shallow builds, as nothing in it depends on how wide a convolution is or how
often a block repeats. The counts of parameters are those of the full networks; tests/parity runs them at full
width.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_seg
from keras_seg.acceleration import accelerate
from keras_seg.encoders import encoder_layers, freeze_encoder
from keras_seg.losses import SegmentationLoss
from keras_seg.models import MODELS, build_model
from keras_seg.models.summary import rows
from keras_seg.palette import default_colors
from keras_seg.registry import networks
from keras_seg.serving import export_saved_model
from keras_seg.serving.litert_export import litert_runner, write_litert
from keras_seg.serving.onnx_export import onnx_runner, write_onnx
from keras_seg.training.optim.optimizers import build_optimizer
from keras_seg.training.run_state.checkpoints import state_groups
from keras_seg.training.run_state.state import Progress, restore_state, states, write_state
from tests.backend_answers import randomize
from tests.models.fresh_processes import Worker
from tests.models.helpers import NUM_CLASSES, build_narrow, free, images
from tools.networks_page import parameters

TINY_SIZES = ((1, 1), (2, 3))
ODD_SIZES = ((33, 47), (61, 39))
CLASSES = tuple(f"class {index}" for index in range(NUM_CLASSES))
COLORS = default_colors(NUM_CLASSES)


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    """One network at a time: built once, with no weight left at zero, and gone before the next."""
    keras.utils.set_random_seed(0)
    model = build_narrow(request.param)
    randomize(model)
    yield model
    free()


@pytest.fixture(scope="module")
def outputs(model):
    """The logits of an image of each odd size, of which none is a comparison of zeros."""
    found = [np.asarray(model(images(1, *size), training=False)) for size in ODD_SIZES]
    assert min(np.abs(logits).max() for logits in found) > 0.1
    return found


@pytest.fixture(scope="module")
def fresh_keras():
    with Worker("keras") as worker:
        yield worker


@pytest.fixture(scope="module")
def fresh_loader():
    with Worker("savedmodel") as worker:
        yield worker


def assert_same_outputs(function, outputs, *, limit=1e-5):
    """Compares what a function makes of the images of odd sizes with a network's own logits of them."""
    for size, expected in zip(ODD_SIZES, outputs, strict=True):
        found = np.asarray(function(images(1, *size)))
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= limit * np.abs(expected).max()


@pytest.mark.processor
def test_logits_are_float32_of_the_images_size_even_for_one_pixel(model, outputs):
    tiny = [np.asarray(model(images(1, *size), training=False)) for size in TINY_SIZES]
    for size, logits in zip((*TINY_SIZES, *ODD_SIZES), (*tiny, *outputs), strict=True):
        assert logits.shape == (1, *size, NUM_CLASSES)
        assert logits.dtype == "float32"
        assert np.all(np.isfinite(logits))


def test_a_file_of_it_names_keras_layers_and_those_that_keras_lacks(model):
    ours = {name for name, layer in vars(keras_seg.layers).items() if isinstance(layer, type)}
    assert len(ours) <= 10
    for layer in model.get_config()["layers"]:
        if layer["module"] != "keras.layers":
            assert layer["class_name"] in ours and layer["registered_name"].startswith("keras_seg>")


@pytest.mark.processor
@pytest.mark.parametrize("purpose", ["training", "inference"])
def test_the_accelerated_network_has_the_same_outputs(model, outputs, purpose):
    accelerated = accelerate(model, purpose)
    assert_same_outputs(lambda x: accelerated(x, training=False), outputs)


def test_a_saved_network_loads_in_a_process_that_imported_keras_seg_alone(model, outputs, fresh_keras):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        assert_same_outputs(lambda x: fresh_keras.logits(path, x), outputs)
        again, by_keras = keras_seg.load_model(path), keras.saving.load_model(path)
    assert encoder_layers(again) == encoder_layers(model)
    assert again.get_config() == by_keras.get_config()
    assert_same_outputs(lambda x: again(x, training=False), outputs, limit=0)


def test_the_exported_network_has_the_same_outputs_in_the_servers_loader(model, outputs, fresh_loader):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "1")
        export_saved_model(model, path, classes=CLASSES, colors=COLORS)
        assert_same_outputs(lambda x: fresh_loader.logits(path, x), outputs)
        assert fresh_loader.logits(path, images(2, 1, 5)).shape == (2, 1, 5, NUM_CLASSES)


def test_its_onnx_file_has_the_same_outputs_in_onnxruntime(model, outputs):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        write_onnx(model, path, classes=CLASSES, colors=COLORS)
        run = onnx_runner(path)
        assert_same_outputs(run, outputs)
        assert run(images(2, 1, 5)).shape == (2, 1, 5, NUM_CLASSES)


# A conversion takes seconds, so the smaller size stands for both among the ordinary tests.
@pytest.mark.parametrize("size", [ODD_SIZES[0], pytest.param(ODD_SIZES[1], marks=pytest.mark.long)])
def test_its_litert_file_has_the_same_outputs_in_the_interpreter(model, outputs, size):
    expected = outputs[ODD_SIZES.index(size)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        write_litert(model, path, size, "float")
        found = litert_runner(path)(images(1, *size))
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_its_litert_file_of_eight_bit_weights_is_as_right_as_these(model, outputs):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        write_litert(model, path, ODD_SIZES[0], "dynamic")
        found = litert_runner(path)(images(1, *ODD_SIZES[0]))
    # A weight is off by half of 1/127 of its channel's largest, and some twenty layers add that up.
    assert 0 < np.abs(found - outputs[0]).mean() <= 0.05 * np.abs(outputs[0]).max()


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
        model(images(3, *ODD_SIZES[0]), training=True)
        for (layer, weight), value in before.items():
            changed = np.any(value != np.asarray(moving[layer, weight]))
            assert changed == (layer not in names), (layer, weight)
        assert not any(model.get_layer(name).trainable_weights for name in names)
    finally:
        freeze_encoder(model, frozen=False)


@pytest.mark.processor
def test_one_training_step_changes_every_trainable_weight(model):
    kept = model.get_weights()
    trained = accelerate(model, "training")
    # Lion moves a weight by the sign of its gradient, so that no small gradient is lost to rounding.
    trained.compile(
        optimizer=keras.optimizers.Lion(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,
    )
    before = [np.asarray(weight) for weight in model.trainable_weights]
    masks = np.random.default_rng(7).integers(0, NUM_CLASSES, (3, *ODD_SIZES[0]))
    trained.train_on_batch(images(3, *ODD_SIZES[0]), masks)
    for old, weight in zip(before, model.trainable_weights, strict=True):
        assert np.any(old != np.asarray(weight)), weight.path
    model.set_weights(kept)


@pytest.mark.processor
def test_a_training_goes_on_from_its_state_to_the_same_bits(model, tmp_path, eager):
    masks = np.random.default_rng(7).integers(0, NUM_CLASSES, (2, *ODD_SIZES[0]))
    batch = images(2, *ODD_SIZES[0]), masks
    kept = model.get_weights()

    def training():
        network = accelerate(model, "training")
        # With one state for each weight; tests/training/test_resume.py goes on with Adam's two.
        network.compile(build_optimizer("sgd", 1e-3, clip_norm=1.0), loss=SegmentationLoss("ce"))
        network.optimizer.build(model.trainable_variables)
        return network, state_groups(model, network.optimizer)

    network, groups = training()
    network.train_on_batch(*batch)
    write_state(tmp_path, Progress(2, step=1), groups)
    network.train_on_batch(*batch)
    expected = model.get_weights()
    model.set_weights(kept)
    network, groups = training()
    (path,) = states(tmp_path)
    restore_state(path, groups)
    network.train_on_batch(*batch)
    for found, weight in zip(model.get_weights(), expected, strict=True):
        assert np.isfinite(weight).all()
        np.testing.assert_array_equal(found, weight)
    model.set_weights(kept)


@pytest.mark.parametrize("name", MODELS)
def test_trainable_parameters_are_the_originals_and_the_tables(name, monkeypatch):
    # A count does not ask for random numbers, a hundred million of which take seconds.
    zeros = keras.initializers.Zeros()
    monkeypatch.setattr(
        keras.initializers.VarianceScaling, "__call__", lambda self, shape, dtype=None: zeros(shape, dtype)
    )
    row = networks()[name]
    listed = {row.network: row.parameters for row in rows()}
    try:
        counted = build_model(name, **{"num_classes": NUM_CLASSES, **row.counted})
        assert parameters(counted) == (row.parameters or parameters(counted))
        plain = counted if not row.counted else build_model(name, NUM_CLASSES)
        assert parameters(plain) == (listed[name] or parameters(plain))
    finally:
        free()


@pytest.mark.bfloat16
@pytest.mark.processor
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
