"""DeepLab v3 and v3+: Chen et al., 2017 and 2018 (arXiv:1706.05587, arXiv:1802.02611)."""

from keras import layers

from keras_seg.layers import ResizeLike
from keras_seg.models.blocks import RESNET_RATES, classify, conv_bn_relu, encode, fcn_head, segmentation_model
from keras_seg.models.torchvision import torchvision_network
from keras_seg.pretrained.torch_names import (
    RESNET,
    STEM_AND_FIRST,
    WHOLE_BACKBONE,
    atrous_pyramid,
    auxiliary_head,
    conv_and_bn,
    resnet_children,
)
from keras_seg.rows import Network

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
    image, pyramid = encode(input_shape, encoder, preprocessing, output_stride)
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
    image, pyramid = encode(input_shape, encoder, preprocessing, output_stride)
    x = aspp(pyramid.c5, atrous_rates, dropout=0.5)
    x = refine_by_low_level(x, pyramid.c2)
    return segmentation_model(image, classify(x, num_classes), name)


TORCHVISION = {"output_stride": 8, "atrous_rates": (12, 24, 36)}
TORCHVISION_NAMES = (
    *RESNET,
    *atrous_pyramid(r"classifier\.0"),
    *conv_and_bn(r"classifier", "head", 1),
    (r"classifier\.4", "score"),
    *auxiliary_head(),
)


def _torchvision(encoder, parameters, digest):
    """The row of torchvision's DeepLab v3 on an encoder."""
    return torchvision_network(
        f"deeplabv3_{encoder}",
        deeplabv3,
        {"encoder": encoder, **TORCHVISION},
        digest,
        paper="1706.05587",
        parameters=parameters,
        torch_names=TORCHVISION_NAMES,
    )


NETWORKS = (
    Network(
        "deeplabv3",
        deeplabv3,
        paper="1706.05587",
        parameters=39_638_869,
        learning_rate=RESNET_RATES,
        reference="seed",
        torch_names=(
            *WHOLE_BACKBONE,
            *atrous_pyramid("ASPP"),
            *conv_and_bn("classifier", "head"),
            (r"classifier\.3", "score"),
        ),
    ),
    _torchvision("resnet50", 42_004_074, "cd0a2569"),
    _torchvision("resnet101", 60_996_202, "586e9e4e"),
    Network(
        "deeplabv3plus",
        deeplabv3plus,
        paper="1802.02611",
        parameters=40_352_181,
        learning_rate=RESNET_RATES,
        reference="seed",
        torch_names=(
            *resnet_children(("feature1", STEM_AND_FIRST), ("feature2", {0: 5, 1: 6, 2: 7})),
            *atrous_pyramid(r"head\.ASPP"),
            *conv_and_bn(r"head\.reduce", "reduce"),
            *conv_and_bn(r"head\.fuse_conv", "fuse_0"),
            *conv_and_bn(r"head\.fuse_conv", "fuse_1", 3),
            (r"head\.classifier", "score"),
        ),
    ),
)
