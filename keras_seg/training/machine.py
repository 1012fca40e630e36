"""Precision, determinism and seeds of the process that trains."""

import random
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

from keras_seg.hardware import find_hardware
from keras_seg.precision import choose_precision


def for_this_machine(config, report):
    """Decides what the settings leave to the hardware.

    Args:
        config: `ResolvedConfig`.
        report: Function that is given each line for the reader.

    Returns:
        The `ResolvedConfig` with a precision, and with determinism on or off.
    """
    hardware = find_hardware()
    precision, line = choose_precision(config.precision, hardware, "training", config.distribute != "none")
    if line is not None:
        report(line)
    deterministic = not hardware.capabilities if config.deterministic is None else config.deterministic
    # It stays on in this process, since TensorFlow has no public way back. On a CPU it would only keep
    # its user from XLA and from random numbers without seeds: there, the networks' operations
    # add in one order by themselves.
    if deterministic and hardware.capabilities:
        tf.config.experimental.enable_op_determinism()
    return config.replace(precision=precision, deterministic=deterministic)


@contextmanager
def dtype_policy(precision):
    """Sets Keras's dtype policy; the previous one is restored after the block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextmanager
def seeded(seed):
    """Seeds Python's and NumPy's generators, which draw first weights; they are restored after the block."""
    before = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


def device_text():
    """The devices that the training runs on, in words."""
    names = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return f"on {', '.join(names)}" if names else "on the CPU"
