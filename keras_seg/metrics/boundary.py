"""Boundary IoU: Cheng et al., 2021 (arXiv:2103.16562).

The IoU of a class's pixels that lie close to its contour, in the truth and in the prediction. Plain IoU is
ruled by the insides of large objects; this one sees whether their outlines are right.
"""

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np

from keras_seg.metrics.confusion import nanmean
from keras_seg.palette import IGNORE


def boundary_counts(
    truth: Any, predicted: Any, num_classes: int, dilation_ratio: float = 0.02, ignore_index: int = IGNORE
) -> np.ndarray:
    """Counts the pixels of one image that are in both boundaries of a class, and in one of them at least.

    A class's boundary are its pixels from which one that is not of the class, or outside the image, is at
    most d rows and at most d columns away; d is `dilation_ratio` of the image's diagonal, in whole pixels and
    1 or more. Where the truth is ignored, its contour is not known: there the prediction is taken to be
    right, so that an ignored outline makes no contour of its own, and its pixels are not counted.

    Args:
        truth: Integer class ids `[H, W]`.
        predicted: Integer class ids `[H, W]`.
        num_classes: Number of classes C.
        dilation_ratio: Distance to the contour, a fraction of the image's diagonal.
        ignore_index: Class id of the pixels that are left out.

    Returns:
        int64 `[2, C]`, pixels in both boundaries and pixels in either; add them up over a data set.

    Raises:
        ValueError: The masks differ in size, or hold an id that is no class.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.ndim != 2 or truth.shape != predicted.shape:
        raise ValueError(
            f"truth and predicted must be [H, W] of one size, received {truth.shape}, {predicted.shape}."
        )
    counted = truth != ignore_index
    truth = np.where(counted, truth, predicted)
    distance = max(1, round(dilation_ratio * np.hypot(*truth.shape)))
    counts = np.zeros((2, num_classes), np.int64)
    for class_id in np.union1d(truth, predicted):
        if not 0 <= class_id < num_classes:
            raise ValueError(f"class ids must be 0 to {num_classes - 1}, received {class_id}.")
        ours, theirs = (_boundary(mask == class_id, distance) & counted for mask in (truth, predicted))
        counts[:, class_id] = np.count_nonzero(ours & theirs), np.count_nonzero(ours | theirs)
    return counts


def _boundary(mask, distance):
    """The pixels of a mask, bool `[H, W]`, that are at most `distance` pixels away from what is outside."""
    mask = mask.astype(np.uint8)
    boundary = np.zeros(mask.shape, bool)
    left, top, width, height = cv2.boundingRect(mask)
    box = np.s_[top : top + height, left : left + width]
    square = np.ones((2 * distance + 1, 2 * distance + 1), np.uint8)
    inside = cv2.erode(mask[box], square, borderType=cv2.BORDER_CONSTANT, borderValue=0) if width else 0
    boundary[box] = mask[box] > inside
    return boundary


def boundary_scores(counts: Any) -> dict[str, Any]:
    """The scores of `boundary_counts` that were added up over a data set.

    Returns:
        A dict of fractions: `mean_boundary_iou`, and the array `boundary_iou` `[C]`, NaN for a class that is
        neither in the truth nor predicted; the mean leaves it out.
    """
    both, either = np.asarray(counts, "float64")
    with np.errstate(divide="ignore", invalid="ignore"):
        iou = both / either
    return {"mean_boundary_iou": nanmean(iou), "boundary_iou": iou}


def boundary_iou(
    truths: Iterable[Any],
    predictions: Iterable[Any],
    num_classes: int,
    dilation_ratio: float = 0.02,
    ignore_index: int = IGNORE,
) -> np.ndarray:
    """Boundary IoU of each class over several images, `[C]`.

    Args:
        truths: Class ids `[N, H, W]`, or N arrays `[H, W]` of any sizes.
        predictions: As the truths.
        num_classes: As for `boundary_counts`.
        dilation_ratio: The same.
        ignore_index: The same.
    """
    counts = sum(
        boundary_counts(*pair, num_classes, dilation_ratio, ignore_index)
        for pair in zip(truths, predictions, strict=True)
    )
    return boundary_scores(counts)["boundary_iou"]
