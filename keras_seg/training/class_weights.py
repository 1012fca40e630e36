"""Weights of the classes in the loss, given or from the training masks."""

import numpy as np

from keras_seg.data import eval_batches
from keras_seg.errors import InputError
from keras_seg.palette import IGNORE

BALANCED = "balanced"


def parse_class_weights(text):
    """Reads `"0.5,1,2"` as numbers; None and `"balanced"` as they are.

    Raises:
        InputError: It is neither.
    """
    if text is None or text == BALANCED:
        return text
    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError:
        weights = ()
    if not weights or not all(0 <= weight < float("inf") for weight in weights) or not any(weights):
        raise InputError(
            f"--class-weights must be {BALANCED}, or numbers of 0 or more as 0.5,1,2; received {text!r}"
        )
    return weights


def class_weights(text, dataset):
    """The weight of each class, None for 1 each.

    Balanced: the median of the classes' frequencies by the class's own, a frequency being its part of the
    labeled pixels of the images that show it (Eigen and Fergus, 2015, arXiv:1411.4734, section 6.3.2; SegNet
    trains so). A class that no mask shows has the weight 1.

    Args:
        text: As `parse_class_weights` takes it.
        dataset: `Dataset`.

    Raises:
        InputError: There is not one weight for each class.
    """
    weights = parse_class_weights(text)
    if weights is None:
        return None
    if weights != BALANCED:
        if len(weights) != dataset.num_classes:
            names = ", ".join(dataset.classes)
            raise InputError(
                f"--class-weights must be {dataset.num_classes} numbers, for {names}; received {len(weights)}"
            )
        return weights
    shown, seen = np.zeros((2, dataset.num_classes))
    for _, masks in eval_batches(dataset, "train"):
        for mask in np.asarray(masks):
            counts = np.bincount(mask[mask != IGNORE], minlength=dataset.num_classes)
            shown += counts
            seen += counts.sum() * (counts > 0)
    present = shown > 0
    frequency = np.divide(shown, seen, out=np.ones_like(shown), where=present)
    balanced = np.where(present, np.median(frequency[present]) / frequency, 1.0)
    return tuple(float(weight) for weight in balanced)
