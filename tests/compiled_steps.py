"""`python -m tests.compiled_steps NETWORK`: a training step under XLA against the same without it.

A process of its own, since XLA refuses some operations where another test has made TensorFlow deterministic.
"""

import sys

import keras
import numpy as np
import tensorflow as tf

from keras_seg.losses import SegmentationLoss
from tests.backend_answers import randomize
from tests.model_helpers import NUM_CLASSES, build_narrow, images

# No multiple of any stride: what XLA makes of TensorFlow's own resizing would be wrong there.
SIZE = (33, 47)


def loss_and_gradients(model, is_compiled):
    masks = np.random.default_rng(7).integers(0, NUM_CLASSES, (2, *SIZE))
    loss = SegmentationLoss("ce")

    @tf.function(jit_compile=is_compiled, autograph=False)
    def step(images, masks):
        with tf.GradientTape() as tape:
            value = loss(masks, model(images, training=True))
        return value, tape.gradient(value, [weight.value for weight in model.trainable_variables])

    return step(tf.constant(images(2, *SIZE)), tf.constant(masks))


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


if __name__ == "__main__":
    check_compiled(sys.argv[1])
