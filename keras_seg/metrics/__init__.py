"""How well predicted masks match the ground truth; every metric leaves ignored pixels out."""

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
