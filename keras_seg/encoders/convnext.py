"""ConvNeXt as in `keras.applications`, with a chosen output stride: Liu et al., 2022 (arXiv:2201.03545)."""

from functools import partial

import keras
from keras import layers

from keras_seg.encoders.applications import URL, original
from keras_seg.encoders.pyramid import Pyramid
from keras_seg.rows import Encoder, Published

OUTPUT_STRIDES = (8, 16, 32)
# name -> (blocks and channels of the four stages, name in keras.applications)
CONVNEXTS = {
    "convnext_tiny": ((3, 3, 9, 3), (96, 192, 384, 768), "ConvNeXtTiny"),
    "convnext_small": ((3, 3, 27, 3), (96, 192, 384, 768), "ConvNeXtSmall"),
    "convnext_base": ((3, 3, 27, 3), (128, 256, 512, 1024), "ConvNeXtBase"),
    "convnext_large": ((3, 3, 27, 3), (192, 384, 768, 1536), "ConvNeXtLarge"),
    "convnext_xlarge": ((3, 3, 27, 3), (256, 512, 1024, 2048), "ConvNeXtXLarge"),
}


def layer_norm(x, name):
    """Layer normalization over the channels of each pixel."""
    return layers.LayerNormalization(epsilon=1e-6, name=name)(x)


def block(x, dilation_rate, name):
    """A 7x7 depthwise convolution and two 1x1 convolutions, scaled by channel and added to the input."""
    skip, filters = x, x.shape[-1]
    x = layers.DepthwiseConv2D(7, padding="same", dilation_rate=dilation_rate, name=f"{name}_depthwise_conv")(
        x
    )
    x = layer_norm(x, f"{name}_layernorm")
    x = layers.Conv2D(4 * filters, 1, name=f"{name}_pointwise_conv_1")(x)
    x = layers.Activation("gelu", name=f"{name}_gelu")(x)
    x = layers.Conv2D(filters, 1, name=f"{name}_pointwise_conv_2")(x)
    # Keras's LayerScale is not public. A 1x1 depthwise kernel is its gamma.
    x = layers.DepthwiseConv2D(
        1,
        use_bias=False,
        depthwise_initializer=keras.initializers.Constant(1e-6),
        name=f"{name}_layer_scale",
    )(x)
    return layers.Add(name=f"{name}_add")([skip, x])


def downsample(x, filters, strides, dilation_rate, index, name):
    """Layer normalization and a 2x2 convolution, which halves the map unless it dilates instead."""
    x = layer_norm(x, f"{name}_downsampling_layernorm_{index}")
    padding = "same"
    if strides == 1:
        # Each pixel sees the pixels after it, as with a stride; "same" would shift them by half a kernel.
        x = layers.ZeroPadding2D(((0, dilation_rate),) * 2, name=f"{name}_downsampling_pad_{index}")(x)
        padding = "valid"
    return layers.Conv2D(
        filters,
        2,
        strides=strides,
        padding=padding,
        dilation_rate=dilation_rate,
        name=f"{name}_downsampling_conv_{index}",
    )(x)


def convnext(x, *, encoder="convnext_tiny", output_stride=32):
    """The stem and the four stages of blocks, under the names of Keras's layers.

    Below output stride 32 the last stages dilate instead of striding: their maps are finer, and every
    second pixel of each is what the strided network would have computed there.

    Args:
        x: Preprocessed image, `[B, H, W, C]`.
        encoder: A key of `CONVNEXTS`.
        output_stride: Pixels of the image for one of the last map: 8, 16 or 32.

    Returns:
        `Pyramid` of the four stages, at the strides 4, 8, 16 and 32; it has no `c1`.
    """
    depths, widths, _ = CONVNEXTS[encoder]
    x = layers.Conv2D(widths[0], 4, strides=4, padding="same", name=f"{encoder}_stem_conv")(x)
    x = layer_norm(x, f"{encoder}_stem_layernorm")
    pyramid, stride, dilation_rate = [], 4, 1
    for stage, (depth, filters) in enumerate(zip(depths, widths, strict=True)):
        if stage:
            strides = 2 if 2 * stride <= output_stride else 1
            x = downsample(x, filters, strides, dilation_rate, stage - 1, encoder)
            stride, dilation_rate = stride * strides, dilation_rate * 2 // strides
        for index in range(depth):
            x = block(x, dilation_rate, f"{encoder}_stage_{stage}_block_{index}")
        pyramid.append(x)
    pyramid[-1] = layer_norm(x, f"{encoder}_layernorm")
    return Pyramid(None, *pyramid)


def read_convnext(path, *, encoder):
    """Reads Keras's file of a network's weights; Keras does it, layer by layer in the network's order.

    Args:
        path: The file.
        encoder: A key of `CONVNEXTS`.

    Returns:
        `{layer name: {variable name: array}}`, dense kernels and scales as convolutions' kernels.

    Raises:
        ValueError: It is of another network.
    """
    network = original(CONVNEXTS[encoder][2], (("include_preprocessing", False),))
    network.load_weights(path)
    weights = {}
    for layer in _flat(network):
        arrays = {variable.name: keras.ops.convert_to_numpy(variable) for variable in layer.weights}
        if layer.name.endswith("_depthwise_conv"):  # A grouped convolution in Keras.
            arrays["kernel"] = arrays["kernel"].transpose(0, 1, 3, 2)
        elif layer.name.endswith("_layer_scale"):
            (gamma,) = arrays.values()
            arrays = {"kernel": gamma[None, None, :, None]}
        elif isinstance(layer, layers.Dense):
            arrays["kernel"] = arrays["kernel"][None, None]
        if arrays:
            weights[layer.name] = arrays
    weights[f"{encoder}_layernorm"] = weights.pop(network.layers[-1].name)  # Keras numbers it.
    return weights


def _flat(network):
    """A network's layers, and those of the networks in it."""
    for layer in network.layers:
        yield from _flat(layer) if isinstance(layer, keras.Sequential) else (layer,)


def _row(encoder, digest):
    _, widths, title = CONVNEXTS[encoder]
    return Encoder(
        encoder,
        convnext,
        {"encoder": encoder},
        title=title,
        channels=widths,
        strides=(4, 8, 16, 32),
        output_strides=OUTPUT_STRIDES,
        preprocessing="torch",
        weights=(Published(f"{URL}/convnext/{encoder}_notop.h5", "sha256", digest, "torch"),),
        sources="Keras",
        read=partial(read_convnext, encoder=encoder),
    )


ENCODERS = (
    _row("convnext_tiny", "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"),
    _row("convnext_small", "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab"),
    _row("convnext_base", "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45"),
    _row("convnext_large", "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd"),
    _row("convnext_xlarge", "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05"),
)
