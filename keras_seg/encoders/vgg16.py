"""VGG16: Simonyan and Zisserman, 2015 (arXiv:1409.1556), without its dense layers."""

from typing import Any

from keras import layers

from keras_seg.encoders.pyramid import PAD_LAYER, Pyramid
from keras_seg.hints import Tensor
from keras_seg.rows import Encoder, Published

STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


def max_pool(x, stage, strides=2):
    """2x2 max pooling that rounds up, as Caffe's does."""
    return layers.MaxPooling2D(2, strides, padding="same", name=f"block{stage}_pool")(x)


def convolutions(x, stage, *, batch_norm=False, dilation_rate=1, padding=1):
    """The convolutions of a stage, 1 to 5; for the other arguments see `vgg16`."""
    depth, filters = STAGES[stage - 1]
    for index in range(1, depth + 1):
        name = f"block{stage}_conv{index}"
        first = stage == index == 1
        x = layers.Conv2D(
            filters,
            3,
            padding="valid" if first and padding != 1 else "same",
            dilation_rate=dilation_rate,
            activation=None if batch_norm else "relu",
            kernel_initializer="he_normal",
            name=name,
        )(x)
        if batch_norm:
            x = layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"{name}_bn")(x)
            x = layers.ReLU(name=f"{name}_relu")(x)
    return x


def vgg16(x: Tensor, *, output_stride: int = 32, batch_norm: bool = False, padding: int = 1) -> Pyramid:
    """The thirteen convolutions, under the names of Keras's weights file (`block1_conv1` ...).

    Args:
        x: Preprocessed image, `[B, H, W, 3]`.
        output_stride: Pixels of the image between two of the last pool's: 32, or 16 where that pool has no
            stride.
        batch_norm: Whether each convolution is followed by batch normalization (`block1_conv1_bn` ...).
        padding: Pixels around the first convolution's input; the original FCN has 100.

    Returns:
        `Pyramid` of the five pools' outputs, and of the maps before them.
    """
    if padding != 1:
        x = layers.ZeroPadding2D(padding, name=PAD_LAYER)(x)
    pooled, before = [], []
    for stage in (1, 2, 3, 4, 5):
        x = convolutions(x, stage, batch_norm=batch_norm, padding=padding)
        before.append(x)
        x = max_pool(x, stage, strides=1 if (stage, output_stride) == (5, 16) else 2)
        pooled.append(x)
    c1, c2, c3, c4, c5 = pooled
    return Pyramid(c1, c2, c3, c4, c5, tuple(before))


_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/vgg16"
_TORCH = "https://download.pytorch.org/models"
KERAS_FILES = (
    Published(
        f"{_KERAS}/vgg16_weights_tf_dim_ordering_tf_kernels.h5",
        "md5",
        "64373286793e3c8b2b4e3219cbf3544b",
        preprocessing="keras",
        note="with fc6, 553 MB",
    ),
    Published(
        f"{_KERAS}/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "md5",
        "6d6bbae143d832006294945121d1f1fc",
        preprocessing="keras",
        note="*auto* without fc6, 59 MB",
    ),
)
SHAPE: dict[str, Any] = {
    "channels": (64, 128, 256, 512, 512),
    "strides": (2, 4, 8, 16, 32),
    "output_strides": (16, 32),
}
ENCODERS = (
    Encoder(
        "vgg16",
        vgg16,
        title="VGG16",
        **SHAPE,
        preprocessing="keras",
        weights=(
            *KERAS_FILES,
            Published(f"{_TORCH}/vgg16-397923af.pth", "sha256", "397923af", preprocessing="torch"),
        ),
        sources="Keras, torchvision, Caffe",
    ),
    Encoder(
        "vgg16_bn",
        vgg16,
        {"batch_norm": True},
        title="VGG16-BN",
        **SHAPE,
        preprocessing="torch",
        weights=(
            Published(f"{_TORCH}/vgg16_bn-6c64b313.pth", "sha256", "6c64b313", preprocessing="torch"),
            *KERAS_FILES,  # The plain network's convolutions; the batch normalizations start anew.
        ),
        sources="torchvision; VGG16: Keras, torchvision, Caffe",
    ),
)
