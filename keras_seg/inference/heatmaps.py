"""Where in an image a fully convolutional classifier sees a class.

Long, Shelhamer and Darrell, 2015 (arXiv:1411.4038), figure 2.
"""

import cv2
import numpy as np
from keras import ops

from keras_seg.logits import softmax

STRIDE = 32  # Pixels of the image to a cell of VGG16's last map.


def class_maps(classifier, image):
    """Classifies every cell of an image.

    Args:
        classifier: `keras.Model` from RGB [B, H, W, 3] in 0..255 to logits [B, h, w, C], such as
            `vgg16_classifier(padding="same")`.
        image: RGB [H, W, 3] in 0..255, of 32 pixels or more a side.

    Returns:
        float32 [h, w, C]: class probabilities of the cells, each of 32 x 32 pixels.

    Raises:
        ValueError: The image is smaller than a cell.
    """
    if min(image.shape[:2]) < STRIDE:
        height, width = image.shape[:2]
        raise ValueError(f"image must be of {STRIDE} pixels or more a side, received {width} x {height}.")
    return softmax(ops.convert_to_numpy(classifier(image[None].astype(np.float32), training=False))[0])


def most_likely(maps, count=1):
    """The ids of the classes with the highest probability anywhere in the maps [h, w, C], best first."""
    return np.argsort(-maps.max(axis=(0, 1)), kind="stable")[:count].tolist()


def draw_heatmap(image, heat, alpha=0.5):
    """Draws a class's map over its image, from blue (0) to red (1).

    Args:
        image: RGB uint8 [H, W, 3].
        heat: float [h, w] in 0..1, one of `class_maps`.
        alpha: part of the colors.

    Returns:
        RGB uint8 [H, W, 3].
    """
    height, width = image.shape[:2]
    rows, columns = (cells * STRIDE for cells in heat.shape)
    scaled = cv2.resize(np.float32(heat), (columns, rows))
    # The pools round down: what is left at the right and at the bottom belongs to the last cells.
    scaled = np.pad(scaled, ((0, max(height - rows, 0)), (0, max(width - columns, 0))), "edge")[
        :height, :width
    ]
    levels = np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)
    colors = cv2.applyColorMap(levels, cv2.COLORMAP_TURBO)[..., ::-1]
    return cv2.addWeighted(image, 1 - alpha, np.ascontiguousarray(colors), alpha, 0)
