"""What XLA compiles, as it does by default on a GPU: the right numbers, and each step once."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_seg.losses import SegmentationLoss
from keras_seg.models import MODELS
from tests.backend_answers import randomize
from tests.model_helpers import NUM_CLASSES, build_narrow, free, images

SIZE = (
    33,
    47,
)  # No multiple of any stride: what XLA makes of TensorFlow's own resizing would be wrong there.


def loss_and_gradients(model, is_compiled):
    masks = np.random.default_rng(7).integers(0, NUM_CLASSES, (2, *SIZE))
    loss = SegmentationLoss("ce")

    @tf.function(jit_compile=is_compiled, autograph=False)
    def step(images, masks):
        with tf.GradientTape() as tape:
            value = loss(masks, model(images, training=True))
        return value, tape.gradient(value, [weight.value for weight in model.trainable_variables])

    return step(tf.constant(images(2, *SIZE)), tf.constant(masks))


@pytest.mark.long
@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_training_step_has_the_same_loss_and_gradients(name):
    check_compiled(name)


@pytest.mark.parametrize("name", ["deeplabv3_resnet50"])
def test_resizing_by_no_whole_factor_is_right_under_xla(name):
    check_compiled(name)


def check_compiled(name):
    keras.utils.set_random_seed(0)
    model = build_narrow(name)
    randomize(model)
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Dropout, keras.layers.SpatialDropout2D)):
            layer.rate = 0.0  # The two ways draw other numbers.
    kept = model.get_weights()
    loss, gradients = loss_and_gradients(model, is_compiled=False)
    statistics = model.get_weights()
    model.set_weights(kept)
    compiled_loss, compiled_gradients = loss_and_gradients(model, is_compiled=True)
    np.testing.assert_allclose(compiled_loss, loss, rtol=1e-5)
    largest = max(np.abs(gradient).max() for gradient in gradients)
    for weight, ours, theirs in zip(model.trainable_variables, compiled_gradients, gradients, strict=True):
        assert np.abs(ours - theirs).max() <= 1e-5 * largest, weight.path
    for ours, theirs in zip(model.get_weights(), statistics, strict=True):
        assert np.abs(ours - theirs).max() <= 1e-5 * max(np.abs(theirs).max(), 1e-3)
    free()


COUNT = """
import sys
import numpy as np
from keras_seg.training import TrainConfig
from keras_seg.training.building import build_training
options = {"widths": (4, 6), "decoder_widths": (4,)}
config = TrainConfig(model="unet", weights="none", model_options=options)
model = build_training(config, 3, 2, fresh=True, report=print).model
model.jit_compile = True  # As on a GPU.
def pairs(sizes):
    for size in sizes:
        yield np.zeros((1, size, 9, 3), "float32"), np.zeros((1, size, 9), "int32")
model.fit(*next(pairs([8])), epochs=1, verbose=0)
for batch in pairs(range(8, 8 + int(sys.argv[1]))):
    model.evaluate(*batch, verbose=0)
"""


def compilations(validation_sizes, folder):
    """Modules that XLA compiles in a training whose validation images have so many sizes."""
    environment = {**os.environ, "XLA_FLAGS": f"--xla_dump_to={folder} --xla_dump_hlo_as_text"}
    arguments = [sys.executable, "-c", COUNT, str(validation_sizes)]
    subprocess.run(arguments, env=environment, check=True, capture_output=True)
    return len(list(folder.glob("*before_optimizations.txt")))


def test_validation_images_of_twenty_sizes_are_compiled_no_more_often_than_of_one(tmp_path):
    one, twenty = (compilations(count, tmp_path / str(count)) for count in (1, 20))
    assert one == twenty >= 1
