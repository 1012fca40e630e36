"""DeepLab v1 and v2: Chen et al., 2015 (arXiv:1412.7062) and 2017 (arXiv:1606.00915), without their CRF."""

from keras import layers

from keras_seg.encoders import mark_encoder
from keras_seg.encoders.vgg16 import convolutions
from keras_seg.models.blocks import RESNET_RATES, classify, encode, read_image, segmentation_model
from keras_seg.models.fcn import FROM_SCRATCH
from keras_seg.pretrained.torch_names import VGG16_CAFFE, WHOLE_BACKBONE, vgg16_sequence
from keras_seg.rows import Network

POOL_STRIDES = (2, 2, 2, 1, 1)
DILATION_RATES = (1, 1, 1, 1, 2)


def padded_max_pool(x, stage):
    """3x3 max pooling with pad 1; the last two stages keep their size."""
    # Zeros never win against what a ReLU returns, so they pad as well as minus infinity.
    x = layers.ZeroPadding2D(1, name=f"block{stage}_pool_pad")(x)
    return layers.MaxPooling2D(3, strides=POOL_STRIDES[stage - 1], name=f"block{stage}_pool")(x)


def deeplabv1(
    num_classes,
    input_shape=(None, None, 3),
    *,
    preprocessing="caffe",
    dropout=0.5,
    name="deeplabv1",
):
    """Builds DeepLab-LargeFOV: VGG16 at output stride 8, its fc6 a 3x3 convolution of dilation 12.

    For the other arguments and the answer see `build_model`.
    The pools round down; the authors' Caffe rounds up. Both agree on sides of 8 n + 1 pixels, and those of
    the authors are 321 in training and 513 after.
    """
    image, x = read_image(input_shape, preprocessing)
    stages = []
    for stage, dilation_rate in enumerate(DILATION_RATES, 1):
        x = convolutions(x, stage, dilation_rate=dilation_rate)
        stages.append(x)
        x = padded_max_pool(x, stage)
    mark_encoder(image, stages)
    # As in Caffe, the average counts the zeros around the map.
    x = layers.ZeroPadding2D(1, name="pool5a_pad")(x)
    x = layers.AveragePooling2D(3, strides=1, name="pool5a")(x)
    for layer, kernel_size, dilation_rate in (("fc6", 3, 12), ("fc7", 1, 1)):
        x = layers.Conv2D(
            1024,
            kernel_size,
            padding="same",
            dilation_rate=dilation_rate,
            activation="relu",
            kernel_initializer="he_normal",
            name=layer,
        )(x)
        x = layers.Dropout(dropout, name=f"{layer}_dropout")(x)
    return segmentation_model(image, classify(x, num_classes, "fc8"), name, align_corners=True)


def deeplabv2(
    num_classes,
    input_shape=(None, None, 3),
    *,
    encoder="resnet50",
    output_stride=8,
    atrous_rates=(6, 12, 18, 24),
    preprocessing=None,
    name="deeplabv2",
):
    """Builds DeepLab v2: the sum of one classifier for each rate over a dilated ResNet.

    For the other arguments and the answer see `build_model`.

    Args:
        atrous_rates: Dilation of each 3x3 classifier.
    """
    image, pyramid = encode(input_shape, encoder, preprocessing, output_stride)
    scores = [
        classify(pyramid.c5, num_classes, f"aspp_{index}", kernel_size=3, dilation_rate=rate)
        for index, rate in enumerate(atrous_rates)
    ]
    return segmentation_model(image, layers.Add(name="aspp_add")(scores), name, align_corners=True)


NETWORKS = (
    Network(
        "deeplabv1",
        deeplabv1,
        paper="1412.7062",
        encoder="vgg16",
        output_stride=8,
        parameters=20_505_429,
        from_scratch=FROM_SCRATCH,
        reference="seed",
        sources="DeepLab-LargeFOV",
        # The authors' files call the last layer fc8_pascal or fc8_voc12.
        torch_names=(*vgg16_sequence("features"), *VGG16_CAFFE, (r"(fc[678])(_\w+)?", r"\1")),
    ),
    Network(
        "deeplabv2",
        deeplabv2,
        paper="1606.00915",
        parameters=25_056_404,
        learning_rate=RESNET_RATES,
        reference="seed",
        torch_names=(*WHOLE_BACKBONE, (r"aspp\.(\d)", r"aspp_\1")),
    ),
)
