"""What makes a network faster when it runs, and is never saved with it."""

from keras_seg.acceleration.accelerate import accelerate, fold_batch_normalization

__all__ = ["accelerate", "fold_batch_normalization"]
