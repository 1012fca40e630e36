"""Faster equivalents of a network's layers, applied at run time and never saved."""

from keras_seg.acceleration.accelerate import accelerate, fold_batch_normalization

__all__ = ["accelerate", "fold_batch_normalization"]
