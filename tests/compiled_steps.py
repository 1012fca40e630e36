"""`python -m tests.compiled_steps NETWORK`: a training step under XLA against the same without it.

`--count FOLDER`, where `XLA_FLAGS` is `--xla_dump_to=FOLDER`, prints besides how many programs XLA has
compiled when a training has validated images of one size, and when of twenty.

A process of its own, since XLA refuses some operations where another test has made TensorFlow deterministic.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_seg.losses import SegmentationLoss
from keras_seg.training import TrainConfig
from keras_seg.training.loop.building import build_training
from tests.backend_answers import randomize
from tests.models.helpers import NUM_CLASSES, build_narrow, images

# No multiple of any stride: what XLA makes of TensorFlow's own resizing would be wrong there.
SIZE = (33, 47)
# Of two pooled pixels batch normalization leaves hardly more than their signs, and a gradient of rounding.
BATCH = 4


def loss_and_gradients(model, is_compiled):
    masks = np.random.default_rng(7).integers(0, NUM_CLASSES, (BATCH, *SIZE))
    loss = SegmentationLoss("ce")

    @tf.function(jit_compile=is_compiled, autograph=False)
    def step(images, masks):
        with tf.GradientTape() as tape:
            value = loss(masks, model(images, training=True))
        return value, tape.gradient(value, [weight.value for weight in model.trainable_variables])

    return step(tf.constant(images(BATCH, *SIZE)), tf.constant(masks))


def check_compiled(name):
    """Compares loss, gradients and batch statistics."""
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


def count_compilations(folder):
    """Programs compiled by a training that validates images of one size, and that goes on with others."""
    config = TrainConfig(
        model="unet", weights="none", model_options={"widths": (4, 6), "decoder_widths": (4,)}
    ).resolve()
    model = build_training(config, 3, 2, fresh=True, report=lambda line: None).model
    model.jit_compile = True  # As on a GPU.

    def batch(size):
        return np.zeros((1, size, 9, 3), "float32"), np.zeros((1, size, 9), "int32")

    model.fit(*batch(8), epochs=1, verbose=0)
    counts = []
    for sizes in ([8], range(9, 28)):
        for size in sizes:
            model.evaluate(*batch(size), verbose=0)
        counts.append(len(list(folder.glob("*before_optimizations.txt"))))
    return counts


def main():
    """Compares, and counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("network")
    parser.add_argument("--count", type=Path)
    arguments = parser.parse_args()
    if arguments.count:
        print(*count_compilations(arguments.count), flush=True)
    check_compiled(arguments.network)


if __name__ == "__main__":
    main()
