"""Class weights of the loss, as given or from the training masks."""

import numpy as np

from keras_seg.data.folders.index import facts_of_splits
from keras_seg.data.folders.tally import class_weights_of
from keras_seg.errors import InputError
from keras_seg.training.settings.values import BALANCED, parse_class_weights


def class_weights(text, dataset):
    """The weight of each class, None for 1 each.

    Balanced: `median_frequency_weights` of the training masks, as the doctor shows them. A class that is
    in no mask has weight 1.

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
    balanced = class_weights_of(dataset, facts_of_splits(dataset, ["train"])["train"])
    return tuple(1.0 if np.isnan(weight) else float(weight) for weight in balanced)
