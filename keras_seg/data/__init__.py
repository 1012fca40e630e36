"""Where samples come from, what their masks mean, and the batches that training and evaluation see."""

from keras_seg.augmentation import Augmentation
from keras_seg.data.batches.pipeline import eval_batches, steps_per_epoch, train_batches
from keras_seg.data.batches.sharing import Share
from keras_seg.data.doctor.checks import check_dataset, find_problems
from keras_seg.data.folders.dataset import load_dataset
from keras_seg.data.folders.inspection import Problem
from keras_seg.data.formats.decode import decode_image, decode_mask
from keras_seg.data.formats.reading import read_image, read_mask, read_sample
from keras_seg.data.samples import ArraySample, Dataset, Sample
from keras_seg.data.shapes import draw_shapes, write_shapes
from keras_seg.palette import IGNORE

__all__ = [
    "IGNORE",
    "ArraySample",
    "Augmentation",
    "Dataset",
    "Problem",
    "Sample",
    "Share",
    "check_dataset",
    "decode_image",
    "decode_mask",
    "draw_shapes",
    "eval_batches",
    "find_problems",
    "load_dataset",
    "read_image",
    "read_mask",
    "read_sample",
    "steps_per_epoch",
    "train_batches",
    "write_shapes",
]
