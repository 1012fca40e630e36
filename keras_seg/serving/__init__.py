"""Trained models for TensorFlow Serving."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_seg.serving.client import Client as Client
    from keras_seg.serving.errors import ServerError as ServerError
    from keras_seg.serving.export import (
        export_saved_model as export_saved_model,
        next_version as next_version,
    )

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
