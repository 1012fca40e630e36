"""FCN in the geometry of the authors' Caffe networks: Long, Shelhamer and Darrell, 2015 (arXiv:1411.4038).

The first convolution pads the image by 100 pixels, nothing else pads for the shrinking fc6, and score
maps are cut at fixed offsets, so that the published weights give their published answers.
"""

import keras
from keras import layers

from keras_seg.encoders import alexnet, vgg16
from keras_seg.layers import CropLike, Preprocessing
from keras_seg.models.fcn import STRIDES, fully_convolutional, score, skips_down_to, upsample

PADDING = 100

# Offsets of the Crop layers (voc-fcn*/net.py): of a skip's scores, and of the last map.
SKIP_OFFSETS = {"pool4": 5, "pool3": 9}
LAST_UPSAMPLING = {32: ("upscore", 19), 16: ("upscore16", 27), 8: ("upscore8", 31)}


def fcn_caffe(
    num_classes,
    input_shape=(None, None, 3),
    *,
    stride=8,
    preprocessing="caffe",
    skip_scales=(1.0, 1.0),
    fc_filters=4096,
    dropout=0.5,
    name="fcn_caffe",
):
    """Builds the original voc-fcn32s, 16s, 8s or 8s-atonce, with frozen bilinear upsampling.

    Args:
        num_classes: Number of classes, the channels of the logits.
        input_shape: `(H, W, 3)` of the images, None for any.
        stride: Of the finest score map: 8, 16 or 32 pixels.
        preprocessing: `"caffe"`, `"torch"` or `"none"`.
        skip_scales: Factors on pool4 and pool3 before they are scored; at once they are 0.01 and 0.0001.
        fc_filters: Channels of fc6 and fc7.
        dropout: Fraction dropped after fc6 and fc7.
        name: Name of the model.

    Returns:
        A `keras.Model` from RGB pixels in 0..255 `[B, H, W, 3]` to float32 logits `[B, H, W, C]`.

    Raises:
        ValueError: `stride` is not 8, 16 or 32.
    """
    if stride not in STRIDES:
        raise ValueError(f"stride must be one of {STRIDES}, received {stride}.")
    image = keras.Input(input_shape, name="image")
    pyramid = vgg16(Preprocessing(preprocessing, name="preprocessing")(image), padding=PADDING)

    x = fully_convolutional(pyramid.c5, filters=fc_filters, padding="valid", dropout=dropout)
    x = score(x, num_classes, "score_fr")
    for pool, skip, upscore in skips_down_to(stride, pyramid, skip_scales):
        skip = score(skip, num_classes, f"score_{pool}")
        x = upsample(x, 2, upscore, padding="valid", trainable=False)
        skip = CropLike(SKIP_OFFSETS[pool], name=f"crop_{pool}")([skip, x])
        x = layers.Add(name=f"fuse_{pool}")([x, skip])
    upscore, offset = LAST_UPSAMPLING[stride]
    x = upsample(x, stride, upscore, padding="valid", trainable=False, dtype="float32")
    logits = CropLike(offset, name="logits", dtype="float32")([x, image])
    return keras.Model(image, logits, name=name)


def fcn_alexnet(
    num_classes,
    input_shape=(None, None, 3),
    *,
    preprocessing="caffe",
    fc_filters=4096,
    dropout=0.5,
    name="fcn_alexnet",
):
    """Builds the original voc-fcn-alexnet: FCN-32s on CaffeNet.

    Args:
        num_classes: Number of classes, the channels of the logits.
        input_shape: `(H, W, 3)` of the images, None for any.
        preprocessing: `"caffe"`, `"torch"` or `"none"`.
        fc_filters: Channels of fc6 and fc7.
        dropout: Fraction dropped after fc6 and fc7.
        name: Name of the model.

    Returns:
        A `keras.Model` from RGB pixels in 0..255 `[B, H, W, 3]` to float32 logits `[B, H, W, C]`.
    """
    image = keras.Input(input_shape, name="image")
    pyramid = alexnet(Preprocessing(preprocessing, name="preprocessing")(image), padding=PADDING)
    x = fully_convolutional(pyramid.c5, filters=fc_filters, size=6, padding="valid", dropout=dropout)
    x = score(x, num_classes, "score_fr")
    x = upsample(x, 32, "upscore", size=63, padding="valid", trainable=False, dtype="float32")
    logits = CropLike(18, name="logits", dtype="float32")([x, image])
    return keras.Model(image, logits, name=name)
