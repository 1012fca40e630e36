"""A batch as the terms of a loss see it, and the two means that they are made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras import ops

from keras_seg.logits import class_logits


def unchanged(tensor):
    """The sum over the replicas where there is one."""
    return tensor


@dataclass(frozen=True)
class Batch:
    """Labels and logits of a batch.

    Attributes:
        labels: Class ids, int32 `[B, H, W]`, that can be indexed with: the ignored ones are 0.
        logits: float32 `[B, H, W, C]`, C of 2 or more.
        counted: Whether a pixel is not ignored, bool `[B, H, W]`.
        class_weights: Weight of each class, `[C]`; None: 1 each.
        reduction: `"mean"` or `"sum"` of what has a value at every pixel.
        replica_sum: Adds up a tensor over the replicas of a distributed training.
    """

    labels: Any
    logits: Any
    counted: Any
    class_weights: tuple[float, ...] | None = None
    reduction: str = "mean"
    replica_sum: Callable[[Any], Any] = unchanged

    @property
    def num_classes(self):
        return self.logits.shape[-1]


def read_batch(labels, logits, ignore_index, **options):
    """Makes a Batch of class ids `[B, H, W]` or `[B, H, W, 1]` and logits `[B, H, W, C]`.

    A single logit becomes that of two classes.
    """
    labels = ops.cast(labels, "int32")
    if len(labels.shape) == len(logits.shape):
        labels = ops.squeeze(labels, -1)
    counted = labels != ignore_index
    logits = class_logits(ops.cast(logits, "float32"))
    return Batch(ops.where(counted, labels, 0), logits, counted, **options)


def cross_entropies(batch):
    """-log softmax(logits)[label] of every pixel, `[B, H, W]`; without a one-hot copy of the labels."""
    return ops.sparse_categorical_crossentropy(batch.labels, batch.logits, from_logits=True)


def of_label(batch, values):
    """Every pixel's value `[B, H, W]` in the channel of its label, of values `[B, H, W, C]`."""
    return ops.squeeze(ops.take_along_axis(values, batch.labels[..., None], axis=-1), -1)


def over_pixels(batch, values, counted=None):
    """The mean of the counted pixels' values by the weights of their classes, or their weighted sum.

    Args:
        batch: A Batch.
        values: Of every pixel, `[B, H, W]`.
        counted: Which pixels count, bool `[B, H, W]`; the batch's by default.

    Returns:
        sum(w v) / sum(w), w the weight of the pixel's class, or with `reduction="sum"` sum(w v); 0 where no
        pixel counts.
    """
    counted = batch.counted if counted is None else counted
    weights = ops.cast(counted, "float32")
    if batch.class_weights is not None:
        weights *= ops.take(ops.array(batch.class_weights, "float32"), batch.labels)
    # Selected and not multiplied by 0, since 0 times the infinite loss of an ignored pixel is no number.
    total = batch.replica_sum(ops.sum(weights * ops.where(counted, values, 0.0)))
    if batch.reduction == "sum":
        return total
    return ops.divide_no_nan(total, batch.replica_sum(ops.sum(weights)))


def over_classes(batch, values, pixels):
    """The mean of the classes' values by their weights, over the classes that occur; 0 where none does.

    Args:
        batch: A Batch.
        values: Of every class, `[C]`.
        pixels: Number of pixels of every class in the truth, `[C]`.
    """
    weights = ops.cast(pixels > 0, "float32")
    if batch.class_weights is not None:
        weights *= ops.array(batch.class_weights, "float32")
    return ops.divide_no_nan(ops.sum(weights * values), ops.sum(weights))
