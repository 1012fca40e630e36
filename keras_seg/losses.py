"""Losses over logits; every one skips the ignored pixels.

Each term is a function of class ids `[B, H, W]` and logits `[B, H, W, C]` that returns a scalar, and
`SegmentationLoss` adds them up with weights: `ce`, `ce+dice`, `ce+0.5*dice`.
"""

import keras
from keras import ops

from keras_seg.palette import IGNORE


def _valid(labels, ignore_index):
    """Labels that can be indexed with (the ignored ones are 0 there), and 1.0 where they count."""
    labels = ops.cast(labels, "int32")
    valid = labels != ignore_index
    return ops.where(valid, labels, 0), ops.cast(valid, "float32")


def cross_entropy(labels, logits, ignore_index=IGNORE):
    """Mean over the counted pixels of -log softmax(logits)[label]; zero where no pixel counts."""
    labels, valid = _valid(labels, ignore_index)
    loss = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    return ops.sum(loss * valid) / ops.maximum(ops.sum(valid), 1)


def focal(labels, logits, ignore_index=IGNORE, gamma=2.0):
    """Cross-entropy times (1 - p)^gamma, p the label's probability (Lin et al., 2017, arXiv:1708.02002)."""
    labels, valid = _valid(labels, ignore_index)
    loss = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    loss = loss * (1 - ops.exp(-loss)) ** gamma
    return ops.sum(loss * valid) / ops.maximum(ops.sum(valid), 1)


def _overlaps(labels, logits, ignore_index):
    """Per class, over the whole batch: sum(y p), sum(y) and sum(p) of one-hot y and softmax p."""
    labels, valid = _valid(labels, ignore_index)
    truth = ops.one_hot(labels, logits.shape[-1], dtype="float32") * valid[..., None]
    probability = ops.softmax(logits) * valid[..., None]
    axes = (0, 1, 2)
    return ops.sum(truth * probability, axes), ops.sum(truth, axes), ops.sum(probability, axes)


def _mean_over_present(score, truth):
    """1 - the mean score of the classes that occur in the batch; zero where none does."""
    present = ops.cast(truth > 0, "float32")
    count = ops.sum(present)
    return ops.where(count > 0, 1 - ops.sum(score * present) / ops.maximum(count, 1), 0.0)


def dice(labels, logits, ignore_index=IGNORE):
    """1 - 2 sum(y p) / (sum(y) + sum(p)), the mean over the classes of the batch (Milletari et al., 2016)."""
    overlap, truth, probability = _overlaps(labels, logits, ignore_index)
    return _mean_over_present(2 * overlap / ops.maximum(truth + probability, 1e-7), truth)


def jaccard(labels, logits, ignore_index=IGNORE):
    """1 - sum(y p) / (sum(y) + sum(p) - sum(y p)), the mean over the classes of the batch."""
    overlap, truth, probability = _overlaps(labels, logits, ignore_index)
    return _mean_over_present(overlap / ops.maximum(truth + probability - overlap, 1e-7), truth)


LOSSES = {"ce": cross_entropy, "dice": dice, "focal": focal, "jaccard": jaccard}


def parse_loss(text):
    """Reads `ce+0.5*dice` as `(("ce", 1.0), ("dice", 0.5))`.

    Raises:
        ValueError: A term is no loss, or a weight is no positive number.
    """
    terms = []
    for term in text.split("+"):
        weight, _, name = term.strip().rpartition("*")
        if name.strip() not in LOSSES:
            raise ValueError(
                f"loss must add terms of {', '.join(LOSSES)} (as in ce+0.5*dice), received {text!r}."
            )
        try:
            number = float(weight) if weight else 1.0
        except ValueError:
            number = 0.0
        if not 0 < number < float("inf"):
            raise ValueError(f"a loss's weight must be a positive number, received {weight.strip()!r}.")
        terms.append((name.strip(), number))
    return tuple(terms)


@keras.saving.register_keras_serializable(package="keras_seg")
class SegmentationLoss(keras.losses.Loss):
    """A weighted sum of losses, for `model.compile`.

    Args:
        terms: Text such as `"ce+0.5*dice"`; `LOSSES` lists the names.
        ignore_index: Class id of the pixels that are skipped.
        name: Name of the loss.

    Call arguments:
        y_true: Class ids, `[B, H, W]`.
        y_pred: Logits, `[B, H, W, C]`.

    Raises:
        ValueError: `terms` cannot be read.
    """

    def __init__(self, terms="ce", ignore_index=IGNORE, name="segmentation_loss"):
        super().__init__(name=name, dtype="float32")
        self.terms = terms
        self.ignore_index = ignore_index
        self._parsed = parse_loss(terms)

    def call(self, y_true, y_pred):
        return sum(weight * LOSSES[name](y_true, y_pred, self.ignore_index) for name, weight in self._parsed)

    def get_config(self):
        return {"terms": self.terms, "ignore_index": self.ignore_index, "name": self.name}
