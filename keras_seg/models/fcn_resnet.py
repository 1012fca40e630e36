"""FCN on ResNet: torchvision's, with one head on the last stage, and FCN-8s with its skips."""

import keras
from keras import layers

from keras_seg.layers import CropLike
from keras_seg.models.blocks import fcn_head, resnet_pyramid, segmentation_model
from keras_seg.models.fcn import score, upsample


def fcn_resnet(
    num_classes,
    input_shape=(None, None, 3),
    *,
    encoder="resnet50",
    output_stride=8,
    preprocessing=None,
    aux_head=False,
    name="fcn_resnet50",
):
    """Builds torchvision's FCN: a dilated ResNet, a 3x3 and a 1x1 convolution, bilinear upsampling.

    Args:
        num_classes: Number of classes, the channels of the logits.
        input_shape: `(H, W, 3)` of the images, None for any.
        encoder: A key of `keras_seg.encoders.RESNETS`.
        output_stride: Of the encoder: 8, 16 or 32 pixels.
        preprocessing: `"caffe"`, `"torch"`, `"none"`, or None for the encoder's own.
        aux_head: Whether a second head reads the fourth stage; the model then returns a dict of
            `out` and `aux`.
        name: Name of the model.

    Returns:
        A `keras.Model` from RGB pixels in 0..255 `[B, H, W, 3]` to float32 logits `[B, H, W, C]`.

    Raises:
        ValueError: Unknown encoder, output stride or preprocessing.
    """
    image, pyramid = resnet_pyramid(input_shape, encoder, output_stride, preprocessing)
    x = fcn_head(pyramid.c5, num_classes, "head")
    aux = fcn_head(pyramid.c4, num_classes, "aux") if aux_head else None
    return segmentation_model(image, x, name, aux=aux)


def fcn8_resnet(
    num_classes,
    input_shape=(None, None, 3),
    *,
    encoder="resnet50",
    preprocessing=None,
    skip_scales=(0.01, 0.0001),
    name="fcn8_resnet50",
):
    """Builds FCN-8s on the last three stages of a ResNet, with the at-once network's scaled skips.

    Args:
        num_classes: Number of classes, the channels of the logits.
        input_shape: `(H, W, 3)` of the images, None for any.
        encoder: A key of `keras_seg.encoders.RESNETS`.
        preprocessing: `"caffe"`, `"torch"`, `"none"`, or None for the encoder's own.
        skip_scales: Factors on the fourth and the third stage before they are scored.
        name: Name of the model.

    Returns:
        A `keras.Model` from RGB pixels in 0..255 `[B, H, W, 3]` to float32 logits `[B, H, W, C]`.

    Raises:
        ValueError: Unknown encoder or preprocessing.
    """
    image, pyramid = resnet_pyramid(input_shape, encoder, 32, preprocessing)
    x = score(pyramid.c5, num_classes, "score_c5")
    for stage, skip, scale in (("c4", pyramid.c4, skip_scales[0]), ("c3", pyramid.c3, skip_scales[1])):
        skip = layers.Rescaling(scale, name=f"scale_{stage}")(skip)
        skip = score(skip, num_classes, f"score_{stage}")
        x = upsample(x, 2, f"upscore_{stage}")
        # Strides round up, so the upsampled map may be one pixel larger than its skip.
        x = CropLike(name=f"crop_{stage}")([x, skip])
        x = layers.Add(name=f"fuse_{stage}")([x, skip])
    x = upsample(x, 8, "upscore8", dtype="float32")
    logits = CropLike(name="logits", dtype="float32")([x, image])
    return keras.Model(image, logits, name=name)
