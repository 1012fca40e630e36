"""keras_seg's networks as Keras alone runs them: `compile`, `fit` and `predict`, with no layer replaced."""

import keras
import numpy as np
import tensorflow as tf

from benchmarks.harness.workers import STEPS
from keras_seg.models import build_model


def training(network, size, batch_size, num_classes=21, precision="float32"):
    """SGD with momentum on random images."""
    keras.config.set_dtype_policy(precision)
    model = build_model(network, num_classes)
    model.compile(
        keras.optimizers.SGD(1e-3, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255),
        metrics=["accuracy"],
    )
    images = _images(size, batch_size)
    masks = np.random.default_rng(1).integers(num_classes, size=images.shape[:3]).astype(np.int32)
    options = tf.data.Options()
    options.autotune.enabled = False  # As for ours.
    batches = tf.data.Dataset.from_tensors((images, masks)).repeat(STEPS).with_options(options)
    return lambda: model.fit(batches, verbose=0), {"steps": STEPS}


def prediction(network, size, batch_size=1, num_classes=21):
    """Class ids of random images."""
    model, images = build_model(network, num_classes), _images(size, batch_size)
    return lambda: model.predict_on_batch(images).argmax(-1).astype(np.uint8)


def _images(size, batch_size):
    return np.random.default_rng(0).integers(0, 256, (batch_size, *size, 3)).astype(np.float32)
