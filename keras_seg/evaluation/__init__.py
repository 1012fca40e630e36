"""How good a model is on a data set."""

from keras_seg.evaluation.evaluate import evaluate, evaluate_run, other_images
from keras_seg.evaluation.tables import compare, format_table, write_metrics

__all__ = [
    "compare",
    "evaluate",
    "evaluate_run",
    "format_table",
    "other_images",
    "write_metrics",
]
