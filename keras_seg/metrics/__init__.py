"""How well predicted masks fit the truth; every figure leaves the ignored pixels out."""

from keras_seg.metrics.boundary import boundary_counts, boundary_iou, boundary_scores
from keras_seg.metrics.confusion import FIGURES, ConfusionMatrixMetric, scores

__all__ = [
    "FIGURES",
    "ConfusionMatrixMetric",
    "boundary_counts",
    "boundary_iou",
    "boundary_scores",
    "scores",
]
