"""A training step and a prediction of a network, as the commands do them; `ours` makes contenders of them."""

import keras
import numpy as np
import tensorflow as tf

from benchmarks.harness.workers import STEPS
from keras_seg.inference import Predictor
from keras_seg.models import build_model
from keras_seg.training import TrainConfig
from keras_seg.training.loop.building import build_training, truth_for


def training(network, size, batch_size, num_classes=21, precision="float32"):
    """`fit` on random images, as `train.py` compiles it.

    Args:
        network: Key of `MODELS`.
        size: (height, width) in pixels.
        batch_size: Images a step.
        num_classes: Classes C.
        precision: Of `TrainConfig`.

    Returns:
        `(step, facts)` for a contender; a step is `facts["steps"]` batches.
    """
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(precision)
    config = TrainConfig(model=network, weights="none", optimizer="sgd", precision=precision).resolve()
    model = build_training(config, num_classes, 1000, fresh=True, report=lambda line: None).model
    images, masks = _example(size, batch_size, num_classes)
    batches = truth_for(model, tf.data.Dataset.from_tensors((images, masks)).repeat(STEPS))
    # The end of a tuned pipeline sometimes waits seconds for its tuner, which real epochs hide.
    options = tf.data.Options()
    options.autotune.enabled = False
    batches = batches.with_options(options)
    return lambda: model.fit(batches, verbose=0), {"steps": STEPS}


def prediction(network, size, batch_size=1, num_classes=21, precision="float32"):
    """`Predictor.predict_batch` of random images: class ids and confidence.

    Args:
        network, size, batch_size, num_classes: As for `training`.
        precision: Of `Predictor`.

    Returns:
        The step of a contender.
    """
    keras.utils.set_random_seed(0)
    predictor = Predictor(build_model(network, num_classes), precision=precision)
    images, _ = _example(size, batch_size, num_classes)
    images = images.astype(np.uint8)
    return lambda: predictor.predict_batch(images)


def _example(size, batch_size, num_classes):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch_size, *size, 3)).astype(np.float32)
    return images, random.integers(0, num_classes, (batch_size, *size)).astype(np.int32)
