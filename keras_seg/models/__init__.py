"""The networks: `MODELS`, `build_model` and, trained, `load_pretrained`."""

from keras_seg.models.building import MODELS, build_model
from keras_seg.models.pretrained import load_pretrained

__all__ = ["MODELS", "build_model", "load_pretrained"]
