"""PSPNet: Zhao, Shi, Qi, Wang and Jia, 2017 (arXiv:1612.01105)."""

from keras import layers

from keras_seg.layers import AdaptiveAveragePooling2D, FusedBatchNormalization, PyramidConv2D
from keras_seg.models.blocks import classify, conv_bn_relu, fcn_head, resnet_pyramid, segmentation_model

BINS = (1, 2, 3, 6)
FILTERS = 512


def pyramid_pooling(x):
    """The map, its averages over ever finer grids, and a 3 x 3 convolution over all of them at its size."""
    grids = []
    for index, count in enumerate(BINS, 1):
        pooled = AdaptiveAveragePooling2D(count, name=f"ppm_{index}_pool")(x)
        grids.append(conv_bn_relu(pooled, FILTERS, 1, f"ppm_{index}"))
    x = PyramidConv2D(
        FILTERS, 3, align_corners=True, use_bias=False, kernel_initializer="he_normal", name="head_conv"
    )([x, *grids])
    x = FusedBatchNormalization(epsilon=1e-5, momentum=0.9, name="head_bn")(x)
    return layers.ReLU(name="head_relu")(x)


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

    For the other arguments and the answer see `build_model`.
    The paper's output stride is 8; it trains with the auxiliary head.
    """
    image, pyramid = resnet_pyramid(input_shape, encoder, output_stride, preprocessing)
    x = layers.SpatialDropout2D(0.1, name="head_dropout")(pyramid_pooling(pyramid.c5))
    x = classify(x, num_classes)
    aux = fcn_head(pyramid.c4, num_classes, "aux") if aux_head else None
    return segmentation_model(image, x, name, aux=aux, align_corners=True)
