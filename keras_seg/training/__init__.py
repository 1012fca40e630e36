"""Training: settings in, a run folder out."""

from keras_seg.training.settings.config import TrainConfig
from keras_seg.training.trainer import train

__all__ = ["TrainConfig", "train"]
