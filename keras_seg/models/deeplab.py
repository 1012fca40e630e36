"""DeepLab v3 and v3+: Chen et al., 2017 and 2018 (arXiv:1706.05587, arXiv:1802.02611)."""

from keras import layers

from keras_seg.layers import ResizeLike
from keras_seg.models.blocks import classify, conv_bn_relu, fcn_head, resnet_pyramid, segmentation_model

FILTERS = 256


def aspp(x, rates, *, dropout=0.0):
    """Atrous spatial pyramid pooling: a 1x1, a dilated 3x3 for each rate and the image's mean, projected."""
    pooled = layers.GlobalAveragePooling2D(keepdims=True, name="aspp_pool_mean")(x)
    pooled = conv_bn_relu(pooled, FILTERS, 1, "aspp_pool")
    branches = [conv_bn_relu(x, FILTERS, 1, "aspp_0")]
    for index, rate in enumerate(rates, 1):
        branches.append(conv_bn_relu(x, FILTERS, 3, f"aspp_{index}", dilation_rate=rate))
    branches.append(ResizeLike(name="aspp_pool_resize")([pooled, x]))
    x = layers.Concatenate(name="aspp_concat")(branches)
    x = conv_bn_relu(x, FILTERS, 1, "aspp_project")
    return layers.Dropout(dropout, name="aspp_dropout")(x) if dropout else x


def refine_by_low_level(x, low, *, align_corners=False):
    """DeepLab v3+'s decoder: `x` resized to `low`, 48 channels of `low` beside it, two 3x3 convolutions."""
    low = conv_bn_relu(low, 48, 1, "reduce")
    x = ResizeLike(align_corners, name="upsample")([x, low])
    x = layers.Concatenate(name="concat")([x, low])
    for index in (0, 1):
        x = conv_bn_relu(x, FILTERS, 3, f"fuse_{index}")
    return x


def deeplabv3(
    num_classes,
    input_shape=(None, None, 3),
    *,
    encoder="resnet50",
    output_stride=16,
    atrous_rates=(6, 12, 18),
    preprocessing=None,
    aux_head=False,
    name="deeplabv3",
):
    """Builds DeepLab v3: ASPP, a 3x3 and a 1x1 convolution over a dilated ResNet.

    For the other arguments and the answer see `build_model`.

    Args:
        atrous_rates: Dilations of the ASPP, (6, 12, 18) at output stride 16; torchvision has
            (12, 24, 36) at 8.
    """
    image, pyramid = resnet_pyramid(input_shape, encoder, output_stride, preprocessing)
    x = aspp(pyramid.c5, atrous_rates, dropout=0.5)
    x = conv_bn_relu(x, FILTERS, 3, "head")
    x = classify(x, num_classes)
    aux = fcn_head(pyramid.c4, num_classes, "aux") if aux_head else None
    return segmentation_model(image, x, name, aux=aux)


def deeplabv3plus(
    num_classes,
    input_shape=(None, None, 3),
    *,
    encoder="resnet50",
    output_stride=16,
    atrous_rates=(6, 12, 18),
    preprocessing=None,
    name="deeplabv3plus",
):
    """Builds DeepLab v3+: DeepLab v3's ASPP, refined by the second stage of the encoder.

    For the other arguments and the answer see `build_model`.

    Args:
        atrous_rates: Dilations of the ASPP.
    """
    image, pyramid = resnet_pyramid(input_shape, encoder, output_stride, preprocessing)
    x = aspp(pyramid.c5, atrous_rates, dropout=0.5)
    x = refine_by_low_level(x, pyramid.c2)
    return segmentation_model(image, classify(x, num_classes), name)
