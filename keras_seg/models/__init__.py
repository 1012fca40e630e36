"""The networks: `MODELS` and `build_model`."""

from keras_seg.models.building import MODELS, build_model

__all__ = ["MODELS", "build_model"]
