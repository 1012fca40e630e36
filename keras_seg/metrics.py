"""Metrics of one confusion matrix over a whole data set, as FCN's `score.py` defines them."""

import keras
import numpy as np
from keras import ops

from keras_seg.palette import IGNORE


def scores(matrix):
    """The four figures of Long, Shelhamer and Darrell, 2015, and those of each class.

    Args:
        matrix: Pixel counts `[C, C]`, row = truth, column = prediction, ignored pixels left out.

    Returns:
        A dict of fractions: `pixel_accuracy`, `mean_accuracy`, `mean_iou`, `frequency_weighted_iou`, and
        the arrays `iou` and `accuracy` `[C]`; NaN where there is nothing to divide by. A class that is
        neither in the truth nor predicted has no IoU, and one that is not in the truth no accuracy;
        the means leave it out.
    """
    matrix = np.asarray(matrix, "float64")
    hits, truth, predicted = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        accuracy = hits / truth
        iou = hits / (truth + predicted - hits)
        return {
            "pixel_accuracy": hits.sum() / truth.sum(),
            "mean_accuracy": _nanmean(accuracy),
            "mean_iou": _nanmean(iou),
            "frequency_weighted_iou": np.nansum(truth * iou) / truth.sum(),
            "iou": iou,
            "accuracy": accuracy,
        }


def _nanmean(values):
    values = values[~np.isnan(values)]
    return values.mean() if values.size else np.float64("nan")


@keras.saving.register_keras_serializable(package="keras_seg")
class ConfusionMatrixMetric(keras.metrics.Metric):
    """One figure of the confusion matrix over all pixels seen since the last reset, ignored ones left out.

    It is exact over a data set, whatever the batches: counts are added up as integers and divided once.

    Args:
        num_classes: Number of classes C.
        figure: `"mean_iou"`, `"pixel_accuracy"`, `"mean_accuracy"` or `"frequency_weighted_iou"`.
        ignore_index: Class id of the pixels that are skipped.
        name: Name of the metric; the figure's by default.
    """

    def __init__(self, num_classes, figure="mean_iou", ignore_index=IGNORE, name=None, **kwargs):
        super().__init__(name=name or figure, **kwargs)
        self.num_classes = num_classes
        self.figure = figure
        self.ignore_index = ignore_index
        self.matrix = self.add_weight(
            shape=(num_classes, num_classes), dtype="int64", initializer="zeros", name="matrix"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch: class ids `[B, H, W]` and logits (or probabilities) `[B, H, W, C]`."""
        truth = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        predicted = ops.reshape(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), (-1,))
        # The ignored pixels are counted in a cell of their own, past the matrix.
        cells = self.num_classes**2
        cell = ops.where(truth == self.ignore_index, cells, truth * self.num_classes + predicted)
        counts = ops.bincount(cell, minlength=cells + 1)[:cells]
        counts = ops.reshape(ops.cast(counts, self.matrix.dtype), self.matrix.shape)
        self.matrix.assign_add(counts)

    def result(self):
        counts = ops.cast(self.matrix, "float32")
        hits, truth, predicted = ops.diag(counts), ops.sum(counts, 1), ops.sum(counts, 0)
        union = truth + predicted - hits
        iou = hits / ops.maximum(union, 1)
        accuracy = hits / ops.maximum(truth, 1)
        total = ops.maximum(ops.sum(truth), 1)
        if self.figure == "pixel_accuracy":
            return ops.sum(hits) / total
        if self.figure == "frequency_weighted_iou":
            return ops.sum(truth * iou) / total
        values, occurs = (accuracy, truth > 0) if self.figure == "mean_accuracy" else (iou, union > 0)
        occurs = ops.cast(occurs, "float32")
        return ops.sum(values * occurs) / ops.maximum(ops.sum(occurs), 1)

    def get_config(self):
        config = super().get_config()
        keys = ("num_classes", "figure", "ignore_index")
        return {**config, **{key: getattr(self, key) for key in keys}}
