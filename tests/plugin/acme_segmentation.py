"""An encoder, a network of its own, and a network of keras_seg on that encoder."""

from keras import layers

from keras_seg import Encoder, Network
from keras_seg.encoders import Pyramid
from keras_seg.layers import ResizeLike
from keras_seg.models.blocks import classify, encode, segmentation_model
from keras_seg.models.pspnet import pspnet

CHANNELS = (8, 8, 16, 16, 24)


def acme_encoder(x, *, output_stride=32):
    """Five strided convolutions."""
    stages = []
    for index, filters in enumerate(CHANNELS, 1):
        strides = 1 if 2**index > output_stride else 2
        x = layers.Conv2D(
            filters,
            3,
            strides,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"acme{index}",
        )(x)
        x = layers.BatchNormalization(name=f"acme{index}_bn")(x)
        x = layers.ReLU(name=f"acme{index}_relu")(x)
        stages.append(x)
    return Pyramid(*stages)


def acme_net(num_classes, input_shape=(None, None, 3), *, preprocessing=None, name="acme_net"):
    """A score at a quarter of the image's size."""
    image, pyramid = encode(input_shape, "acme", preprocessing)
    x = ResizeLike(name="acme_up")([pyramid.c3, pyramid.c2])
    return segmentation_model(image, classify(x, num_classes), name)


ENCODERS = (
    Encoder(
        "acme",
        acme_encoder,
        channels=CHANNELS,
        strides=(2, 4, 8, 16, 32),
        output_strides=(16, 32),
        preprocessing="torch",
    ),
)
NETWORKS = (
    Network("acme_net", acme_net, encoder="acme", output_stride=32),
    Network("acme_pspnet", pspnet, {"encoder": "acme"}),
)
