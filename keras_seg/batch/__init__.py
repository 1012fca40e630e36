"""Masks of very many images, by several workers on one machine or a Ray cluster."""

from keras_seg.batch.job import label_images

__all__ = ["label_images"]
