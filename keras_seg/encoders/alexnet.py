"""AlexNet in Caffe's form ("CaffeNet"): Krizhevsky, Sutskever and Hinton, 2012, without its dense layers."""

from keras import layers

from keras_seg.encoders.pyramid import PAD_LAYER, Pyramid
from keras_seg.hints import Tensor
from keras_seg.layers import LocalResponseNormalization
from keras_seg.rows import Encoder, Published

# filters, kernel size, stride, groups, whether a pool follows, whether LRN follows that.
STAGES = (
    (96, 11, 4, 1, True, True),
    (256, 5, 1, 2, True, True),
    (384, 3, 1, 1, False, False),
    (384, 3, 1, 2, False, False),
    (256, 3, 1, 2, True, False),
)


def max_pool(x, name):
    """3x3 max pooling with stride 2 that rounds up, as Caffe's does, of values that are not negative."""
    # One more zero after the last row and column: even sizes need it, and odd ones leave it unread.
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(x)
    return layers.MaxPooling2D(3, 2, name=name)(x)


def alexnet(x: Tensor, *, padding: int = 0) -> Pyramid:
    """The five convolutions, under CaffeNet's names (`conv1` ... `conv5`).

    Args:
        x: Preprocessed image, `[B, H, W, 3]`.
        padding: Pixels around the first convolution's input; FCN-AlexNet has 100.

    Returns:
        `Pyramid` of the five stages' answers; from the second on at the strides 16, 16, 16 and 32.
    """
    if padding:
        x = layers.ZeroPadding2D(padding, name=PAD_LAYER)(x)
    pyramid = []
    for stage, (filters, size, stride, groups, pooled, normalized) in enumerate(STAGES, 1):
        x = layers.Conv2D(
            filters,
            size,
            strides=stride,
            padding="valid" if stage == 1 else "same",
            groups=groups,
            activation="relu",
            kernel_initializer="he_normal",
            name=f"conv{stage}",
        )(x)
        if pooled:
            x = max_pool(x, f"pool{stage}")
        if normalized:
            x = LocalResponseNormalization(name=f"norm{stage}")(x)
        pyramid.append(x)
    return Pyramid(*pyramid)


ENCODERS = (
    Encoder(
        "caffenet",
        alexnet,
        title="CaffeNet",
        channels=(96, 256, 384, 384, 256),
        strides=(8, 16, 16, 16, 32),
        preprocessing="caffe",
        weights=(
            Published(
                "http://dl.caffe.berkeleyvision.org/bvlc_reference_caffenet.caffemodel",
                "sha1",
                "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
                note="233 MB",
            ),
        ),
        sources="Caffe",
    ),
)
