"""Losses against NumPy by hand."""

import keras
import numpy as np
import pytest

from keras_seg.losses import LOSSES, SegmentationLoss, parse_loss

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(2, 5, 6, 4)).astype("float32")
LABELS = RNG.integers(0, 4, (2, 5, 6))
LABELS[:, 2] = 255


def by_hand(name):
    valid = LABELS != 255
    probability = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
    probability, labels = probability[valid].astype("float64"), LABELS[valid]
    of_label = probability[np.arange(labels.size), labels]
    if name == "ce":
        return -np.log(of_label).mean()
    if name == "focal":
        return (-np.log(of_label) * (1 - of_label) ** 2).mean()
    truth = np.eye(4)[labels]
    overlap, sums = (truth * probability).sum(0), truth.sum(0) + probability.sum(0)
    score = 2 * overlap / sums if name == "dice" else overlap / (sums - overlap)
    return 1 - score.mean()


@pytest.mark.parametrize("name", LOSSES)
def test_loss_equals_numpy_by_hand(name):
    assert float(SegmentationLoss(name)(LABELS, LOGITS)) == pytest.approx(by_hand(name), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_pixels_change_nothing(name):
    moved = LOGITS.copy()
    moved[:, 2] = 100 * RNG.normal(size=moved[:, 2].shape)
    assert float(SegmentationLoss(name)(LABELS, moved)) == pytest.approx(by_hand(name), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_of_ignored_pixels_gives_zero_and_no_nan(name):
    assert float(SegmentationLoss(name)(np.full_like(LABELS, 255), LOGITS)) == 0


@pytest.mark.parametrize("name", ["dice", "jaccard"])
def test_a_class_that_is_not_in_the_batch_is_left_out_of_the_mean(name):
    labels = np.zeros((1, 2, 2), int)
    logits = np.zeros((1, 2, 2, 3), "float32")
    logits[..., 0] = 30
    assert float(SegmentationLoss(name)(labels, logits)) == pytest.approx(0, abs=1e-6)


def test_a_sum_adds_its_weighted_terms():
    assert float(SegmentationLoss("ce+0.5*dice")(LABELS, LOGITS)) == pytest.approx(
        by_hand("ce") + 0.5 * by_hand("dice"), rel=1e-5
    )


def test_loss_survives_serialization():
    loss = keras.losses.deserialize(keras.losses.serialize(SegmentationLoss("ce+0.5*dice", ignore_index=3)))
    assert (loss.terms, loss.ignore_index) == ("ce+0.5*dice", 3)


@pytest.mark.parametrize("text", ["", "nonsense", "ce+", "0*ce", "-1*ce", "x*ce", "nan*ce", "inf*ce"])
def test_an_unreadable_loss_is_refused(text):
    with pytest.raises(ValueError, match=r"received"):
        parse_loss(text)
