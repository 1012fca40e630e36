"""Counts of each image, from which all metrics of a data set follow."""

from typing import NamedTuple

import numpy as np

from keras_seg.errors import InputError
from keras_seg.metrics import boundary_counts
from keras_seg.palette import IGNORE

BINS = 15  # Of the confidence, as Guo et al. have them.
RESAMPLES = 1000
INTERVAL = (2.5, 97.5)  # Percentiles: 95 % of the resamples lie between.


def confusion(truth, predicted, num_classes):
    """Counts pixels by their class and their predicted class.

    Args:
        truth: integer class ids of any shape, 255 ignored.
        predicted: class ids of the same shape.
        num_classes: number of classes C.

    Returns:
        int64 [C, C], row = truth, column = prediction.

    Raises:
        InputError: the truth holds an id that is no class.
    """
    counted = truth != IGNORE
    truth = truth[counted].astype(np.int64)
    wrong = truth[(truth < 0) | (truth >= num_classes)]
    if wrong.size:
        raise InputError(
            f"a mask holds the value {wrong[0]}, which is no class of 0 to {num_classes - 1}; correct "
            f"the mask, or ignore the value with --ignore-label {wrong[0]}"
        )
    cells = np.bincount(truth * num_classes + predicted[counted], minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes)


class ImageCounts(NamedTuple):
    """Counts of one image.

    Attributes:
        matrix: int64 [C, C], row = truth, column = prediction.
        boundary: int64 [2, C], as `boundary_counts`.
        calibration: float64 [BINS, 3]: pixels, the sum of their confidence, and how many are right, of the
            pixels whose confidence is in a bin; the bins part 0..1 evenly.
    """

    matrix: np.ndarray
    boundary: np.ndarray
    calibration: np.ndarray


def count_image(truth, prediction, num_classes):
    """Counts one image.

    Args:
        truth: integer class ids [H, W], 255 ignored.
        prediction: Prediction of it.
        num_classes: number of classes C.

    Returns:
        ImageCounts.

    Raises:
        InputError: the truth holds an id that is no class.
    """
    matrix = confusion(truth, prediction.mask, num_classes)
    boundary = boundary_counts(truth, prediction.mask, num_classes)
    counted = truth != IGNORE
    confidence = prediction.confidence[counted].astype(np.float64)
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    is_right = prediction.mask[counted] == truth[counted]
    columns = [np.bincount(bins, weights, BINS) for weights in (None, confidence, is_right)]
    return ImageCounts(matrix, boundary, np.stack(columns, axis=1))


class Counts:
    """Counts over a data set, image by image.

    Args:
        num_classes: number of classes C.

    Attributes:
        matrix, boundary, calibration: the sums of those of `ImageCounts`.
        images: list of int64 [3, C], one for each image: pixels of each class that are right, that are in
            the truth, that are predicted.
    """

    def __init__(self, num_classes):
        self.num_classes = num_classes
        self.matrix = np.zeros((num_classes, num_classes), np.int64)
        self.boundary = np.zeros((2, num_classes), np.int64)
        self.calibration = np.zeros((BINS, 3))
        self.images = []

    def add(self, image):
        """Adds the `ImageCounts` of an image; the order of images decides the last digits of the sums."""
        matrix = image.matrix
        self.matrix += matrix
        self.images.append(np.stack([matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)]))
        self.boundary += image.boundary
        self.calibration += image.calibration


def calibration_error(calibration):
    """Expected calibration error (Guo et al., 2017, arXiv:1706.04599): 0 where confidence is accuracy.

    The mean over the bins, by their pixels, of the distance between the mean confidence and the accuracy.
    """
    pixels, confidence, right = calibration.T
    return np.abs(confidence - right).sum() / pixels.sum() if pixels.any() else np.nan


def intervals(images, seed=0):
    """95 % confidence intervals by bootstrap over the images (Efron, 1979).

    The data set is resampled from its images, with repetition, `RESAMPLES` times; between the bounds lie
    95 % of the figures of these.

    Args:
        images: as of `Counts`.
        seed: of the draws.

    Returns:
        dict of `mean_iou` and `pixel_accuracy`: [lower, upper]; empty where no pixel is labeled.
    """
    count = len(images)
    if not sum(each[1].sum() for each in images):
        return {}
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    sums = (draws @ np.stack(images).reshape(count, -1)).reshape(RESAMPLES, 3, -1)
    hits, truth, predicted = sums.transpose(1, 0, 2).astype(np.float64)
    either = truth + predicted - hits
    occurs = either > 0
    iou = np.divide(hits, either, out=np.zeros_like(hits), where=occurs)
    figures = {
        "mean_iou": iou.sum(axis=1) / np.maximum(occurs.sum(axis=1), 1),
        "pixel_accuracy": hits.sum(axis=1) / np.maximum(truth.sum(axis=1), 1),
    }
    return {name: np.percentile(values, INTERVAL).tolist() for name, values in figures.items()}
