"""Fully connected CRF as DeepLab v1 and v2 end in: Krähenbühl and Koltun, 2011 (arXiv:1210.5644).

Chen et al., 2015 (arXiv:1412.7062), section 3.2, give the two kernels and their values on Pascal VOC.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from keras_seg.errors import InputError
from keras_seg.inference.lattice import lattice_filter
from keras_seg.logits import softmax

_SMALLEST = 1e-8  # Probability, so that its logarithm is finite.
_REACH = 5.0  # Standard deviations at which a Gaussian is cut off.


@dataclass(frozen=True)
class CRF:
    """The pairwise energy, and the number of mean field steps.

    Two pixels of different classes cost `appearance_weight` where they are close in place and color, and
    `smoothness_weight` where they are close in place; each times a Gaussian.

    Attributes:
        steps: mean field steps.
        appearance_weight: w1 of the paper.
        appearance_pixels: standard deviation of place in the first kernel, in pixels.
        appearance_colors: standard deviation of color in the first kernel, of 0..255.
        smoothness_weight: w2 of the paper.
        smoothness_pixels: standard deviation of place in the second kernel, in pixels.

    Raises:
        InputError: a value is out of range.
    """

    steps: int = 10
    appearance_weight: float = 4.0
    appearance_pixels: float = 65.0
    appearance_colors: float = 3.0
    smoothness_weight: float = 3.0
    smoothness_pixels: float = 3.0

    def __post_init__(self):
        for name in ("appearance_pixels", "appearance_colors", "smoothness_pixels"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"--crf: {name} must be above 0, received {getattr(self, name)}")
        for name in ("steps", "appearance_weight", "smoothness_weight"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"--crf: {name} must be 0 or more, received {getattr(self, name)}")

    @staticmethod
    def bytes_a_pixel(num_classes):
        """Bytes that `refine` takes for each pixel at most: measured, of noise, 1,437 with 2 classes."""
        return 1440 + 48 * num_classes


def refine(probabilities, image, crf=CRF()):
    """Sharpens class probabilities along the edges of their image.

    Args:
        probabilities: float [H, W, C], which sum to 1.
        image: RGB [H, W, 3] in 0..255.
        crf: CRF; None for the values of DeepLab on Pascal VOC.

    Returns:
        float32 [H, W, C]: the mean field marginals after the last step, which sum to 1.

    Raises:
        ValueError: the two differ in height or width.
    """
    crf = crf or CRF()
    height, width, classes = probabilities.shape
    if image.shape != (height, width, 3):
        raise ValueError(f"image must be {[height, width, 3]}, received {list(image.shape)}.")
    unary = np.log(np.maximum(probabilities, _SMALLEST)).astype(np.float32).reshape(-1, classes)
    kernels = [
        (weight, _normalized(kernel, height * width))
        for weight, kernel in (
            (crf.appearance_weight, lattice_filter(_appearance(image, crf))),
            (crf.smoothness_weight, _smoothness(height, width, crf.smoothness_pixels)),
        )
    ]
    marginals = softmax(unary)
    for _ in range(crf.steps):
        # Under the Potts model, a class costs what the others weigh: less its own weight, all classes alike.
        marginals = softmax(unary + sum(weight * kernel(marginals) for weight, kernel in kernels))
    return marginals.reshape(height, width, classes)


def _appearance(image, crf):
    """Place and color of each pixel, in standard deviations: [H * W, 5]."""
    height, width = image.shape[:2]
    place = np.stack(np.mgrid[:height, :width], axis=-1) / crf.appearance_pixels
    return np.concatenate([place, image / crf.appearance_colors], axis=-1).reshape(-1, 5)


def _smoothness(height, width, deviation):
    """Filter with a Gaussian of the place alone, exact up to where it is cut off."""
    reach = int(np.ceil(_REACH * deviation))
    line = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * deviation**2)).astype(np.float32)

    def apply(values):
        # One map after the other: OpenCV filters no more than four channels at once.
        maps = values.T.reshape(-1, height, width)
        blurred = [cv2.sepFilter2D(each, -1, line, line, borderType=cv2.BORDER_CONSTANT) for each in maps]
        return np.stack(blurred).reshape(-1, height * width).T

    return apply


def _normalized(kernel, points):
    """D^-1/2 K D^-1/2 with the row sums D, as the authors' code has it; a pixel's own weight is part of it.

    Without it the first kernel would outweigh any evidence: in an even part of an image it adds up to
    thousands.
    """
    root = 1 / np.sqrt(kernel(np.ones((points, 1), np.float32)) + 1e-20)
    return lambda values: root * kernel(root * values)
