"""Images that people have as arrays, as a network takes them."""

import warnings

import numpy as np


def as_image(image, channels):
    """Gives a grey image the channels of the network: three equal ones, as the decoder of files does, or one.

    Args:
        image: [H, W, channels], or grey [H, W] or [H, W, 1].
        channels: of the network.

    Returns:
        array [H, W, channels]; of any other shape, what was given.
    """
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[..., None]
    is_grey = image.ndim == 3 and image.shape[2] == 1
    return np.repeat(image, 3, axis=2) if is_grey and channels == 3 else image


def warn_of_fractions(images, kind):
    """Warns of floats of at most 1: a network takes 0..255, for which an image scaled to 0..1 is black.

    Args:
        images: array [..., C].
        kind: `ImageKind` of the network; only pictures of 8 bits are known to end at 255.
    """
    if kind.depth == "uint8" and images.dtype.kind == "f" and 0 < images.max() <= 1:
        warnings.warn(
            f"the image's largest value is {images.max():.3g}: if it is scaled to 0..1, multiply it by 255, "
            "for the network takes values in 0..255",
            stacklevel=3,
        )
