"""How often each class occurs, and the weights that follow.

Median frequency weights: Eigen and Fergus, 2015 (arXiv:1411.4734), section 6.3.2.
"""

from typing import NamedTuple

import numpy as np

from keras_seg.data.inspection import Facts
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
    table, tallies = label_table(dataset), {}
    for split, found in facts.items():
        pixels, images = np.zeros((2, dataset.num_classes), np.int64)
        ignored = 0
        for fact in found:
            if fact.counts:
                ids = table[list(fact.counts)]
                counts = np.array(list(fact.counts.values()))
                is_class = ids < dataset.num_classes
                np.add.at(pixels, ids[is_class], counts[is_class])
                images[np.unique(ids[is_class])] += 1
                ignored += int(counts[ids == IGNORE].sum())
        tallies[split] = Tally(pixels, images, ignored)
    return tallies


def median_frequency_weights(dataset: Dataset, facts: list[Facts]) -> list[float | None]:
    """Returns the weight of each class, None where it does not occur.

    A class's frequency is its pixels by all pixels of the images that hold it; its weight is the median of
    all frequencies by its own.
    """
    table = label_table(dataset)
    around = np.zeros(dataset.num_classes, np.int64)
    for fact in facts:
        if fact.counts:
            ids = np.unique(table[list(fact.counts)])
            around[ids[ids < dataset.num_classes]] += sum(fact.counts.values())
    pixels = count_classes(dataset, {"train": facts})["train"].pixels
    frequencies = np.divide(pixels, around, where=around > 0, out=np.full(len(pixels), np.nan))
    median = np.nanmedian(frequencies) if (around > 0).any() else np.nan
    return [None if np.isnan(part) else round(float(median / part), 4) for part in frequencies]
