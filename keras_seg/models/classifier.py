"""VGG16's image classifier as a fully convolutional network, the start of every FCN (arXiv:1411.4038)."""

import keras
from keras import layers

from keras_seg.models.blocks import encode
from keras_seg.models.fcn import fully_convolutional
from keras_seg.pretrained import torch_names
from keras_seg.rows import Network


def vgg16_classifier(
    num_classes=1000,
    input_shape=(None, None, 3),
    *,
    padding="valid",
    preprocessing="keras",
    dropout=0.5,
    name="vgg16_classifier",
):
    """Builds VGG16 with its three dense layers as convolutions.

    An image of 224 x 224 pixels gives the dense network's one answer; a larger one gives, in one pass, the
    grid of its answers for every window of 7 x 7 in the last map (384 x 384 pixels: 6 x 6 answers). A
    window cut out of the image answers otherwise, as the convolutions then see zeros around it.

    Args:
        num_classes: Number of classes.
        input_shape: `(H, W, 3)` of the images, None for any.
        padding: Of fc6: `"valid"`, for images from 224 pixels, or `"same"`, for images of any size.
        preprocessing: See `build_model`.
        dropout: Fraction dropped after fc6 and fc7.
        name: Name of the model.

    Returns:
        A `keras.Model` from RGB pixels in 0..255 `[B, H, W, 3]` to float32 logits `[B, h, w, classes]`.

    Raises:
        ValueError: `padding` is neither.
    """
    if padding not in ("valid", "same"):
        raise ValueError(f"padding must be one of ('valid', 'same'), received {padding!r}.")
    image, pyramid = encode(input_shape, "vgg16", preprocessing)
    x = fully_convolutional(pyramid.c5, padding=padding, dropout=dropout)
    logits = layers.Conv2D(num_classes, 1, dtype="float32", name="predictions")(x)
    return keras.Model(image, logits, name=name)


NETWORKS = (
    Network(
        "vgg16_classifier",
        vgg16_classifier,
        paper="1411.4038",
        encoder="vgg16",
        output_stride=32,
        parameters=138_357_544,
        counted={"num_classes": 1000},
        reference="torchvision",
        fixture="torchvision-vgg16",
        torch_names=(*torch_names.VGG16, (r"classifier\.6", "predictions")),
        segments=False,
    ),
)
