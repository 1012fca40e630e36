"""Metrics against FCN's definitions, worked out by hand."""

import keras
import numpy as np
import pytest

from keras_seg.metrics import ConfusionMatrixMetric, scores

RNG = np.random.default_rng(1)
LABELS = RNG.integers(0, 3, (6, 7, 5))
LABELS[LABELS == 2] = 3  # Class 2 never occurs in the truth,
LABELS[0] = 255
LOGITS = RNG.normal(size=(6, 7, 5, 5)).astype("float32")
LOGITS[..., 4] = -9  # and class 4 neither there nor in the prediction.


def count_by_hand():
    matrix = np.zeros((5, 5))
    for truth, predicted in zip(LABELS.ravel(), LOGITS.argmax(-1).ravel(), strict=True):
        if truth != 255:
            matrix[truth, predicted] += 1
    return matrix


def figures_by_hand():
    n = count_by_hand()
    t, p = n.sum(1), n.sum(0)
    iou = {i: n[i, i] / (t[i] + p[i] - n[i, i]) for i in range(5) if t[i] + p[i]}
    return {
        "pixel_accuracy": np.trace(n) / n.sum(),
        "mean_accuracy": np.mean([n[i, i] / t[i] for i in range(5) if t[i]]),
        "mean_iou": np.mean(list(iou.values())),
        "frequency_weighted_iou": sum(t[i] * value for i, value in iou.items()) / n.sum(),
    }


@pytest.mark.parametrize("figure", figures_by_hand())
@pytest.mark.parametrize("batch_size", [1, 4, 6])
def test_streaming_figure_equals_the_definition_whatever_the_batches(figure, batch_size):
    metric = ConfusionMatrixMetric(5, figure)
    for start in range(0, 6, batch_size):
        metric.update_state(LABELS[start : start + batch_size], LOGITS[start : start + batch_size])
    assert float(metric.result()) == pytest.approx(figures_by_hand()[figure], rel=1e-6)


@pytest.mark.parametrize("figure", figures_by_hand())
def test_scores_equal_the_definition(figure):
    assert scores(count_by_hand())[figure] == pytest.approx(figures_by_hand()[figure])


def test_scores_of_absent_classes_are_nan():
    result = scores(count_by_hand())
    assert list(np.isnan(result["iou"])) == [False, False, False, False, True]
    assert list(np.isnan(result["accuracy"])) == [False, False, True, False, True]


def test_a_reset_forgets_everything():
    metric = ConfusionMatrixMetric(5)
    metric.update_state(LABELS, LOGITS)
    metric.reset_state()
    assert float(metric.result()) == 0


def test_counts_stay_exact_beyond_float32():
    metric = ConfusionMatrixMetric(2, "pixel_accuracy")
    metric.matrix.assign([[2**40, 0], [0, 0]])
    metric.update_state(np.zeros((1, 1, 1)), np.array([[[[1.0, 0.0]]]]))
    assert int(keras.ops.convert_to_numpy(metric.matrix)[0, 0]) == 2**40 + 1


def test_metric_survives_serialization():
    metric = keras.metrics.deserialize(keras.metrics.serialize(ConfusionMatrixMetric(5, "mean_accuracy")))
    assert (metric.num_classes, metric.figure, metric.name) == (5, "mean_accuracy", "mean_accuracy")
