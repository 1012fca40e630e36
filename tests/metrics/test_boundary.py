"""Boundary IoU against its definition, worked out by hand."""

import numpy as np
import pytest

from keras_seg.metrics import boundary_counts, boundary_iou, boundary_scores
from tests.metrics_by_hand import CLASSES, blobs, boundary_ious


@pytest.mark.parametrize("ignored", [0.0, 0.3])
@pytest.mark.parametrize(("ratio", "distance"), [(0.02, 1), (0.09, 2), (0.13, 3)])
def test_boundary_iou_equals_the_definition_over_several_images(ratio, distance, ignored):
    truths, predictions = ([blobs(size, part) for size in (12, 15)] for part in (ignored, 0))
    assert {max(1, round(ratio * np.hypot(*truth.shape))) for truth in truths} == {distance}
    expected = [np.nan if v is None else v for v in boundary_ious(truths, predictions, distance)]
    np.testing.assert_allclose(boundary_iou(truths, predictions, CLASSES, ratio), expected)
    assert np.isnan(expected[4]) and not np.isnan(expected[:4]).any()


def test_a_square_one_pixel_off_by_hand():
    """20 x 20 in an image of 100 x 100, d = 2 (0.02 of 141 is 2.8, so 3): rings of three pixels' width."""
    truth, predicted = np.zeros((2, 100, 100), int)
    truth[40:60, 40:60] = 1
    predicted[40:60, 41:61] = 1
    ring = 20**2 - 14**2
    # Of 20 rows, 6 are whole and share 19 of 20; of the other 14, each end shares 2 of 3 columns.
    both = 6 * 19 + 14 * 2 * 2
    assert boundary_counts(truth, predicted, 2)[:, 1].tolist() == [both, 2 * ring - both]


def test_a_perfect_prediction_within_ignored_outlines_is_one():
    mask = blobs(30)
    outlined = mask.copy()
    outlined[9:12], outlined[:, 19:21] = 255, 255
    ious = boundary_iou([outlined], [mask], 4, 0.1)
    np.testing.assert_array_equal(ious[~np.isnan(ious)], 1)


def test_an_ignored_outline_is_no_contour():
    truth, predicted = np.zeros((2, 40, 40), int)
    truth[:, 18:22] = 255
    assert boundary_counts(truth, predicted, 1).tolist() == [[40**2 - 38**2 - 8]] * 2


def test_images_are_streamed():
    truths, predictions = [blobs(12), blobs(15)], [blobs(12), blobs(15)]
    counts = sum(boundary_counts(*pair, 4) for pair in zip(truths, predictions, strict=True))
    result = boundary_scores(counts)
    np.testing.assert_array_equal(result["boundary_iou"], boundary_iou(truths, predictions, 4))
    assert result["mean_boundary_iou"] == pytest.approx(np.mean(result["boundary_iou"]))


def test_figures_without_a_pixel_are_nan():
    ignored = np.full((4, 5), 255)
    result = boundary_scores(boundary_counts(ignored, np.zeros((4, 5), int), 2))
    assert np.isnan(result["boundary_iou"]).all() and np.isnan(result["mean_boundary_iou"])


@pytest.mark.parametrize(
    ("truth", "predicted", "text"),
    [
        (np.full((2, 2), 7), np.zeros((2, 2), int), "must be 0 to 3, received 7"),
        (np.full((2, 2), -1), np.zeros((2, 2), int), "must be 0 to 3, received -1"),
        (np.zeros((2, 2), int), np.zeros((2, 3), int), "of one size"),
        (np.zeros((1, 2, 2), int), np.zeros((1, 2, 2), int), "of one size"),
    ],
)
def test_masks_that_do_not_fit_are_refused(truth, predicted, text):
    with pytest.raises(ValueError, match=text):
        boundary_counts(truth, predicted, 4)
