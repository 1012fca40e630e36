"""Which labels are doubted, on masks and probabilities that were written by hand."""

import numpy as np
import pytest

from keras_seg.labeling.doubts import Thresholds, contradictions, doubt_score, doubtful_regions, unexpected
from keras_seg.labeling.uncertainty import pixel_entropy, uncertainty

CLASSES = 3


def said(mask, probability=0.8):
    """Probabilities [H, W, C] of a network that is as sure of every pixel of a mask."""
    rest = (1 - probability) / (CLASSES - 1)
    return np.where(np.eye(CLASSES)[np.minimum(mask, CLASSES - 1)] > 0, probability, rest).astype(np.float32)


def random_probabilities(rng, size):
    logits = rng.normal(size=(*size, CLASSES))
    return (np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)).astype(np.float32)


def test_thresholds_are_the_mean_self_confidence_of_each_class():
    rng = np.random.default_rng(0)
    pairs = [
        (rng.choice([0, 1, 255], (5, 7)).astype(np.uint8), random_probabilities(rng, (5, 7))) for _ in "ab"
    ]
    thresholds = Thresholds(CLASSES)
    for pair in pairs:
        thresholds.add(*pair)
    for label in (0, 1):
        own = [
            probabilities[row, column, label]
            for mask, probabilities in pairs
            for row, column in np.argwhere(mask == label)
        ]
        assert thresholds.values()[label] == pytest.approx(np.mean(own), rel=1e-6)
    assert thresholds.values()[2] > 1  # No pixel is labeled so.


def test_a_pixel_is_contradicted_where_another_class_reaches_its_threshold():
    mask = np.array([[0, 0, 0, 255]], np.uint8)
    probabilities = np.array([[[0.4, 0.6, 0.0], [0.48, 0.52, 0.0], [0.9, 0.1, 0.0], [0.0, 1.0, 0.0]]])
    found = contradictions(mask, probabilities, [0.7, 0.55, 2.0])
    assert found.tolist() == [[1, 255, 255, 255]]


def test_what_is_unexpected_by_hand():
    rng = np.random.default_rng(1)
    probabilities, mask = random_probabilities(rng, (4, 5)), rng.integers(0, 3, (4, 5)).astype(np.uint8)
    mask[0, 0] = 255
    found = unexpected(mask, probabilities)
    assert found[0, 0] == 0
    for row, column in np.argwhere(mask != 255):
        p = probabilities[row, column].astype(float)
        expected = -np.log(p[mask[row, column]]) + (p * np.log(p)).sum()
        assert found[row, column] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_labels_drawn_from_the_probabilities_are_expected_however_unsure_the_network_is():
    rng = np.random.default_rng(2)
    probabilities = random_probabilities(rng, (300, 300))
    drawn = (rng.random((300, 300, 1)) > probabilities.cumsum(axis=-1)).sum(axis=-1).clip(max=2)
    assert abs(unexpected(drawn.astype(np.uint8), probabilities).mean()) < 0.01
    assert unexpected(rng.integers(0, 3, (300, 300)).astype(np.uint8), probabilities).mean() > 0.1


def test_the_score_is_the_mean_of_the_worst_neighborhood():
    rng = np.random.default_rng(3)
    probabilities, mask = random_probabilities(rng, (24, 40)), rng.integers(0, 3, (24, 40)).astype(np.uint8)
    padded = np.pad(unexpected(mask, probabilities), 1)  # Squares of 24 / 8 = 3 pixels, around each pixel.
    means = [padded[row : row + 3, left : left + 3].mean() for row in range(24) for left in range(40)]
    assert doubt_score(mask, probabilities) == pytest.approx(max(means), rel=1e-5)


def test_a_mask_without_a_label_comes_last():
    assert doubt_score(np.full((2, 2), 255, np.uint8), said(np.zeros((2, 2), int))) == -np.inf


def test_regions_are_found_with_box_classes_and_score_the_gravest_first():
    real = np.zeros((20, 30), np.uint8)
    real[2:8, 3:13] = 1
    real[12:17, 20:25] = 2
    labeled = np.zeros_like(real)  # Both regions were forgotten.
    first, second = doubtful_regions(labeled, said(real), [0.7, 0.7, 0.7])
    assert (first.labeled, first.suggested, first.box, first.pixels) == (0, 1, (3, 2, 10, 6), 60)
    assert (second.labeled, second.suggested, second.box, second.pixels) == (0, 2, (20, 12, 5, 5), 25)
    assert first.score == pytest.approx(60 * (0.8 - 0.1), rel=1e-5)
    assert not doubtful_regions(labeled, said(real), [0.7, 0.7, 0.7], least_pixels=61)


def test_uncertainty_by_hand():
    first = np.array([[[0.5, 0.5], [1.0, 0.0]]], np.float32)
    second = np.array([[[0.5, 0.5], [0.0, 1.0]]], np.float32)
    found = uncertainty([first, second])
    assert found.entropy == pytest.approx(0.5)  # One pixel is as unsure as can be, one is sure.
    assert found.margin == pytest.approx(0.5)
    assert found.disagreement == pytest.approx(0.5)  # The views agree on one and contradict on the other.
    assert uncertainty([first, first]).disagreement == pytest.approx(0, abs=1e-6)


def test_entropy_of_a_class_that_is_impossible_is_finite():
    assert pixel_entropy(np.array([1.0, 0.0, 0.0])) == pytest.approx(0, abs=1e-6)
