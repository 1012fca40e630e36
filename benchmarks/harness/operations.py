"""How much a network computes, by which a time becomes a speed."""

import gc

import keras

from keras_seg.models import build_model
from tools.networks_page import multiply_adds


def operations(network, size, batch_size=1, num_classes=21, is_training=False):
    """Floating-point operations of the convolutions; a training step has three times as many as a prediction.

    Args:
        network: Key of `MODELS`.
        size: (height, width) in pixels.
        batch_size: Images a step.
        num_classes: Classes C.
        is_training: Whether the gradients by the inputs and by the kernels are computed too.
    """
    forward = 2 * batch_size * multiply_adds(build_model(network, num_classes, (*size, 3)))
    # Else a process that asks about one network after the other keeps the weights of several.
    keras.backend.clear_session()
    gc.collect()
    return forward * (3 if is_training else 1)
