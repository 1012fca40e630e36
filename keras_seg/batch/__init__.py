"""Masks of very many images, by several workers on one machine or a Ray cluster."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `_HOMES` once more, for editors and type checkers.
    from keras_seg.batch.cluster import Workers as Workers
    from keras_seg.batch.evaluation import counts_of_workers as counts_of_workers
    from keras_seg.batch.job import label_images as label_images

# Looked up on first use: a worker process imports this before it has prepared TensorFlow's settings.
_HOMES = {"Workers": "cluster", "counts_of_workers": "evaluation", "label_images": "job"}
__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'keras_seg.batch' has no attribute {name!r}")
    return getattr(importlib.import_module(f"keras_seg.batch.{_HOMES[name]}"), name)
