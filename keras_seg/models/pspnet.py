"""PSPNet: Zhao, Shi, Qi, Wang and Jia, 2017 (arXiv:1612.01105)."""

from keras import layers

from keras_seg.layers import AdaptiveAveragePooling2D, ResizeLike
from keras_seg.models.blocks import classify, conv_bn_relu, fcn_head, resnet_pyramid, segmentation_model


def pyramid_pooling(x, bins=(1, 2, 3, 6), filters=512):
    """The map and its averages over ever finer grids, each resized back to the map."""
    maps = [x]
    for index, count in enumerate(bins, 1):
        pooled = AdaptiveAveragePooling2D(count, name=f"ppm_{index}_pool")(x)
        pooled = conv_bn_relu(pooled, filters, 1, f"ppm_{index}")
        maps.append(ResizeLike(align_corners=True, name=f"ppm_{index}_resize")([pooled, x]))
    return layers.Concatenate(name="ppm_concat")(maps)


def pspnet(
    num_classes,
    input_shape=(None, None, 3),
    *,
    encoder="resnet50",
    output_stride=16,
    preprocessing=None,
    aux_head=False,
    name="pspnet",
):
    """Builds PSPNet: pyramid pooling with 1, 2, 3 and 6 bins over a dilated ResNet, for any size.

    Args:
        num_classes: Number of classes, the channels of the logits.
        input_shape: `(H, W, 3)` of the images, None for any.
        encoder: A key of `keras_seg.encoders.RESNETS`.
        output_stride: Of the encoder: 8 (the paper), 16 or 32 pixels.
        preprocessing: `"caffe"`, `"torch"`, `"none"`, or None for the encoder's own.
        aux_head: Whether a second head reads the fourth stage, as in the paper's training; the model
            then returns a dict of `out` and `aux`.
        name: Name of the model.

    Returns:
        A `keras.Model` from RGB pixels in 0..255 `[B, H, W, 3]` to float32 logits `[B, H, W, C]`.

    Raises:
        ValueError: Unknown encoder, output stride or preprocessing.
    """
    image, pyramid = resnet_pyramid(input_shape, encoder, output_stride, preprocessing)
    x = conv_bn_relu(pyramid_pooling(pyramid.c5), 512, 3, "head")
    x = layers.SpatialDropout2D(0.1, name="head_dropout")(x)
    x = classify(x, num_classes)
    aux = fcn_head(pyramid.c4, num_classes, "aux") if aux_head else None
    return segmentation_model(image, x, name, aux=aux, align_corners=True)
