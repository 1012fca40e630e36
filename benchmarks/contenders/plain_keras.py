"""FCN-8s as a user of Keras writes it: `Conv2D`, `Conv2DTranspose`, `compile`, `fit` and `predict`."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from keras_seg.benchmark.workers import STEPS

STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


def fcn8(num_classes):
    x = image = keras.Input((None, None, 3))
    pools = []
    for count, filters in STAGES:
        for _ in range(count):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(padding="same")(x)
        pools.append(x)
    for size in (7, 1):
        x = layers.Conv2D(4096, size, padding="same", activation="relu")(x)
        x = layers.Dropout(0.5)(x)
    x = layers.Conv2D(num_classes, 1)(x)
    for pool in (pools[3], pools[2]):
        x = layers.Conv2DTranspose(num_classes, 4, strides=2, padding="same", use_bias=False)(x)
        x = layers.Add()([x, layers.Conv2D(num_classes, 1)(pool)])
    logits = layers.Conv2DTranspose(
        num_classes, 16, strides=8, padding="same", use_bias=False, dtype="float32"
    )(x)
    return keras.Model(image, logits)


def training(size, batch_size, num_classes=21, precision="float32"):
    """SGD with momentum on random images."""
    keras.config.set_dtype_policy(precision)
    model = fcn8(num_classes)
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


def prediction(size, batch_size=1, num_classes=21):
    """Class ids of random images."""
    model, images = fcn8(num_classes), _images(size, batch_size)
    return lambda: model.predict_on_batch(images).argmax(-1).astype(np.uint8)


def _images(size, batch_size):
    """Their sides are rounded up to multiples of 32, since no map is cropped."""
    height, width = (-(-side // 32) * 32 for side in size)
    return np.random.default_rng(0).normal(size=(batch_size, height, width, 3)).astype(np.float32)
