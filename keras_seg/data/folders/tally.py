"""How often each class occurs, and the weights that follow.

Median frequency weights: Eigen and Fergus, 2015 (arXiv:1411.4734), section 6.3.2.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from keras_seg.data.folders.inspection import Facts
from keras_seg.data.labels import label_table
from keras_seg.data.samples import Dataset
from keras_seg.palette import IGNORE


class Tally(NamedTuple):
    """Of one split: pixels and images per class, int64 [C], and the number of ignored pixels."""

    pixels: np.ndarray
    images: np.ndarray
    ignored: int


def count_classes(dataset: Dataset, facts: dict[str, list[Facts]]) -> dict[str, Tally]:
    """Counts the classes of each split, in the pairs that could be read."""
    tallies = {}
    for split, found in facts.items():
        pixels, images = np.zeros((2, IGNORE + 1), np.int64)
        for counts in _pixels_of_masks(dataset, found):
            pixels += counts
            images += counts > 0
        tallies[split] = Tally(
            pixels[: dataset.num_classes], images[: dataset.num_classes], int(pixels[IGNORE])
        )
    return tallies


def class_weights_of(dataset: Dataset, facts: list[Facts]) -> np.ndarray:
    """Returns `median_frequency_weights` of the pairs that could be read."""
    counts = (pixels[: dataset.num_classes] for pixels in _pixels_of_masks(dataset, facts))
    return median_frequency_weights(counts, dataset.num_classes)


def median_frequency_weights(masks: Iterable[np.ndarray], num_classes: int) -> np.ndarray:
    """Returns the weight of each class, float64 [C], NaN where it does not occur.

    A class's frequency is its part of the labeled pixels of the masks that show it; its weight is the median
    of all frequencies by its own (Eigen and Fergus, 2015; SegNet trains so).

    Args:
        masks: of each mask, the pixels per class [C]; those that are ignored do not count.
        num_classes: C.
    """
    shown, seen = np.zeros((2, num_classes))
    for counts in masks:
        shown += counts
        seen += counts.sum() * (counts > 0)
    present = shown > 0
    if not present.any():
        return np.full(num_classes, np.nan)
    frequency = np.divide(shown, seen, out=np.full(num_classes, np.nan), where=present)
    return np.median(frequency[present]) / frequency


def _pixels_of_masks(dataset, facts):
    """Yields the pixels per id, int64 [256], of each mask that could be read."""
    table = label_table(dataset)
    for fact in facts:
        if fact.counts:
            pixels = np.zeros(IGNORE + 1, np.int64)
            np.add.at(pixels, table[list(fact.counts)], list(fact.counts.values()))
            yield pixels
