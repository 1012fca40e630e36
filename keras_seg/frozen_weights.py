"""TensorFlow's promise for processes that only predict: weights never change."""

import os
import sys

from keras_seg.errors import InputError

# Read by TensorFlow on CPUs with oneDNN. Without it the kernels of a single image take the weights as they
# lie in memory; with it they bring them into the order that suits the processor, once: docs/performance.md.
VARIABLE = "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"


def promise_frozen_weights():
    """Makes the promise for this process, unless TensorFlow is imported already or somebody has decided."""
    if "tensorflow" not in sys.modules:
        os.environ.setdefault(VARIABLE, "1")


def refuse_frozen_weights():
    """Checks before a training that nobody has made the promise.

    Raises:
        InputError: It was made: the network would predict with its first weights for ever.
    """
    value = os.environ.get(VARIABLE, "0")
    if value.lower() not in ("0", "false", ""):
        raise InputError(
            f"{VARIABLE} is {value}, with which TensorFlow sees no weight change; unset it to train, and "
            "predict in another process"
        )
