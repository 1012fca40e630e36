"""Masks of very many images, by several workers on one machine or a Ray cluster."""

from keras_seg.batch.cluster import Workers
from keras_seg.batch.evaluation import counts_of_workers
from keras_seg.batch.job import label_images

__all__ = ["Workers", "counts_of_workers", "label_images"]
