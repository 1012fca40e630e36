"""Losses and their gradients against computations by hand."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_seg.losses import LOSSES, SegmentationLoss, parse_loss
from tests.losses_by_hand import BINARY_LABELS, LABELS, LOGITS, REGIONS, by_hand, gradient, gradient_by_hand

PER_PIXEL = sorted(set(LOSSES) - set(REGIONS))
WEIGHTS = (0.5, 2.0, 0.0, 3.0)


def value(loss, labels=LABELS, logits=LOGITS):
    return float(loss(labels, logits))


def assert_equal_by_hand(loss, name, labels=LABELS, logits=LOGITS, **options):
    assert value(loss, labels, logits) == pytest.approx(by_hand(name, labels, logits, **options), rel=1e-6)
    expected = gradient_by_hand(name, labels, logits, **options)
    np.testing.assert_allclose(gradient(loss, labels, logits), expected, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("name", LOSSES)
def test_loss_and_gradient_equal_the_computation_by_hand(name):
    assert_equal_by_hand(SegmentationLoss(name), name)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("focal", {"gamma": 0.5}),
        ("focal", {"gamma": 3.0}),
        ("ohem", {"threshold": 0.02}),
        ("ohem", {"threshold": 0.02, "min_kept": 0.6}),
        ("ohem", {"min_kept": 1.0}),
        ("tversky", {"alpha": 0.9}),
        ("tversky", {"alpha": 2.0, "beta": 0.1}),
        ("focal_tversky", {"gamma": 2.0, "beta": 0.4}),
    ],
)
def test_parameters_can_be_given_in_the_text(name, parameters):
    text = f"{name}({', '.join(f'{key}={number}' for key, number in parameters.items())})"
    assert_equal_by_hand(SegmentationLoss(text), name, **parameters)


@pytest.mark.parametrize("name", LOSSES)
def test_classes_are_weighted(name):
    assert_equal_by_hand(SegmentationLoss(name, class_weights=WEIGHTS), name, weights=WEIGHTS)


@pytest.mark.parametrize("name", LOSSES)
def test_weights_of_all_classes_alike_change_nothing(name):
    assert value(SegmentationLoss(name, class_weights=[1e-3] * 4)) == pytest.approx(by_hand(name), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_sum_over_pixels_is_not_normalized(name):
    loss = SegmentationLoss(name, class_weights=WEIGHTS, reduction="sum")
    reduction = "sum" if name in PER_PIXEL else "mean"
    assert_equal_by_hand(loss, name, weights=WEIGHTS, reduction=reduction)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [1.0, 1e4, 1e38])
def test_what_is_ignored_changes_nothing_however_large(name, size):
    moved = LOGITS.copy()
    moved[:, 2] = size * np.random.default_rng(1).normal(size=moved[:, 2].shape)
    assert value(SegmentationLoss(name), logits=moved) == pytest.approx(by_hand(name), rel=1e-6)
    gradients = gradient(SegmentationLoss(name), logits=moved)
    assert np.isfinite(gradients).all()
    assert not gradients[:, 2].any()
    assert gradients[:, :2].any() and gradients[:, 3:].any()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("options", [{}, {"class_weights": WEIGHTS}, {"reduction": "sum"}], ids=str)
def test_a_batch_of_ignored_pixels_gives_zero_and_a_gradient_of_zeros(name, options):
    loss, ignored = SegmentationLoss(name, **options), np.full_like(LABELS, 255)
    assert value(loss, ignored) == 0
    assert not gradient(loss, ignored).any()


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_of_classes_without_weight_gives_zero(name):
    loss = SegmentationLoss(name, class_weights=[0, 0, 0, 1])
    labels = np.where(LABELS == 3, 255, LABELS)
    assert value(loss, labels) == 0
    assert not gradient(loss, labels).any()


@pytest.mark.parametrize("name", [*LOSSES, "focal(gamma=0.1)"])
def test_a_perfect_prediction_costs_nothing_and_its_gradient_is_finite(name):
    labels = np.where(LABELS == 3, 0, LABELS)  # Class 3 does not occur.
    logits = 200 * np.eye(4, dtype="float32")[np.where(labels == 255, 1, labels)] - 100
    loss = SegmentationLoss(name)
    assert value(loss, labels, logits) == pytest.approx(0, abs=1e-5)
    assert np.isfinite(gradient(loss, labels, logits)).all()


def test_a_perfect_prediction_leaves_ohem_without_a_pixel_over_its_threshold_but_with_the_least_kept():
    logits = 2 * np.eye(4, dtype="float32")[np.where(LABELS == 255, 1, LABELS)]
    logits[0, 0, 0] *= 2
    expected = by_hand("ohem", logits=logits, min_kept=0.5)
    assert value(SegmentationLoss("ohem(min_kept=0.5)"), logits=logits) == pytest.approx(expected, rel=1e-6)


def test_binary_cross_entropy_of_two_classes_is_that_of_the_difference_of_their_logits():
    logits = LOGITS[..., :2]
    labels = np.where(LABELS == 255, 255, LABELS % 2)
    assert_equal_by_hand(SegmentationLoss("bce"), "bce", labels, logits)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("options", [{}, {"class_weights": (0.5, 2.0)}], ids=["plain", "weighted"])
def test_a_single_logit_is_the_sigmoid_by_hand(name, options):
    loss, weights = SegmentationLoss(name, **options), options.get("class_weights")
    assert_equal_by_hand(loss, name, BINARY_LABELS, LOGITS[..., :1], weights=weights)


@pytest.mark.parametrize("name", LOSSES)
def test_a_single_logit_costs_what_the_pair_of_zero_and_itself_costs(name):
    logit = LOGITS[..., :1]
    pair = np.concatenate([np.zeros_like(logit), logit], axis=-1)
    loss = SegmentationLoss(name, reduction="sum")
    assert value(loss, BINARY_LABELS, logit) == value(loss, BINARY_LABELS, pair)
    expected = gradient(loss, BINARY_LABELS, pair)[..., 1:]
    np.testing.assert_allclose(gradient(loss, BINARY_LABELS, logit), expected, rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [1e4, 1e38])
def test_huge_single_logits_that_are_right_cost_nothing(name, size):
    logits = np.where(BINARY_LABELS == 1, size, -size)[..., None].astype("float32")
    assert value(SegmentationLoss(name), BINARY_LABELS, logits) == pytest.approx(0, abs=1e-5)
    assert np.isfinite(gradient(SegmentationLoss(name), BINARY_LABELS, logits)).all()


def test_a_single_logit_takes_two_class_weights():
    with pytest.raises(ValueError, match="one for each of 2 classes, received 1"):
        SegmentationLoss(class_weights=[1.0])(BINARY_LABELS, LOGITS[..., :1])


@pytest.mark.parametrize("labels", [[[[0, 1, 1, 2, 255]]], [[[2, 2, 2, 2, 0]]]], ids=str)
def test_lovasz_of_sure_predictions_is_one_minus_the_iou(labels):
    labels, predicted = np.array(labels), np.array([[[0, 1, 2, 2, 0]]])
    counted = labels != 255
    ious = [
        ((labels == c) & (predicted == c))[counted].sum() / ((labels == c) | (predicted == c))[counted].sum()
        for c in np.unique(labels[counted])
    ]
    logits = 100 * np.eye(3, dtype="float32")[predicted]
    assert value(SegmentationLoss("lovasz"), labels, logits) == pytest.approx(1 - np.mean(ious), abs=1e-6)


def test_lovasz_is_the_mean_over_all_thresholds_of_one_minus_the_iou():
    """The extension as an integral: errors above t, t uniform in 0..1, are what is wrong."""
    labels, logits = LABELS[:1], LOGITS[:1]
    counted = labels != 255
    probability = np.exp(logits.astype("float64"))
    probability = (probability / probability.sum(-1, keepdims=True))[counted]
    expected = []
    for c in np.unique(labels[counted]):
        truth = labels[counted] == c
        errors = np.abs(truth - probability[:, c])
        levels = np.concatenate([[0], np.sort(errors), [1]])
        wrong = errors[None] > (levels[:-1, None] + levels[1:, None]) / 2
        iou = (truth & ~wrong).sum(1) / (truth | wrong).sum(1)
        expected.append(np.sum(np.diff(levels) * (1 - iou)))
    actual = value(SegmentationLoss("lovasz"), labels, logits)
    assert actual == pytest.approx(np.mean(expected), rel=1e-6)


@pytest.mark.parametrize("name", ["dice", "ce", "lovasz"])
def test_a_million_pixels_are_added_up_without_loss(name):
    logits = np.zeros((1, 1024, 1024, 2), "float32")
    logits[..., 0] = p = np.log(0.99 / 0.01)
    labels = np.zeros((1, 1024, 1024), int)
    p = 1 / (1 + np.exp(-p))
    expected = {"dice": 1 - 2 * p / (1 + p), "ce": -np.log(p), "lovasz": 1 - p}[name]
    assert value(SegmentationLoss(name), labels, logits) == pytest.approx(expected, rel=1e-4)


def test_a_sum_adds_its_weighted_terms():
    expected = by_hand("focal", gamma=3) + 0.5 * by_hand("tversky", alpha=0.3) + by_hand("ce")
    text = "focal(gamma=3) + 0.5*tversky(alpha=0.3)+ce"
    assert value(SegmentationLoss(text)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_logits_are_computed_in_float32(name):
    logits = keras.ops.cast(LOGITS, "bfloat16")
    rounded = keras.ops.convert_to_numpy(keras.ops.cast(logits, "float32"))
    loss = SegmentationLoss(name)(LABELS, logits)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert float(loss) == pytest.approx(by_hand(name, logits=rounded), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_sizes_may_be_unknown_when_a_graph_is_made(name):
    tf = pytest.importorskip("tensorflow")
    signature = [tf.TensorSpec((None, None, None), "int32"), tf.TensorSpec((None, None, None, 4))]
    compiled = tf.function(SegmentationLoss(name), input_signature=signature)
    assert float(compiled(LABELS, LOGITS)) == pytest.approx(by_hand(name), rel=1e-6)


def test_labels_may_have_a_channel_of_their_own():
    assert value(SegmentationLoss("ce+dice"), LABELS[..., None]) == value(SegmentationLoss("ce+dice"))


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"ohem", "lovasz"}))
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_replicas_that_add_up_their_sums_have_the_loss_and_gradient_of_the_whole_batch(name, reduction):
    labels = LABELS.copy()
    labels[1, :4] = 255  # One replica has far fewer pixels than the other.
    shares = [(labels[:1], LOGITS[:1]), (labels[1:], LOGITS[1:])]

    def sums_of(share):
        sums = []
        SegmentationLoss(name, replica_sum=lambda x: sums.append(x) or x, reduction=reduction)(*share)
        return sums

    gradients = []
    for own, other in (shares, shares[::-1]):
        rest = iter(sums_of(other))
        loss = SegmentationLoss(name, replica_sum=lambda x: x + next(rest), reduction=reduction)  # noqa: B023
        gradients.append(gradient(loss, *own))
        rest = iter(sums_of(other))
        whole = by_hand(name, labels, reduction=reduction if name in PER_PIXEL else "mean")
        assert value(loss, *own) == pytest.approx(whole, rel=1e-6)
    whole = gradient(SegmentationLoss(name, reduction=reduction), labels)
    np.testing.assert_allclose(np.concatenate(gradients), whole, atol=1e-6 * np.abs(whole).max())


def test_loss_survives_serialization():
    loss = SegmentationLoss("ce+0.5*dice", 3, class_weights=(1, 2, 0), reduction="sum", name="loss")
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert copy.get_config() == loss.get_config()
    assert (copy.terms, copy.ignore_index, copy.class_weights) == ("ce+0.5*dice", 3, (1.0, 2.0, 0.0))


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "ce+", "0*ce", "-1*ce", "x*ce", "nan*ce", "inf*ce", "ce dice", "2ce", "ce(", "focal)",
     "focal(gamma)", "focal(gamma=)", "focal(gamma=0)", "focal(gamma=x)", "focal(alpha=1)", "ce(gamma=2)",
     "focal(2)", "ohem(min_kept=100000)", "ohem(threshold=2)", "dice(alpha=1)+ce"],
)  # fmt: skip
def test_an_unreadable_loss_is_refused_in_a_line(text):
    with pytest.raises(ValueError, match="received") as refused:
        parse_loss(text)
    assert "\n" not in str(refused.value)


def test_text_is_read_with_exponents_and_blanks():
    assert parse_loss("1e-3 * ce + focal( gamma = 1e+0 )+dice()") == (
        ("ce", 1e-3, {}),
        ("focal", 1.0, {"gamma": 1.0}),
        ("dice", 1.0, {}),
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"reduction": "none"}, "reduction must be one of"),
        ({"class_weights": [1, -1, 1, 1]}, "class_weights must be 0 or more"),
        ({"class_weights": [0, 0, 0, 0]}, "class_weights must be 0 or more"),
        ({"class_weights": [1, float("nan"), 1, 1]}, "class_weights must be 0 or more"),
        ({"class_weights": [1, 1]}, "one for each of 4 classes, received 2"),
    ],
)
def test_an_argument_out_of_range_is_refused(options, text):
    with pytest.raises(ValueError, match=text):
        SegmentationLoss("ce", **options)(LABELS, LOGITS)


def test_weights_of_samples_are_refused():
    with pytest.raises(ValueError, match="takes no sample_weight"):
        SegmentationLoss("ce")(LABELS, LOGITS, np.ones(2))


@pytest.mark.backends
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_losses_are_right_on_the_other_backends(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    subprocess.run(
        [sys.executable, "-m", "tests.losses_by_hand"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "KERAS_BACKEND": backend},
        check=True,
    )
