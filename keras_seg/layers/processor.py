"""Which processor computes a network, where that decides how."""

from contextlib import contextmanager
from contextvars import ContextVar

import keras

if keras.config.backend() == "tensorflow":
    import tensorflow as tf

_is_for_this_processor = ContextVar("is_for_this_processor", default=False)


@contextmanager
def for_this_processor():
    """Within it a network is traced to predict here, and need not be one for other runtimes to optimize."""
    token = _is_for_this_processor.set(True)
    try:
        yield
    finally:
        _is_for_this_processor.reset(token)


def is_for_this_processor():
    """Whether the caller stands within `for_this_processor`."""
    return _is_for_this_processor.get()


def is_tensorflow_on_a_cpu():
    """Whether TensorFlow computes, and has no GPU to do so."""
    return keras.config.backend() == "tensorflow" and not tf.config.list_logical_devices("GPU")
