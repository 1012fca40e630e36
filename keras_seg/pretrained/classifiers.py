"""Weights of image classifiers (VGG16, ResNet, CaffeNet) for every network built on them.

All sources come down to one form, Keras's layer and variable names in Keras's layouts; then the layers
that the network shares with the classifier get their weights by name.
"""

import re
from typing import NamedTuple

import numpy as np

from keras_seg.errors import InputError
from keras_seg.layers import Preprocessing
from keras_seg.layers.preprocessing import ALIKE, MEASURED
from keras_seg.pretrained.assign import assign, layers_with_weights
from keras_seg.pretrained.vgg16_names import CONVOLUTIONS


class Classifier(NamedTuple):
    """A published image classifier.

    Attributes:
        title: What messages call it.
        convolutions: Pattern of the names of its layers that are a network's encoder.
        dense: `(its name, a network's name)` of the dense layers that a network may hold as convolutions.
    """

    title: str
    convolutions: re.Pattern
    dense: tuple


CLASSIFIERS = (
    Classifier(
        "VGG16",
        re.compile(rf"({'|'.join(CONVOLUTIONS)})(_bn)?"),
        (("fc1", "fc6"), ("fc2", "fc7"), ("predictions", "predictions")),
    ),
    Classifier("Keras's ResNet", re.compile(r"conv\d_(block\d+_\d_)?(conv|bn)"), (("predictions", ""),)),
    Classifier("torchvision's ResNet", re.compile(r"(conv1|bn1|layer\d_\d+_.+)"), (("fc", ""),)),
    Classifier("CaffeNet", re.compile(r"conv\d"), (("fc6", "fc6"), ("fc7", "fc7"), ("fc8", ""))),
)


def find_classifier(names):
    """Returns the `Classifier` whose layers `names` are, or None.

    Args:
        names: Layer names of a file.
    """
    for classifier in CLASSIFIERS:
        dense = {name for name, _ in classifier.dense}
        convolutions = [name for name in names if classifier.convolutions.fullmatch(name)]
        if convolutions and all(name in dense or name in convolutions for name in names):
            return classifier
    return None


def load_classifier(model, weights, source, preprocessing):
    """Gives a network the layers that it shares with an image classifier.

    Dense kernels become convolutions: 25088 x 4096 the 7 x 7 x 512 x 4096 of fc6, or, decimated as the
    DeepLab authors did, 3 x 3 x 512 x 1024 (every third pixel, every fourth map).

    Args:
        model: `keras.Model` of `build_model`.
        weights: `{layer name: {variable name: array}}`; dense kernels `[H W I, O]` or `[H, W, I, O]`.
        source: What an error calls the origin of the weights.
        preprocessing: What the classifier was trained on: `"keras"`, `"caffe"` or `"torch"`.

    Returns:
        `Loaded`.

    Raises:
        InputError: The network is built on another classifier, has another preprocessing, or a name or
            shape does not fit.
    """
    classifier = find_classifier(weights)
    layers = layers_with_weights(model)
    if not any(classifier.convolutions.fullmatch(name) for name in layers):
        raise InputError(
            f"{source} holds {classifier.title}, on which {model.name} is not built. "
            f"Give a file of its own encoder."
        )
    check_preprocessing(model, preprocessing, source, alike=ALIKE)
    ours = dict(classifier.dense)
    chosen, aside = {}, []
    for name, arrays in weights.items():
        if name not in ours:
            chosen[name] = arrays
        elif ours[name] in layers:
            chosen[ours[name]] = _as_convolution(arrays, layers[ours[name]])
        else:
            aside.append(name)
    absent = {our for their, our in classifier.dense if their not in weights}
    if not any(name.endswith("_bn") for name in weights):  # Plain VGG16 for SegNet and its like.
        absent |= {name for name in layers if classifier.title == "VGG16" and name.endswith("_bn")}
    anew = [
        name
        for name in layers
        if name in absent or (name not in ours.values() and not classifier.convolutions.fullmatch(name))
    ]
    loaded = assign(model, chosen, source=source, keep=anew, reset_classes=True)
    return loaded._replace(aside=(*aside, *loaded.aside))


def check_preprocessing(model, wanted, source, alike=()):
    """Raises an InputError if a model preprocesses otherwise than its weights were trained.

    BGR in 0..255 and RGB in 0..1 are alike in shape, so nothing else would tell; `"none"`, which leaves
    it to the caller, passes, and so do `"measured"`, for images that no weights were published for, and a
    file that does not say it, whose `wanted` is None.
    """
    modes = [layer.mode for layer in model.layers if isinstance(layer, Preprocessing)]
    if not modes or modes[0] in (wanted, "none", MEASURED) or wanted in (None, "none"):
        return
    if not {modes[0], wanted} <= set(alike):
        way_out = f"preprocessing={wanted!r}"
        if wanted == MEASURED:
            way_out = 'the statistics of its training, preprocessing={"mean": [...], "deviation": [...]}'
        raise InputError(
            f"{source} was trained with preprocessing {wanted!r} and {model.name} has {modes[0]!r}: "
            f"build the model with {way_out}."
        )


def _as_convolution(arrays, layer):
    shape = tuple(layer.kernel.shape)
    kernel, bias = arrays.get("kernel", np.empty(0)), arrays.get("bias", np.empty(0))
    kernel = unfold(kernel, _original_shape(shape, kernel))
    if kernel.shape != shape and kernel.ndim == 4 and bias.ndim == 1:
        steps = [_step(theirs, ours) for theirs, ours in zip(kernel.shape, shape, strict=True)]
        if all(steps):
            kernel = kernel[tuple(slice(None, None, step) for step in steps)]
            bias = bias[:: steps[3]]
    return {**arrays, "kernel": kernel, "bias": bias}


def _original_shape(shape, kernel):
    """Height, width and depth of a dense kernel's input, for a layer of `shape` made from it."""
    if kernel.ndim != 2:
        return None
    for size in (shape[0], 7):  # As it is, or VGG16's before it was decimated.
        for depth in (shape[2], 4 * shape[2]):
            if size * size * depth == kernel.shape[0] and (size == 1) == (shape[0] == 1):
                return size, size, depth
    return None


def _step(theirs, ours):
    """Takes every third of 7 pixels and every fourth of 4096 maps; 0 for any other thinning."""
    return {(7, 3): 3, (4096, 1024): 4}.get((theirs, ours), int(theirs == ours))


def unfold(kernel, shape, channels_first=False):
    """Turns a dense kernel `[inputs, outputs]` into a convolution's `[H, W, I, O]`.

    Args:
        kernel: The dense kernel; returned as it is if `shape` is None.
        shape: `(H, W, I)` of the map that was flattened.
        channels_first: Whether it was flattened channel by channel (PyTorch, Caffe).

    Returns:
        The convolution's kernel.
    """
    if shape is None:
        return kernel
    height, width, depth = shape
    if channels_first:
        return kernel.reshape(depth, height, width, -1).transpose(1, 2, 0, 3)
    return kernel.reshape(height, width, depth, -1)
