"""What several networks share: the first and the last lines of a builder, and small blocks."""

import keras
from keras import layers

from keras_seg import registry
from keras_seg.encoders import mark_encoder
from keras_seg.errors import nearest
from keras_seg.layers import CropLike, Preprocessing, ResizeLike, preprocessing_options
from keras_seg.rows import LearningRate

# Of networks on ResNets: from scratch a higher rate than others.
RESNET_RATES = LearningRate(shapes=1e-3)


def read_image(input_shape, preprocessing):
    """The image and what the encoder sees of it: `(raw pixels, preprocessed image)`."""
    image = keras.Input(input_shape, name="image")
    return image, Preprocessing(**preprocessing_options(preprocessing), name="preprocessing")(image)


def encode(input_shape, encoder, preprocessing=None, output_stride=32, finest_stride=4):
    """The first lines of a network on any encoder: the image, and the pyramid of its maps.

    Args:
        input_shape: `(H, W, 3)` of the images, None for any.
        encoder: Name of an encoder.
        preprocessing: A key of `keras_seg.layers.PREPROCESSINGS`; None for the encoder's own.
        output_stride: Pixels of the image for one of the last map.
        finest_stride: The same of the finest map that the network reads: 2 if it reads `c1`.

    Returns:
        `(image, pyramid)`.

    Raises:
        ValueError: The encoder is unknown, has no map so fine or cannot have that output stride.
    """
    row = find_encoder(encoder, output_stride, finest_stride)
    image, x = read_image(input_shape, row.preprocessing if preprocessing is None else preprocessing)
    pyramid = row.build(x, output_stride=output_stride)
    mark_encoder(image, pyramid.before_pools or pyramid.stages)
    return image, pyramid


def find_encoder(name, output_stride, finest_stride=4):
    """The `Encoder` of a name, which must have a map so fine and be able to have an output stride."""
    rows = registry.encoders()
    strides = sorted({each for row in rows.values() for each in row.output_strides})
    if output_stride not in strides:
        raise ValueError(f"output_stride must be one of {tuple(strides)}, received {output_stride}.")
    fitting = [
        row.name
        for row in rows.values()
        if output_stride in row.output_strides and row.finest_stride <= finest_stride
    ]
    if name in fitting:
        return rows[name]
    if name in rows and rows[name].output_strides:
        if rows[name].finest_stride > finest_stride:
            raise ValueError(
                f"{name} has no map at stride {finest_stride}, which this network reads; give an encoder of "
                f"{', '.join(fitting)}."
            )
        own = " or ".join(map(str, rows[name].output_strides))
        raise ValueError(
            f"{name} has output stride {own}, received {output_stride}; give output_stride, where the "
            f"network has that option, or an encoder of {', '.join(fitting)}."
        )
    near = nearest(name, fitting) or "."
    raise ValueError(f"encoder must be one of {', '.join(fitting)}, received {name!r}{near}")


def conv_bn_relu(x, filters, kernel_size, name, *, dilation_rate=1, use_bias=False):
    """Convolution, batch normalization and ReLU: `NAME_conv`, `NAME_bn` and `NAME_relu`."""
    x = layers.Conv2D(
        filters,
        kernel_size,
        padding="same",
        dilation_rate=dilation_rate,
        use_bias=use_bias,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    x = layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def classify(x, num_classes, name="score", kernel_size=1, **kwargs):
    """The last convolution: a score per class, small at first so that no class starts as the winner."""
    initializer = keras.initializers.RandomNormal(stddev=0.01)
    return layers.Conv2D(
        num_classes, kernel_size, padding="same", kernel_initializer=initializer, name=name, **kwargs
    )(x)


def fcn_head(x, num_classes, name):
    """torchvision's FCN head: 3x3 to a quarter of the channels, dropout, 1x1."""
    x = conv_bn_relu(x, x.shape[-1] // 4, 3, name)
    x = layers.Dropout(0.1, name=f"{name}_dropout")(x)
    return classify(x, num_classes, f"{name}_score")


def segmentation_model(image, scores, name, *, aux=None, align_corners=False):
    """Resizes scores to the image and closes the network.

    Args:
        image: Its input.
        scores: `[B, h, w, C]`.
        name: Of the model.
        aux: Scores of an auxiliary head, or None.
        align_corners: Of the resizing.

    Returns:
        A `keras.Model` to float32 logits `[B, H, W, C]`, or with `aux` to a dict of two, `out` and `aux`.
    """
    logits = ResizeLike(align_corners, dtype="float32", name="logits")([scores, image])
    if aux is None:
        return keras.Model(image, logits, name=name)
    aux_logits = ResizeLike(align_corners, dtype="float32", name="aux_logits")([aux, image])
    return keras.Model(image, {"out": logits, "aux": aux_logits}, name=name)


def cropped_model(image, scores, name, *, offset=0):
    """Crops scores, which are as large as the image or larger, to its size and closes the network.

    Args:
        image: Its input.
        scores: `[B, H + offset or more, W + offset or more, C]`.
        name: Of the model.
        offset: First row and column that stays, in pixels.

    Returns:
        A `keras.Model` to float32 logits `[B, H, W, C]`.
    """
    return keras.Model(image, CropLike(offset, name="logits", dtype="float32")([scores, image]), name=name)
