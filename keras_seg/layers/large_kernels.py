"""Kernels of hundreds of megabytes, made without further copies of them."""

from contextlib import contextmanager
from contextvars import ContextVar

import keras
import numpy as np

if keras.config.backend() == "tensorflow":
    import tensorflow as tf

_ALIGNMENT = 64  # Bytes, of the memory that TensorFlow takes as it is.
_weights_follow = ContextVar("weights_follow", default=False)


@contextmanager
def weights_follow():
    """Within it large kernels hold no numbers yet, as a file's weights are about to replace them."""
    token = _weights_follow.set(True)
    try:
        yield
    finally:
        _weights_follow.reset(token)


class LargeKernelConv2D(keras.layers.Conv2D):
    """`Conv2D` whose kernel, 411 MB for VGG16's fc6, is drawn in the memory where it stays.

    Keras draws, scales and shifts it in three arrays, and TensorFlow's pool keeps what it has once held. The
    numbers are those of `Conv2D`.

    Args:
        **kwargs: Of `keras.layers.Conv2D`.
    """

    def add_weight(self, *args, initializer=None, **kwargs):
        if keras.config.backend() == "tensorflow":
            initializer = _empty if _weights_follow.get() else _drawn_in_place(initializer)
        elif _weights_follow.get():
            initializer = "zeros"
        return super().add_weight(*args, initializer=initializer, **kwargs)

    def load_own_variables(self, store):
        if keras.config.backend() == "tensorflow":
            store = {key: _shared(np.asarray(store[key])) for key in store.keys()}  # noqa: SIM118  (no Mapping)
        super().load_own_variables(store)


def _shared(array):
    """A copy of a float32 array as a tensor in NumPy's memory; arrays of other types as they are.

    TensorFlow copies what it is given into memory of its own, in small pages, which takes ten times as long
    to come by as NumPy's large ones.
    """
    if array.dtype != np.float32:
        return array
    memory = np.empty(array.nbytes + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    aligned = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    aligned[...] = array
    return tf.experimental.dlpack.from_dlpack(aligned.__dlpack__())


def _empty(shape, dtype=None):
    return tf.raw_ops.Empty(shape=shape, dtype=dtype)


def _drawn_in_place(initializer):
    """An initializer that draws what `initializer` would, as one graph."""
    seed = getattr(initializer, "seed", None)
    if not isinstance(seed, int) or tf.distribute.has_strategy():
        return initializer
    # A seed that the graph reads: with a constant one TensorFlow would draw while it simplifies the graph.
    seed = keras.random.SeedGenerator(seed)
    initializer = initializer.from_config({**initializer.get_config(), "seed": seed})
    return tf.function(initializer)
