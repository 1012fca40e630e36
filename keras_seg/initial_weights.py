"""Builds networks for weights that are already there, without drawing random ones."""

import math

import keras
import numpy as np

_INITIALIZER = "_initializer"
_ALIGNMENT = 64  # Bytes; at multiples of it TensorFlow's tensors begin.
_LARGE = 1 << 20  # Bytes


def initializers(config):
    """Returns the initializers of a layer's configuration, `{name: value}`."""
    return {name: value for name, value in config.items() if name.endswith(_INITIALIZER) and value}


def without_initial_weights(config):
    """Returns a configuration of a layer or network whose weights start at zero, which takes no time."""
    if isinstance(config, list):
        return [without_initial_weights(each) for each in config]
    if not isinstance(config, dict):
        return config
    zeros = dict.fromkeys(initializers(config), "zeros")
    return {**{name: without_initial_weights(each) for name, each in config.items()}, **zeros}


def aligned_array(shape, dtype):
    """Returns an array, its numbers not set, whose memory can be a tensor's of TensorFlow."""
    size = dtype.itemsize * math.prod(shape)
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def as_tensor(array):
    """Returns a tensor in a large array's memory, where the backend is TensorFlow, which else copies it.

    Args:
        array: As `aligned_array` makes it; another one is returned as it is.
    """
    is_aligned = array.dtype.isnative and array.flags.c_contiguous and not array.ctypes.data % _ALIGNMENT
    if keras.backend.backend() != "tensorflow" or array.nbytes < _LARGE or not is_aligned:
        return array
    # Imported here for the other backends' sake.
    import tensorflow as tf

    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
