"""Metrics against their definitions, worked out by hand, and against scikit-learn."""

import keras
import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from keras_seg.metrics import FIGURES, ConfusionMatrixMetric, scores
from tests.metrics_by_hand import CLASSES, LABELS, LOGITS, PREDICTED, figures, per_class

COUNTED = LABELS != 255


def streamed(figure="mean_iou", splits=(), labels=LABELS, logits=LOGITS):
    """A metric that has seen the batches that the positions in `splits` cut the images into."""
    metric = ConfusionMatrixMetric(CLASSES, figure)
    for batch in zip(np.split(labels, splits), np.split(logits, splits), strict=True):
        metric.update_state(*batch)
    return metric


def matrix_of(metric):
    return metric.matrix.numpy()


def reference_matrix():
    return sklearn_metrics.confusion_matrix(LABELS[COUNTED], PREDICTED[COUNTED], labels=range(CLASSES))


@pytest.mark.parametrize("splits", [(), (1,), (4,), (1, 2, 3, 4, 5)], ids=str)
def test_counts_equal_scikit_learns_confusion_matrix_whatever_the_batches(splits):
    np.testing.assert_array_equal(matrix_of(streamed(splits=splits)), reference_matrix())


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("splits", [(), (1, 2, 3, 4, 5)], ids=str)
def test_streamed_figure_equals_the_definition_whatever_the_batches(figure, splits):
    assert float(streamed(figure, splits).result()) == pytest.approx(figures()[figure], rel=1e-6)


@pytest.mark.parametrize("figure", FIGURES)
def test_replicas_that_add_up_their_counts_have_the_figure_of_the_whole(figure):
    shares = streamed(figure, (), LABELS[:2], LOGITS[:2]), streamed(figure, (), LABELS[2:], LOGITS[2:])
    whole = ConfusionMatrixMetric(CLASSES, figure)
    # What tf.distribute does with variables of this kind when they are read.
    assert whole.matrix.aggregation == "sum" and whole.matrix.synchronization == "on_read"
    whole.matrix.assign(sum(matrix_of(share) for share in shares))
    assert float(whole.result()) == float(streamed(figure).result())


@pytest.mark.parametrize("figure", FIGURES)
def test_scores_equal_the_definition(figure):
    assert scores(reference_matrix())[figure] == pytest.approx(figures()[figure])


@pytest.mark.parametrize("name", ["iou", "accuracy", "dice", "precision", "recall"])
def test_scores_of_classes_equal_the_definition_and_are_nan_where_there_is_none(name):
    expected = [np.nan if value is None else value for value in per_class()[0][name]]
    assert np.isnan(expected).any()
    np.testing.assert_allclose(scores(reference_matrix())[name], expected)


def test_scores_of_classes_equal_scikit_learns():
    result = scores(reference_matrix())
    pair, options = (LABELS[COUNTED], PREDICTED[COUNTED]), {"labels": range(CLASSES), "zero_division": np.nan}
    precision, recall, f_score, _ = sklearn_metrics.precision_recall_fscore_support(*pair, **options)
    np.testing.assert_allclose(result["precision"], precision)
    np.testing.assert_allclose(result["recall"], recall)
    np.testing.assert_allclose(result["dice"][:4], np.nan_to_num(f_score)[:4])
    iou = sklearn_metrics.jaccard_score(*pair, labels=range(4), average=None)
    np.testing.assert_allclose(result["iou"][:4], iou)
    assert result["pixel_accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(*pair))


def test_a_reset_forgets_everything():
    metric = streamed(labels=np.where(COUNTED, 77, 255))
    metric.reset_state()
    assert float(metric.result()) == 0
    metric.update_state(LABELS, LOGITS)
    assert float(metric.result()) == pytest.approx(figures()["mean_iou"], rel=1e-6)


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("label", [-1, 5, 6, 25, 254, 256, 2**31 - 1])
def test_a_label_that_is_no_class_makes_the_figure_nan_and_no_wrong_count(figure, label):
    labels = LABELS.copy()
    labels[0, 0, 0] = label  # Ignored before.
    metric = streamed(figure, (1,), labels)
    assert np.isnan(float(metric.result()))
    np.testing.assert_array_equal(matrix_of(metric), reference_matrix())


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_of_ignored_pixels_alone_is_zero(figure):
    assert float(streamed(figure, labels=np.full_like(LABELS, 255)).result()) == 0


@pytest.mark.parametrize("threshold", [None, 0.2, 0.5, 0.9])
def test_a_single_logit_is_counted_from_the_threshold_on(threshold):
    labels = np.where(COUNTED, LABELS % 2, 255)
    metric = ConfusionMatrixMetric(2, threshold=threshold)
    metric.update_state(labels, LOGITS[..., :1])
    foreground = 1 / (1 + np.exp(-LOGITS[..., 0].astype("float64"))) >= (threshold or 0.5)
    expected = sklearn_metrics.confusion_matrix(labels[COUNTED], foreground[COUNTED])
    np.testing.assert_array_equal(matrix_of(metric), expected)
    clone = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert clone.threshold == threshold


def test_predictions_of_other_classes_are_refused():
    with pytest.raises(ValueError, match="must have 5 classes, received 4"):
        ConfusionMatrixMetric(CLASSES).update_state(LABELS, LOGITS[..., :4])


def test_an_unknown_figure_is_refused():
    with pytest.raises(ValueError, match="received 'miou'"):
        ConfusionMatrixMetric(CLASSES, "miou")


def test_counts_stay_exact_beyond_float32():
    metric = ConfusionMatrixMetric(2, "pixel_accuracy")
    metric.matrix.assign([[2**40, 0], [0, 0]])
    metric.update_state(np.zeros((1, 1, 1)), np.array([[[[1.0, 0.0]]]]))
    assert int(matrix_of(metric)[0, 0]) == 2**40 + 1


def test_metric_survives_serialization():
    metric = keras.metrics.deserialize(keras.metrics.serialize(ConfusionMatrixMetric(5, "mean_accuracy")))
    assert (metric.num_classes, metric.figure, metric.name) == (5, "mean_accuracy", "mean_accuracy")
