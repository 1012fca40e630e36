"""Classic semantic segmentation networks in Keras 3."""

import importlib
from typing import TYPE_CHECKING

from keras_seg.registration import register_with_keras

if TYPE_CHECKING:  # `_HOMES` once more, for editors and type checkers.
    from keras_seg.errors import InputError as InputError
    from keras_seg.inference import Predictor as Predictor
    from keras_seg.models import (
        MODELS as MODELS,
        build_model as build_model,
        load_pretrained as load_pretrained,
    )
    from keras_seg.pretrained import load_model as load_model, load_weights as load_weights
    from keras_seg.registry import register as register
    from keras_seg.rows import (
        Encoder as Encoder,
        LearningRate as LearningRate,
        Network as Network,
        Published as Published,
    )
    from keras_seg.runs import Run as Run
    from keras_seg.training import TrainConfig as TrainConfig, train as train

__version__ = "0.2.0"

# Looked up on first use, so that `import keras_seg` does not pay for importing TensorFlow.
_HOMES = {
    "MODELS": "keras_seg.models",
    "build_model": "keras_seg.models",
    "load_model": "keras_seg.pretrained",
    "load_pretrained": "keras_seg.models",
    "load_weights": "keras_seg.pretrained",
    "train": "keras_seg.training",
    "TrainConfig": "keras_seg.training",
    "Run": "keras_seg.runs",
    "Predictor": "keras_seg.inference",
    "InputError": "keras_seg.errors",
    "Network": "keras_seg.rows",
    "Encoder": "keras_seg.rows",
    "LearningRate": "keras_seg.rows",
    "Published": "keras_seg.rows",
    "register": "keras_seg.registry",
}
__all__ = sorted([*_HOMES, "__version__"])

register_with_keras()


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'keras_seg' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__():
    return __all__
