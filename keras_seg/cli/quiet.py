"""TensorFlow without its start-up chatter."""

import os
from contextlib import contextmanager

from keras_seg.process import prepare, quiet_stderr


@contextmanager
def quiet_start():
    """Hides what TensorFlow's C++ code writes to standard error while it is imported.

    `TF_CPP_MIN_LOG_LEVEL=0` in the environment lets it through.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0":
        yield
        return
    with quiet_stderr():
        yield


def import_tensorflow(purpose=None):
    """Imports TensorFlow quietly; a command calls it first, once its flags are known to be right.

    Args:
        purpose: What the process is for, as `keras_seg.process.prepare` takes it.

    Raises:
        InputError: As `prepare`.
    """
    prepare(purpose)
    with quiet_start():
        import tensorflow  # noqa: F401  (seconds, so not at the start)
