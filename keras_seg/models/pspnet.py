"""PSPNet: Zhao, Shi, Qi, Wang and Jia, 2017 (arXiv:1612.01105)."""

from keras import layers

from keras_seg.layers import AdaptiveAveragePooling2D, ResizeLike
from keras_seg.models.blocks import RESNET_RATES, classify, conv_bn_relu, encode, fcn_head, segmentation_model
from keras_seg.pretrained.torch_names import WHOLE_BACKBONE
from keras_seg.rows import Network

BINS = (1, 2, 3, 6)
FILTERS = 512


def pyramid_pooling(x):
    """The map and its averages over ever finer grids, resized and joined; a 3 x 3 convolution over them."""
    maps = [x]
    for index, count in enumerate(BINS, 1):
        pooled = AdaptiveAveragePooling2D(count, name=f"ppm_{index}_pool")(x)
        pooled = conv_bn_relu(pooled, FILTERS, 1, f"ppm_{index}")
        maps.append(ResizeLike(align_corners=True, name=f"ppm_{index}_resize")([pooled, x]))
    x = layers.Concatenate(name="ppm_concat")(maps)
    return conv_bn_relu(x, FILTERS, 3, "head")


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
    image, pyramid = encode(input_shape, encoder, preprocessing, output_stride)
    x = layers.SpatialDropout2D(0.1, name="head_dropout")(pyramid_pooling(pyramid.c5))
    x = classify(x, num_classes)
    aux = fcn_head(pyramid.c4, num_classes, "aux") if aux_head else None
    return segmentation_model(image, x, name, aux=aux, align_corners=True)


NETWORKS = (
    Network(
        "pspnet",
        pspnet,
        paper="1612.01105",
        parameters=46_592_597,
        learning_rate=RESNET_RATES,
        reference="seed",
        torch_names=(
            *WHOLE_BACKBONE,
            (r"psp_layer\.ppm\.(\d)\.1\.(conv|bn)", r"ppm_\1_\2"),
            (r"psp_layer\.conv\.0\.(conv|bn)", r"head_\1"),
            (r"psp_layer\.conv\.2", "score"),
        ),
    ),
)
