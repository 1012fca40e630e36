"""FastFCN: Wu, Zhang, Huang, Liang and Yu, 2019 (arXiv:1903.11816)."""

from keras import layers

from keras_seg.layers import ResizeLike
from keras_seg.models.blocks import classify, conv_bn_relu, resnet_pyramid, segmentation_model
from keras_seg.models.deeplab import aspp, refine_by_low_level


def joint_pyramid_upsampling(c3, c4, c5, filters=512, dilation_rates=(1, 2, 4, 8)):
    """Stands in for a dilated encoder: three stages at the finest one's size, convolved at four rates."""
    fine = conv_bn_relu(c3, filters, 3, "jpu_c3")
    maps = [fine]
    for name, stage in (("c4", c4), ("c5", c5)):
        x = conv_bn_relu(stage, filters, 3, f"jpu_{name}")
        maps.insert(0, ResizeLike(align_corners=True, name=f"jpu_{name}_resize")([x, fine]))
    x = layers.Concatenate(name="jpu_concat")(maps)
    branches = [
        conv_bn_relu(x, filters, 3, f"jpu_dilated{index}", dilation_rate=rate)
        for index, rate in enumerate(dilation_rates)
    ]
    return layers.Concatenate(name="jpu_dilated_concat")(branches)


def fastfcn(
    num_classes,
    input_shape=(None, None, 3),
    *,
    encoder="resnet50",
    output_stride=16,
    atrous_rates=(6, 12, 18),
    preprocessing=None,
    name="fastfcn",
):
    """Builds FastFCN: joint pyramid upsampling, ASPP and DeepLab v3+'s decoder.

    Args:
        num_classes: Number of classes, the channels of the logits.
        input_shape: `(H, W, 3)` of the images, None for any.
        encoder: A key of `keras_seg.encoders.RESNETS`.
        output_stride: Of the encoder: 8, 16 (the reference) or 32 (the paper) pixels.
        atrous_rates: Dilations of the ASPP.
        preprocessing: `"caffe"`, `"torch"`, `"none"`, or None for the encoder's own.
        name: Name of the model.

    Returns:
        A `keras.Model` from RGB pixels in 0..255 `[B, H, W, 3]` to float32 logits `[B, H, W, C]`.

    Raises:
        ValueError: Unknown encoder, output stride or preprocessing.
    """
    image, pyramid = resnet_pyramid(input_shape, encoder, output_stride, preprocessing)
    x = joint_pyramid_upsampling(pyramid.c3, pyramid.c4, pyramid.c5)
    x = refine_by_low_level(aspp(x, atrous_rates), pyramid.c2, align_corners=True)
    x = layers.SpatialDropout2D(0.1, name="fuse_dropout")(x)
    return segmentation_model(image, classify(x, num_classes), name, align_corners=True)
