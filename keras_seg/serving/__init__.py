"""Trained models for TensorFlow Serving."""

from keras_seg.serving.export import export_saved_model, next_version

__all__ = ["export_saved_model", "next_version"]
