"""Classic semantic segmentation networks in Keras 3."""

import importlib

from keras_seg.registration import register_with_keras

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
