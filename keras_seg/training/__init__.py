"""Training: settings in, a run folder out."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_seg.training.settings.config import TrainConfig as TrainConfig
    from keras_seg.training.trainer import train as train

# Looked up on first use, so that the command line's flags are had without TensorFlow.
_HOMES = {"TrainConfig": "keras_seg.training.settings.config", "train": "keras_seg.training.trainer"}
__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'keras_seg.training' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
