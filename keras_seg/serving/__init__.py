"""Trained models for TensorFlow Serving."""

import importlib

# Looked up on first use, since the client needs no TensorFlow.
_HOMES = {
    "Client": "keras_seg.serving.client",
    "ServerError": "keras_seg.serving.errors",
    "export_saved_model": "keras_seg.serving.export",
    "next_version": "keras_seg.serving.export",
}
__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'keras_seg.serving' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
