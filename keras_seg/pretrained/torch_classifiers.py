"""torchvision's image classifiers, VGG16 and ResNet, in the form of `classifiers`."""

import re

import numpy as np

from keras_seg.pretrained.classifiers import unfold
from keras_seg.pretrained.vgg16_names import CONVOLUTIONS, sequence_names

CONVOLUTION = {"weight": "kernel", "bias": "bias"}
BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
_RESNET_KEY = re.compile(r"(?:conv1|bn1|fc|layer[1-4]\.\d+\.(?:conv\d|bn\d|downsample\.\d))\.\w+")
_VGG16_KEY = re.compile(r"(features\.\d+|classifier\.[036])\.\w+")
_VGG16_DENSE = {"classifier.0": "fc1", "classifier.3": "fc2", "classifier.6": "predictions"}


def classifier_weights(tensors):
    """Turns a torchvision classifier's state dict into Keras's layouts.

    Args:
        tensors: `{key: array}`.

    Returns:
        `{layer name: {variable name: array}}` for `load_classifier`; None if it is no such classifier.
    """
    tensors = {key: array for key, array in tensors.items() if not key.endswith(".num_batches_tracked")}
    if "features.0.weight" in tensors and all(_VGG16_KEY.fullmatch(key) for key in tensors):
        convolutions = sequence_names("features.1.running_mean" in tensors)
        names = {**{f"features.{place}": name for place, name in convolutions.items()}, **_VGG16_DENSE}
        # The first dense layer reads the last convolution's maps, channel by channel.
        last = max(key for key in names if names[key] == CONVOLUTIONS[-1])
        depth = np.shape(tensors.get(f"{last}.weight", [[]]))[0]
    elif "layer1.0.conv1.weight" in tensors and all(_RESNET_KEY.fullmatch(key) for key in tensors):
        names, depth = {}, None
    else:
        return None
    weights: dict[str, dict] = {}
    for key, array in tensors.items():
        stem, _, kind = key.rpartition(".")
        name = names.get(stem, stem.replace(".", "_"))
        variables = BATCH_NORM if f"{stem}.running_mean" in tensors else CONVOLUTION
        if array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)
        elif array.ndim == 2:
            array = unfold_rows(array, depth if name == "fc1" else None)
        weights.setdefault(name, {})[variables.get(kind, kind)] = array
    return weights


def unfold_rows(kernel, depth):
    """Turns a dense kernel `[outputs, inputs]` of PyTorch or Caffe into a convolution's `[H, W, I, O]`.

    Args:
        kernel: The dense kernel over a map that was flattened channel by channel.
        depth: Channels of the map, whose height and width are alike and follow; None for a map of one
            pixel, for which it is also taken where they do not.

    Returns:
        The convolution's kernel.
    """
    size = round((kernel.shape[1] / depth) ** 0.5) if depth else 1
    if size * size * (depth or 0) != kernel.shape[1]:
        size, depth = 1, kernel.shape[1]
    return unfold(kernel.T, (size, size, depth), channels_first=True)
