"""ResNet 18, 34, 50, 101 and 152: He et al., 2016 (arXiv:1512.03385), with a chosen output stride."""

from collections.abc import Callable
from typing import NamedTuple

from keras import layers

from keras_seg.encoders.pyramid import Pyramid
from keras_seg.hints import Tensor
from keras_seg.rows import Encoder, Published

OUTPUT_STRIDES = (8, 16, 32)
FILTERS = (64, 128, 256, 512)


class Source(NamedTuple):
    """What differs between the projects that publish ResNet weights.

    Attributes:
        stride_on_3x3: Whether a stage's stride lies in its first 3x3 convolution (torchvision, known as
            ResNet v1.5) or in the 1x1 before it (the paper, Keras).
        use_bias: Whether convolutions have a bias.
        epsilon: Of the batch normalizations.
        preprocessing: What the weights were trained on.
        stem: Names of the first convolution and its batch normalization.
        block: Name of a block, from its stage (1 to 4) and its index (from 0).
        layers: Names of a block's convolutions and batch normalizations, the shortcut's last.
    """

    stride_on_3x3: bool
    use_bias: bool
    epsilon: float
    preprocessing: str
    stem: tuple
    block: Callable[[int, int], str]
    layers: tuple


TORCHVISION = Source(
    stride_on_3x3=True,
    use_bias=False,
    epsilon=1e-5,
    preprocessing="torch",
    stem=("conv1", "bn1"),
    block=lambda stage, index: f"layer{stage}_{index}",
    layers=(("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"), ("downsample_0", "downsample_1")),
)
KERAS = Source(
    stride_on_3x3=False,
    use_bias=True,
    epsilon=1.001e-5,
    preprocessing="keras",
    stem=("conv1_conv", "conv1_bn"),
    block=lambda stage, index: f"conv{stage + 1}_block{index + 1}",
    layers=(("1_conv", "1_bn"), ("2_conv", "2_bn"), ("3_conv", "3_bn"), ("0_conv", "0_bn")),
)
# name -> (blocks of the four stages, whose weights fit)
RESNETS = {
    "resnet18": ((2, 2, 2, 2), TORCHVISION),
    "resnet34": ((3, 4, 6, 3), TORCHVISION),
    "resnet50": ((3, 4, 6, 3), TORCHVISION),
    "resnet101": ((3, 4, 23, 3), TORCHVISION),
    "resnet152": ((3, 8, 36, 3), TORCHVISION),
    "resnet50_keras": ((3, 4, 6, 3), KERAS),
    "resnet101_keras": ((3, 4, 23, 3), KERAS),
    "resnet152_keras": ((3, 8, 36, 3), KERAS),
}
BASIC = ("resnet18", "resnet34")  # Of blocks of two 3x3 convolutions; the others have bottlenecks.


def conv_bn(x, filters, kernel_size, source, names, *, strides=1, dilation_rate=1):
    """A convolution that pads alike on both sides, whatever its stride, and batch normalization."""
    conv, bn = names
    if strides > 1 and kernel_size > 1:
        # "same" would pad even sizes at the end only.
        x = layers.ZeroPadding2D(kernel_size // 2, name=f"{conv}_pad")(x)
    x = layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="valid" if strides > 1 else "same",
        dilation_rate=dilation_rate,
        use_bias=source.use_bias,
        kernel_initializer="he_normal",
        name=conv,
    )(x)
    return layers.BatchNormalization(epsilon=source.epsilon, momentum=0.9, name=bn)(x)


def bottleneck(x, filters, source, name, *, strides, dilation_rate, project):
    """1x1, 3x3 and 1x1 to four times `filters`, added to the input or, with `project`, to its projection."""
    reduce, conv, expand, shortcut = (tuple(f"{name}_{layer}" for layer in pair) for pair in source.layers)
    first_stride, second_stride = (1, strides) if source.stride_on_3x3 else (strides, 1)
    skip = conv_bn(x, 4 * filters, 1, source, shortcut, strides=strides) if project else x
    x = conv_bn(x, filters, 1, source, reduce, strides=first_stride)
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = conv_bn(x, filters, 3, source, conv, strides=second_stride, dilation_rate=dilation_rate)
    x = layers.ReLU(name=f"{name}_relu2")(x)
    x = conv_bn(x, 4 * filters, 1, source, expand)
    x = layers.Add(name=f"{name}_add")([x, skip])
    return layers.ReLU(name=f"{name}_relu3")(x)


def basic_block(x, filters, source, name, *, strides, dilation_rate, project):
    """Two 3x3 convolutions, added to the input or, with `project`, to its projection.

    The second one, where the stage's stride is behind it, has the stage's own dilation.
    """
    conv1, conv2, _, shortcut = (tuple(f"{name}_{layer}" for layer in pair) for pair in source.layers)
    first, second = dilation_rate
    skip = conv_bn(x, filters, 1, source, shortcut, strides=strides) if project else x
    x = conv_bn(x, filters, 3, source, conv1, strides=strides, dilation_rate=first)
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = conv_bn(x, filters, 3, source, conv2, dilation_rate=second)
    x = layers.Add(name=f"{name}_add")([x, skip])
    return layers.ReLU(name=f"{name}_relu2")(x)


def resnet(x: Tensor, *, encoder: str = "resnet50", output_stride: int = 32) -> Pyramid:
    """The stem and the four stages of blocks, under the names of the weights' source.

    Below output stride 32 the last stages dilate instead of striding: their maps are finer, and every
    second pixel of each is what the strided network would have computed there.

    Args:
        x: Preprocessed image, `[B, H, W, 3]`.
        encoder: A key of `RESNETS`; `resnet50` takes torchvision's weights, `resnet50_keras` those of
            `keras.applications`.
        output_stride: Pixels of the image between two of the last map: 8, 16 or 32.

    Returns:
        `Pyramid` of the stem before its pool (64 channels) and the stages (256, 512, 1024, 2048; of ResNet18
        and 34: 64, 128, 256, 512).

    Raises:
        ValueError: Unknown encoder or output stride.
    """
    if encoder not in RESNETS:
        raise ValueError(f"encoder must be one of {tuple(RESNETS)}, received {encoder!r}.")
    depths, source = RESNETS[encoder]
    if output_stride not in OUTPUT_STRIDES:
        raise ValueError(f"output_stride must be one of {OUTPUT_STRIDES}, received {output_stride}.")
    x = conv_bn(x, 64, 7, source, source.stem, strides=2)
    x = layers.ReLU(name="stem_relu")(x)
    pyramid = [x]
    # Zeros never win against what a ReLU returns, so they pad as well as minus infinity.
    x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)

    stride, dilation_rate = 4, 1
    for stage, (depth, filters) in enumerate(zip(depths, FILTERS, strict=True), 1):
        step = 1 if stage == 1 else 2
        strides = step if stride * step <= output_stride else 1
        stride *= strides
        previous, dilation_rate = dilation_rate, dilation_rate * step // strides
        for index in range(depth):
            options = {"strides": strides if index == 0 else 1, "project": index == 0}
            name = source.block(stage, index)
            # A stride inside the 3x3 convolution means that it still sees the finer grid.
            first = previous if index == 0 and source.stride_on_3x3 else dilation_rate
            if encoder in BASIC:
                options["project"] = index == 0 and x.shape[-1] != filters
                x = basic_block(x, filters, source, name, dilation_rate=(first, dilation_rate), **options)
            else:
                x = bottleneck(x, filters, source, name, dilation_rate=first, **options)
        pyramid.append(x)
    return Pyramid(*pyramid)


def _row(name, title, file, digest):
    keras = RESNETS[name][1] is KERAS
    url = f"{_KERAS}/{file}_weights_tf_dim_ordering_tf_kernels_notop.h5" if keras else f"{_TORCH}/{file}.pth"
    preprocessing = RESNETS[name][1].preprocessing
    channels = (64, 128, 256, 512) if name in BASIC else (256, 512, 1024, 2048)
    return Encoder(
        name,
        resnet,
        {"encoder": name},
        title=title,
        channels=(64, *channels),
        strides=(2, 4, 8, 16, 32),
        output_strides=OUTPUT_STRIDES,
        preprocessing=preprocessing,
        weights=(Published(url, "md5" if keras else "sha256", digest, preprocessing),),
        sources="Keras" if keras else "torchvision",
    )


_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/resnet"
_TORCH = "https://download.pytorch.org/models"
ENCODERS = (
    _row("resnet18", "ResNet18", "resnet18-f37072fd", "f37072fd"),
    _row("resnet34", "ResNet34", "resnet34-b627a593", "b627a593"),
    _row("resnet50", "ResNet50", "resnet50-0676ba61", "0676ba61"),
    _row("resnet101", "ResNet101", "resnet101-63fe2227", "63fe2227"),
    _row("resnet152", "ResNet152", "resnet152-394f9c45", "394f9c45"),
    _row("resnet50_keras", "ResNet50 of Keras", "resnet50", "4d473c1dd8becc155b73f8504c6f6626"),
    _row("resnet101_keras", "ResNet101 of Keras", "resnet101", "88cf7a10940856eca736dc7b7e228a21"),
    _row("resnet152_keras", "ResNet152 of Keras", "resnet152", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
)
