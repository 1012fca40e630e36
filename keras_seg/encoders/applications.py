"""Encoders of `keras.applications`, for images of any size and with a chosen output stride.

Each is Keras's own network without its classifier, rebuilt layer by layer. On images whose sides are
multiples of 32 it has the same outputs, but for Xception. What changes: layers with a stride round up, as
padding "same" does, also where Keras pads by hand for a size that it knows; Xception's first two convolutions
pad, so that its maps lie on the image; what has a stride beyond the output stride dilates what follows; and
what the layer `Preprocessing` does to the pixels is left to it.
"""

import re
from functools import partial

import keras
import numpy as np
from keras import layers

from keras_seg.encoders.pyramid import Pyramid
from keras_seg.errors import InputError
from keras_seg.layers.preprocessing import PREPROCESSINGS
from keras_seg.rows import Encoder, Published

SIDE = 128  # Pixels of the image from whose maps strides are read.
CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)
POOLS = (layers.MaxPooling2D, layers.AveragePooling2D)
PREPROCESSING = (layers.Rescaling, layers.Normalization)


def application(x, *, model, ends, options=(), output_stride=32):
    """Rebuilds a network of `keras.applications` on a preprocessed image.

    Args:
        x: Preprocessed image, `[B, H, W, 3]`.
        model: Its name in `keras.applications`.
        ends: Pattern of the names of layers in which a stage may end; the last one of each stride does, and
            the network's last layer.
        options: `(name, value)` of the network's own arguments.
        output_stride: Pixels of the image for one of the last map.

    Returns:
        `Pyramid` of the last maps at the strides 2, 4, 8, 16 and 32.
    """
    network = original(model, options)
    rebuild = Rebuild(layer_names(network), output_stride)
    keras.models.clone_model(network, x, clone_function=rebuild.layer, call_function=rebuild)
    stages = {stride: y for name, (stride, y) in rebuild.outputs.items() if re.fullmatch(ends, name)}
    _, stages[32] = rebuild.outputs[rebuild.names[network.layers[-1].name]]
    return Pyramid(*(stages[stride] for stride in (2, 4, 8, 16, 32)))


def original(model, options=()):
    """Keras's own network, without its classifier and with fresh weights."""
    build = getattr(keras.applications, model)
    return build(include_top=False, weights=None, input_shape=(SIDE, SIDE, 3), **dict(options))


def layer_names(network):
    """Names a network's layers, `{Keras's name: ours}`.

    Keras counts layers without a name, such as `conv2d_7`, through all networks of a process; here each
    network counts its own.
    """
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for layer in network.layers:
        kind = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)
        kind = re.sub(r"([a-z])([A-Z])", r"\1_\2", kind).lower()
        names[layer.name] = layer.name
        if re.fullmatch(rf"{kind}(_\d+)?", layer.name):
            counts[kind] = counts.get(kind, 0) + 1
            names[layer.name] = f"{kind}_{counts[kind]}"
    return names


def read_application(path, *, model, options=()):
    """Reads Keras's file of a network's weights; Keras does it, layer by layer in the network's order.

    Args:
        path: The file.
        model, options: See `application`.

    Returns:
        `{layer name: {variable name: array}}`.

    Raises:
        ValueError: It is of another network.
        InputError: Its images were normalized otherwise than `"torch"` does.
    """
    network = original(model, options)
    network.load_weights(path)
    names, weights = layer_names(network), {}
    for layer in network.layers:
        arrays = {variable.name: keras.ops.convert_to_numpy(variable) for variable in layer.weights}
        if isinstance(layer, layers.Normalization):
            _check_normalization(arrays, path)
        elif arrays:
            weights[names[layer.name]] = arrays
    return weights


def _check_normalization(arrays, path):
    """EfficientNet's file has the deviation where the variance is, and Keras divides by its root twice."""
    _, _, mean, deviation = PREPROCESSINGS["torch"]
    if not (np.allclose(arrays["mean"], mean) and np.allclose(arrays["variance"], deviation)):
        raise InputError(
            f"{path}: was trained on images with the mean {arrays['mean']} and deviation "
            f"{arrays['variance']}, not with {mean} and {deviation}. Give the file that Keras publishes."
        )


class Rebuild:
    """Recreates the layers of a network and calls them, where Keras clones it.

    Args:
        names: Of `layer_names`.
        output_stride: Pixels of the image for one of the last map.

    Attributes:
        outputs: `{our name: (stride in Keras's network, output)}`.
    """

    def __init__(self, names, output_stride):
        self.names, self.output_stride = names, output_stride
        self.outputs = {}
        self._originals, self._padded = {}, set()

    def layer(self, layer):
        """The layer under our name, with the stride and dilation that the output stride asks for."""
        if not isinstance(layer, layers.Layer) or isinstance(layer, layers.InputLayer):
            return layer  # The first are operations, such as `x + 3`.
        config = {**layer.get_config(), "name": self.names[layer.name]}
        if isinstance(layer, CONVOLUTIONS + POOLS):
            before, after = stride_of(layer.input), stride_of(layer.output)
            ours = min(before, self.output_stride)
            config["strides"] = min(after, self.output_stride) // ours
            if isinstance(layer, CONVOLUTIONS) and max(layer.kernel_size) > 1:
                config["dilation_rate"] = before // ours
        new = type(layer).from_config(config)
        self._originals[new.name] = layer
        return new

    def __call__(self, layer, *args, **kwargs):
        """Calls the layer, or passes its input on, and keeps the output."""
        keras_layer = self._originals.get(layer.name)
        if keras_layer is None:  # An operation that is no layer.
            return layer(*args, **kwargs)
        x = args[0]
        # Keras pads even sizes on one side alone before a stride; "same" does so, and odd ones right too.
        pads_by_hand = isinstance(layer, layers.ZeroPadding2D) and not _is_symmetric(layer.padding)
        if pads_by_hand or isinstance(layer, PREPROCESSING):
            y = x
        else:
            if isinstance(layer, CONVOLUTIONS + POOLS) and id(x) not in self._padded:
                layer.padding = "same"
            y = layer(*args, **kwargs)
        if isinstance(layer, layers.ZeroPadding2D) and not pads_by_hand:
            self._padded.add(id(y))
        self.outputs[layer.name] = (stride_of(keras_layer.output), y)
        return y


def _is_symmetric(padding):
    return all(before == after for before, after in padding)


def stride_of(tensor):
    """Pixels of the image for one of a map of Keras's network."""
    return round(SIDE / tensor.shape[1])


URL = "https://storage.googleapis.com/tensorflow/keras-applications"
EFFICIENTNET = {"ends": r"block\d\w_(add|project_bn|project_activation)"}
MOBILENET_V2 = {"ends": r"expanded_conv_project_BN|block_\d+_(add|project_BN)"}
MOBILENET_V3 = {
    "ends": r"activation_1|expanded_conv_(\d+_)?(add|project_bn)",
    "options": (("include_preprocessing", False),),
}
EFFICIENTNET_V2 = {**EFFICIENTNET, "options": (("include_preprocessing", False),)}
DENSENET = {"ends": r"conv1_relu|pool\d_relu"}
XCEPTION = {"ends": r"block1_conv2_act|add_\d+"}


def _row(name, model, family, channels, preprocessing, url, digest=None, output_strides=(8, 16, 32)):
    """The row of a network; `url` is that of Keras's file without the classifier, `digest` its md5."""
    family = {"model": model, **family}
    reader = {key: value for key, value in family.items() if key != "ends"}
    return Encoder(
        name,
        application,
        family,
        title=model,
        channels=channels,
        strides=(2, 4, 8, 16, 32),
        output_strides=output_strides,
        preprocessing=preprocessing,
        weights=(Published(url, digest and "md5", digest, preprocessing),),
        sources="Keras",
        read=partial(read_application, **reader),
    )


def _mobilenet_v3(size, channels, digest):
    url = f"{URL}/mobilenet_v3/weights_mobilenet_v3_{size.lower()}_224_1.0_float_no_top_v2.h5"
    return _row(
        f"mobilenet_v3_{size.lower()}", f"MobileNetV3{size}", MOBILENET_V3, channels, "tf", url, digest
    )


def _efficientnet(size, channels, digest):
    url = f"https://storage.googleapis.com/keras-applications/efficientnet{size}_notop.h5"
    model = f"EfficientNet{size.upper()}"
    return _row(f"efficientnet_{size}", model, EFFICIENTNET, channels, "torch", url, digest)


def _efficientnet_v2(size, channels, digest, preprocessing="torch"):
    url = f"{URL}/efficientnet_v2/efficientnetv2-{size}_notop.h5"
    model = f"EfficientNetV2{size.upper()}"
    return _row(f"efficientnet_v2_{size}", model, EFFICIENTNET_V2, channels, preprocessing, url, digest)


def _densenet(depth, channels, digest):
    url = f"{URL}/densenet/densenet{depth}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    # A pool cannot be dilated, and the second that lost its stride would have to be.
    return _row(
        f"densenet{depth}", f"DenseNet{depth}", DENSENET, (64, *channels), "torch", url, digest, (16, 32)
    )


ENCODERS = (
    _row(
        "mobilenet_v2",
        "MobileNetV2",
        MOBILENET_V2,
        (16, 24, 32, 96, 1280),
        "tf",
        f"{URL}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
    ),
    _mobilenet_v3("Small", (16, 16, 24, 48, 576), "d3e8ec802a04aa4fc771ee12a9a9b836"),
    _mobilenet_v3("Large", (16, 24, 40, 112, 960), "07fb09a5933dd0c8eaafa16978110389"),
    _efficientnet("b0", (16, 24, 40, 112, 1280), "50bc09e76180e00e4465e1a485ddc09d"),
    _efficientnet("b1", (16, 24, 40, 112, 1280), "74c4e6b3e1f6a1eea24c589628592432"),
    _efficientnet("b2", (16, 24, 48, 120, 1408), "111f8e2ac8aa800a7a99e3239f7bfb39"),
    _efficientnet("b3", (24, 32, 48, 136, 1536), "af6d107764bb5b1abb91932881670226"),
    _efficientnet("b4", (24, 32, 56, 160, 1792), "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    _efficientnet("b5", (24, 40, 64, 176, 2048), "38879255a25d3c92d5e44e04ae6cec6f"),
    _efficientnet("b6", (32, 40, 72, 200, 2304), "9ecce42647a20130c1f39a5d4cb75743"),
    _efficientnet("b7", (32, 48, 80, 224, 2560), "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    _efficientnet_v2("b0", (16, 32, 48, 112, 1280), "893217f2bb855e2983157299931e43ff"),
    _efficientnet_v2("b1", (16, 32, 48, 112, 1280), "0e80663031ca32d657f9caa404b6ec37"),
    _efficientnet_v2("b2", (16, 32, 56, 120, 1408), "1dfe2e7a5d45b6632553a8961ea609eb"),
    _efficientnet_v2("b3", (16, 40, 56, 136, 1536), "f6abf7b5849ac99a89b50dd3fd532856"),
    _efficientnet_v2("s", (24, 48, 64, 160, 1280), "af0682fb74e8c54910f2d4393339c070", "tf_128"),
    _efficientnet_v2("m", (24, 48, 80, 176, 1280), "1b8dc055df72dde80d614482840fe342", "tf_128"),
    _efficientnet_v2("l", (32, 64, 96, 224, 1280), "b0b66b5c863aef5b46e8608fe1711615", "tf_128"),
    _densenet(121, (256, 512, 1024, 1024), "30ee3e1110167f948a6b9946edeeb738"),
    _densenet(169, (256, 512, 1280, 1664), "b8c4d4c20dd625c148057b9ff1c1176b"),
    _densenet(201, (256, 512, 1792, 1920), "c13680b51ded0fb44dff2d8f86ac8bb1"),
    _row(
        "xception",
        "Xception",
        XCEPTION,
        (64, 128, 256, 728, 2048),
        "tf",
        f"{URL}/xception/xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "b0042744bf5b25fce3cb969f33bebb97",
        (16, 32),
    ),
)
