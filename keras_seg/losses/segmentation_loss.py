"""The loss for `model.compile`."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_seg.hints import Tensor
from keras_seg.logits import classes_of
from keras_seg.losses.batch import read_batch, unchanged
from keras_seg.losses.terms import parse_loss
from keras_seg.palette import IGNORE

REDUCTIONS = ("mean", "sum")


@keras.saving.register_keras_serializable(package="keras_seg")
class SegmentationLoss(keras.losses.Loss):
    """A weighted sum of losses over the pixels that are not ignored.

    A batch without such a pixel gives exactly 0, with a gradient of zeros. Logits must be finite, at ignored
    pixels too; they may be huge there. Everything is computed in float32, whatever the model's precision.

    Args:
        terms: Text such as `"ce"`, `"ce+0.5*dice"` or `"focal(gamma=3)+0.5*tversky(alpha=0.3)"`; `LOSSES`
            lists the names, docs/reference/losses.md their formulas and parameters.
        ignore_index: Class id of the pixels that are skipped.
        class_weights: A weight of 0 or more for each class; None: 1 each. Pixels are weighted by the class of
            their label, and the mean divides by the sum of their weights; losses of regions weight the
            classes of their mean.
        reduction: `"mean"` over the pixels, or `"sum"`: the unnormalized loss that FCN was trained with,
            which wants a learning rate smaller by the number of pixels. A loss of regions is one figure of
            the batch in both.
        replica_sum: Under `tf.distribute`, the function that adds up a tensor over the replicas with a
            gradient, such as
            `lambda x: tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, x)`.
            With it the loss and its gradient are those of the global batch, whatever the number of replicas
            (but `lovasz` and `ohem` rank the pixels of one replica among themselves). Without it the mean of
            the replicas' losses is taken, as Keras does for its own, which is another figure where replicas
            differ in the number of ignored pixels. It is not saved with the loss.
        name: Name of the loss.

    Call arguments:
        y_true: Class ids, `[B, H, W]` or `[B, H, W, 1]`.
        y_pred: Logits, `[B, H, W, C]`; of one, the foreground's, classes are 0 and 1.

    Raises:
        ValueError: `terms` cannot be read, or another argument is out of range.
    """

    def __init__(
        self,
        terms: str = "ce",
        ignore_index: int = IGNORE,
        class_weights: Sequence[float] | None = None,
        reduction: str = "mean",
        replica_sum: Callable[[Tensor], Tensor] = unchanged,
        name: str = "segmentation_loss",
    ) -> None:
        # Keras's own reduction has a single figure to reduce; "mean" divides it among the replicas, whose
        # gradients are added.
        super().__init__(name=name, reduction="mean", dtype="float32")
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction must be one of {REDUCTIONS}, received {reduction!r}.")
        self.terms = terms
        self.ignore_index = ignore_index
        self.class_weights = None if class_weights is None else _checked(class_weights)
        self.pixel_reduction = reduction
        self.replica_sum = replica_sum
        self._parsed = parse_loss(terms)

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: None = None) -> Tensor:
        if sample_weight is not None:
            raise ValueError("SegmentationLoss takes no sample_weight; give it class_weights.")
        return super().__call__(y_true, y_pred)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        weights, num_classes = self.class_weights, classes_of(y_pred)
        if weights is not None and len(weights) != num_classes:
            raise ValueError(
                f"class_weights must have one for each of {num_classes} classes, received {len(weights)}."
            )
        batch = read_batch(
            y_true,
            y_pred,
            self.ignore_index,
            class_weights=weights,
            reduction=self.pixel_reduction,
            replica_sum=self.replica_sum,
        )
        # As a vector of one, since Keras leaves a scalar as it is, and does not divide it among replicas.
        return ops.reshape(sum(term(batch) for term in self._parsed), (1,))

    def get_config(self) -> dict[str, Any]:
        return {
            "terms": self.terms,
            "ignore_index": self.ignore_index,
            "class_weights": self.class_weights,
            "reduction": self.pixel_reduction,
            "name": self.name,
        }


def _checked(class_weights):
    weights = tuple(float(weight) for weight in class_weights)
    if not all(0 <= weight < math.inf for weight in weights) or not any(weights):
        raise ValueError(f"class_weights must be 0 or more, and not all 0, received {list(weights)}.")
    return weights
