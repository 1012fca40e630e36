"""Maps the values or colors stored in masks to class ids, by one table."""

from typing import Any

import numpy as np
import tensorflow as tf

from keras_seg.classes import MAX_CLASSES
from keras_seg.data.samples import Dataset
from keras_seg.palette import IGNORE

NO_CLASS = MAX_CLASSES  # The id of every mask value that is neither a class nor ignored.
NUM_VALUES = 1 << 16
NUM_COLORS = 1 << 24
_FEW = 3  # Ignored values that are compared one by one


def label_table(dataset: Dataset) -> np.ndarray:
    """Returns the class id of every mask value, uint8 [65536], or of every color code, uint8 [2 ** 24].

    Of values, 255 and the data set's `ignore_label` and `ignore_labels` are IGNORE; a value listed in
    `mask_values` is that class, even 255. Of colors, only those that are listed mean anything. What is
    neither a class nor ignored is NO_CLASS.
    """
    ignored = [label for label in (dataset.ignore_label, *dataset.ignore_labels) if label is not None]
    if dataset.mask_colors is not None:
        table = np.full(NUM_COLORS, NO_CLASS, np.uint8)
        table[[color_code(label) for label in ignored]] = IGNORE
        table[[color_code(color) for color in dataset.mask_colors]] = np.arange(dataset.num_classes)
        return table
    table = np.full(NUM_VALUES, NO_CLASS, np.uint8)
    table[IGNORE] = IGNORE
    values = range(dataset.num_classes) if dataset.mask_values is None else dataset.mask_values
    table[list(values)] = np.arange(dataset.num_classes)
    table[[label for label in ignored if isinstance(label, int)]] = IGNORE
    return table


def color_code(color: Any) -> int:
    """Returns 65536 R + 256 G + B; a single number is that grey."""
    red, green, blue = (color,) * 3 if isinstance(color, int) else color
    return 65536 * red + 256 * green + blue


def code_color(code: int) -> tuple[int, int, int]:
    """Returns the RGB color of a code."""
    return code >> 16, code >> 8 & 255, code & 255


def to_ids(mask: Any, dataset: Dataset) -> Any:
    """Maps mask values or color codes to class ids in the graph.

    Args:
        mask: uint8 or int32 [H, W] of stored values; negative where there is none (a color among values).
        dataset: Dataset.

    Returns:
        uint8 [H, W], 255 where ignored; where a value is no class, something that `are_ids` refuses.
    """
    table = label_table(dataset)
    if mask.dtype == tf.uint8:
        return _bytes_to_ids(mask, table[:256], dataset.num_classes)
    with tf.device("CPU"):
        # A tensor, which the graph refers to: a table of colors has 16 MiB.
        table = tf.constant(table)
    # Beyond the table lies nothing but what a decoder should not have given: no class.
    ids = tf.gather(table, tf.clip_by_value(mask, 0, tf.size(table) - 1))
    return tf.where((mask >= 0) & (mask < tf.size(table)), ids, tf.constant(NO_CLASS, tf.uint8))


def are_ids(ids, num_classes):
    """Returns whether all of uint8 ids [H, W] are classes or 255: in bytes, 255 + 1 is 0."""
    return tf.reduce_max(ids + 1) <= num_classes


def _bytes_to_ids(mask, table, num_classes):
    ignored = np.flatnonzero(table[:IGNORE] == IGNORE)
    kept = np.setdiff1d(np.arange(num_classes), ignored)
    if len(ignored) > _FEW or table[IGNORE] != IGNORE or (table[kept] != kept).any():
        return tf.gather(tf.constant(table), tf.cast(mask, tf.int32))
    # The values are ids already. A few comparisons cost less than looking up every pixel.
    for value in ignored:
        mask = tf.where(tf.equal(mask, value), tf.constant(IGNORE, tf.uint8), mask)
    return mask
