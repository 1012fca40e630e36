"""Training: settings in, a run folder out."""

from keras_seg.training.config import OPTIMIZERS, PRECISIONS, SCHEDULES, TrainConfig
from keras_seg.training.trainer import train

__all__ = ["OPTIMIZERS", "PRECISIONS", "SCHEDULES", "TrainConfig", "train"]
