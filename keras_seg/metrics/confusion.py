"""Metrics of one confusion matrix over a whole data set.

Pixel accuracy, mean accuracy, mean IoU and frequency-weighted IoU as FCN's `score.py` defines them (Long,
Shelhamer and Darrell, 2015, arXiv:1411.4038, section 5); Dice, precision and recall from the same counts.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seg.hints import Tensor
from keras_seg.logits import class_ids, classes_of
from keras_seg.palette import IGNORE

FIGURES = (
    "pixel_accuracy",
    "mean_accuracy",
    "mean_iou",
    "frequency_weighted_iou",
    "mean_dice",
    "mean_precision",
    "mean_recall",
)


def _ratios(hits, truth, predicted):
    """What is divided by what for each class, from pixel counts `[C]`, arrays or tensors."""
    return {
        "iou": (hits, truth + predicted - hits),
        "accuracy": (hits, truth),
        "dice": (2 * hits, truth + predicted),
        "precision": (hits, predicted),
        "recall": (hits, truth),
    }


def scores(matrix: Any) -> dict[str, Any]:
    """The metrics of a confusion matrix, and those of each class.

    Args:
        matrix: Pixel counts `[C, C]`, row = truth, column = prediction, ignored pixels left out.

    Returns:
        A dict of fractions: one for each of `FIGURES`, and the arrays `iou`, `accuracy`, `dice`, `precision`
        and `recall` `[C]`; NaN where there is nothing to divide by. A class that is neither in the truth nor
        predicted has no IoU and no Dice, one that is not in the truth no accuracy and no recall (which are
        the same), one that is never predicted no precision; the means leave it out.
    """
    matrix = np.asarray(matrix, "float64")
    hits, truth, predicted = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = _ratios(hits, truth, predicted)
        classes = {name: above / below for name, (above, below) in ratios.items()}
        return {
            "pixel_accuracy": hits.sum() / truth.sum(),
            "frequency_weighted_iou": np.nansum(truth * classes["iou"]) / truth.sum(),
            **{f"mean_{name}": nanmean(values) for name, values in classes.items()},
            **classes,
        }


def nanmean(values):
    """The mean of what is a number, NaN where nothing is."""
    values = values[~np.isnan(values)]
    return values.mean() if values.size else np.float64("nan")


@keras.saving.register_keras_serializable(package="keras_seg")
class ConfusionMatrixMetric(keras.metrics.Metric):
    """One figure of the confusion matrix over all pixels seen since the last reset, ignored ones left out.

    It is exact over a data set, whatever the batches and the number of replicas: pixels are counted in int64
    (int32 on JAX, unless it is told to have 64 bits), counts are added up, and divided once. A label that is
    neither a class nor ignored belongs into no cell of the matrix: with one of them the figure is NaN until
    the next reset, so that a data set with a wrong label does not pass as a bad or a good prediction.

    Args:
        num_classes: Number of classes C.
        figure: One of `FIGURES`.
        ignore_index: Class id of the pixels that are skipped.
        threshold: Probability from which a pixel is foreground, for a single logit; None for 0.5.
        name: Name of the metric; the figure's by default.

    Raises:
        ValueError: There is no such figure.
    """

    def __init__(
        self,
        num_classes: int,
        figure: str = "mean_iou",
        ignore_index: int = IGNORE,
        threshold: float | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name or figure, **kwargs)
        if figure not in FIGURES:
            raise ValueError(f"figure must be one of {FIGURES}, received {figure!r}.")
        self.num_classes = num_classes
        self.figure = figure
        self.ignore_index = ignore_index
        self.threshold = threshold
        self.matrix = self.add_weight(
            shape=(num_classes, num_classes), dtype="int64", initializer="zeros", name="matrix"
        )
        self.outside = self.add_weight(shape=(), dtype="int64", initializer="zeros", name="outside")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: None = None) -> None:
        """Adds a batch: class ids `[B, H, W]` and logits `[B, H, W, C]`, or one for two classes.

        Raises:
            ValueError: The predictions have another number of classes.
        """
        if classes_of(y_pred) != self.num_classes:
            raise ValueError(f"y_pred must have {self.num_classes} classes, received {classes_of(y_pred)}.")
        truth = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        predicted = ops.reshape(ops.cast(class_ids(y_pred, self.threshold), "int32"), (-1,))
        # The ignored pixels are counted in a cell of their own past the matrix, what is no class in the next.
        cells = self.num_classes**2
        is_class = ops.logical_and(truth >= 0, truth < self.num_classes)
        cell = ops.where(is_class, truth * self.num_classes + predicted, cells + 1)
        cell = ops.where(truth == self.ignore_index, cells, cell)
        # TensorFlow's bincount is faster on a CPU, and refuses to run on a GPU with deterministic operations.
        counts = ops.segment_sum(ops.ones_like(cell), cell, cells + 2)
        counts = ops.cast(counts, self.matrix.dtype)
        self.matrix.assign_add(ops.reshape(counts[:cells], self.matrix.shape))
        self.outside.assign_add(counts[cells + 1])

    def result(self) -> Tensor:
        """The figure, a fraction; 0 where no pixel was counted, NaN after a label that is no class."""
        matrix = ops.convert_to_tensor(self.matrix)
        counts = (ops.diag(matrix), ops.sum(matrix, 1), ops.sum(matrix, 0))
        hits, truth, predicted = (ops.cast(count, "float32") for count in counts)
        return ops.where(self.outside > 0, float("nan"), self._figure(hits, truth, predicted))

    def _figure(self, hits, truth, predicted):
        if self.figure == "pixel_accuracy":
            return ops.divide_no_nan(ops.sum(hits), ops.sum(truth))
        ratios = _ratios(hits, truth, predicted)
        if self.figure == "frequency_weighted_iou":
            weighted = ops.sum(truth * ops.divide_no_nan(*ratios["iou"]))
            return ops.divide_no_nan(weighted, ops.sum(truth))
        above, below = ratios[self.figure.removeprefix("mean_")]
        number = ops.sum(ops.cast(below > 0, "float32"))
        return ops.divide_no_nan(ops.sum(ops.divide_no_nan(above, below)), number)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        keys = ("num_classes", "figure", "ignore_index", "threshold")
        return {**config, **{key: getattr(self, key) for key in keys}}
