"""FastFCN: Wu, Zhang, Huang, Liang and Yu, 2019 (arXiv:1903.11816)."""

from keras import layers

from keras_seg.layers import ResizeLike
from keras_seg.models.blocks import RESNET_RATES, classify, conv_bn_relu, encode, segmentation_model
from keras_seg.models.deeplab import aspp, refine_by_low_level
from keras_seg.pretrained.torch_names import STEM_AND_FIRST, atrous_pyramid, resnet_children
from keras_seg.rows import Network

FILTERS = 512
DILATION_RATES = (1, 2, 4, 8)


def separable_conv_bn_relu(x, name, dilation_rate):
    """The authors' convolution: a 3x3 of each map by itself, and a 1x1 of them all, both normalized."""
    x = layers.DepthwiseConv2D(
        3,
        padding="same",
        dilation_rate=dilation_rate,
        use_bias=False,
        depthwise_initializer="he_normal",
        name=f"{name}_depthwise",
    )(x)
    x = layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"{name}_depthwise_bn")(x)
    return conv_bn_relu(x, FILTERS, 1, name)


def joint_pyramid_upsampling(c3, c4, c5, separable=False):
    """Stands in for a dilated encoder: three stages at the finest one's size, convolved at four rates."""
    fine = conv_bn_relu(c3, FILTERS, 3, "jpu_c3")
    maps = [fine]
    for name, stage in (("c4", c4), ("c5", c5)):
        x = conv_bn_relu(stage, FILTERS, 3, f"jpu_{name}")
        maps.insert(0, ResizeLike(align_corners=True, name=f"jpu_{name}_resize")([x, fine]))
    x = layers.Concatenate(name="jpu_concat")(maps)
    branches = [
        separable_conv_bn_relu(x, f"jpu_dilated{index}", rate)
        if separable
        else conv_bn_relu(x, FILTERS, 3, f"jpu_dilated{index}", dilation_rate=rate)
        for index, rate in enumerate(DILATION_RATES)
    ]
    return layers.Concatenate(name="jpu_dilated_concat")(branches)


def fastfcn(
    num_classes,
    input_shape=(None, None, 3),
    *,
    encoder="resnet50",
    output_stride=16,
    atrous_rates=(6, 12, 18),
    as_published=False,
    preprocessing=None,
    name="fastfcn",
):
    """Builds FastFCN: joint pyramid upsampling, ASPP and DeepLab v3+'s decoder.

    For the other arguments and the answer see `build_model`.
    The reference's output stride is 16, the paper's 32.

    Args:
        atrous_rates: Dilations of the ASPP.
        as_published: Whether it is the authors' network with DeepLab's head: separable convolutions in the
            JPU, output stride 32, rates 12, 24 and 36, and no decoder; the two options before do not count
            then.
    """
    if as_published:
        image, pyramid = encode(input_shape, encoder, preprocessing)
        x = joint_pyramid_upsampling(pyramid.c3, pyramid.c4, pyramid.c5, separable=True)
        x = layers.SpatialDropout2D(0.5, name="aspp_dropout")(aspp(x, (12, 24, 36)))
        x = layers.SpatialDropout2D(0.1, name="head_dropout")(conv_bn_relu(x, 256, 3, "head"))
        return segmentation_model(image, classify(x, num_classes), name, align_corners=True)
    image, pyramid = encode(input_shape, encoder, preprocessing, output_stride)
    x = joint_pyramid_upsampling(pyramid.c3, pyramid.c4, pyramid.c5)
    x = refine_by_low_level(aspp(x, atrous_rates), pyramid.c2, align_corners=True)
    x = layers.SpatialDropout2D(0.1, name="fuse_dropout")(x)
    return segmentation_model(image, classify(x, num_classes), name, align_corners=True)


NETWORKS = (
    Network(
        "fastfcn",
        fastfcn,
        paper="1903.11816",
        parameters=85_185_973,
        learning_rate=RESNET_RATES,
        reference="seed",
        torch_names=(
            *resnet_children(
                ("feature1", STEM_AND_FIRST),
                ("feature2", {None: 5}),
                ("feature3", {None: 6}),
                ("feature4", {None: 7}),
            ),
            (r"jpu\.conv2\.(conv|bn)", r"jpu_c3_\1"),
            (r"jpu\.conv3\.(conv|bn)", r"jpu_c4_\1"),
            (r"jpu\.conv4\.(conv|bn)", r"jpu_c5_\1"),
            (r"jpu\.dilated_convs\.(\d)\.(conv|bn)", r"jpu_dilated\1_\2"),
            *atrous_pyramid(r"head\.ASPP", names=True),
            (r"head\.reduce\.(conv|bn)", r"reduce_\1"),
            (r"head\.fuse_conv\.(\d)\.(conv|bn)", r"fuse_\1_\2"),
            (r"head\.classifier", "score"),
            # As published: what the authors' JPU and head have more.
            (r"jpu\.dilated_convs\.(\d)\.(depthwise(?:_bn)?)", r"jpu_dilated\1_\2"),
            (r"head\.block\.(conv|bn)", r"head_\1"),
        ),
    ),
)
