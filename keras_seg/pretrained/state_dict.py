"""PyTorch state dicts: their layouts and their names, into a model's layers."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_seg import registry
from keras_seg.errors import InputError
from keras_seg.pretrained import torch_names
from keras_seg.pretrained.assign import Loaded, assign, is_auxiliary, layers_with_weights
from keras_seg.pretrained.classifiers import check_preprocessing, load_classifier
from keras_seg.pretrained.torch_classifiers import BATCH_NORM, CONVOLUTION, classifier_weights


def load_state_dict(
    model: keras.Model,
    tensors: Mapping[str, Any],
    *,
    source: object = "the state dict",
    reset_classes: bool = False,
) -> Loaded:
    """Gives a network the weights of its PyTorch reference, or of torchvision's classifier.

    Args:
        model: `keras.Model` of `build_model`; its name says which network it is.
        tensors: `{key: array}` in PyTorch's layouts, such as `{"backbone.conv1.weight": [64, 3, 7, 7]}`.
        source: What an error calls the origin of the weights.
        reset_classes: See `assign`.

    Returns:
        `Loaded`.

    Raises:
        InputError: A key, a shape or the preprocessing does not fit.
    """
    weights = classifier_weights(tensors)
    if weights is not None:
        return load_classifier(model, weights, source, "torch")
    check_preprocessing(model, _trained_on(model), source)
    known = layers_with_weights(model)
    weights, unknown = {}, []
    for key, array in tensors.items():
        if key.endswith(".num_batches_tracked"):  # A counter, of no use to a trained network.
            continue
        name = torch_names.layer_name(model.name, key)
        if name not in known:
            unknown.append(name if is_auxiliary(name) else key)
            continue
        variable, array = from_torch(known[name], key.rpartition(".")[2], array)
        weights.setdefault(name, {})[variable] = array
    if not weights:
        raise InputError(
            f"{source} does not fit {model.name}: it has no key of this network, but "
            f"{', '.join(unknown[:3])}. Give the file of this network."
        )
    weights.update({key: {"": np.empty(0)} for key in unknown})  # For `assign` to list as left over.
    return assign(model, weights, source=source, reset_classes=reset_classes)


def _trained_on(model):
    """The preprocessing of a network's reference, with which its state dicts are trained; None if unknown."""
    row = registry.networks().get(model.name)
    return row and registry.default_preprocessing(row)


def from_torch(layer, kind, array):
    """Turns one PyTorch tensor into a Keras variable.

    Args:
        layer: The layer it is for.
        kind: Last part of its key: `weight`, `bias`, `running_mean` or `running_var`.
        array: The tensor; a dense kernel `[O, C H W]` is unfolded if the layer is a convolution.

    Returns:
        `(variable name, array)`, the array in Keras's layout.
    """
    if isinstance(layer, layers.BatchNormalization):
        return BATCH_NORM.get(kind, kind), array
    if kind == "weight" and array.ndim in (2, 4):
        array = _kernel(layer, array)
    return CONVOLUTION.get(kind, kind), array


def _kernel(layer, array):
    if array.ndim == 2:
        if isinstance(layer, layers.Dense):
            return array.T
        height, width = layer.kernel_size
        if array.shape[1] % (height * width):
            return array  # Of another shape, which `assign` reports.
        array = array.reshape(array.shape[0], -1, height, width)
    if isinstance(layer, layers.DepthwiseConv2D):
        # [C m, 1, H, W]: the m answers of a channel stand together in both.
        array = array.reshape(-1, layer.depth_multiplier, *array.shape[2:])
        return array.transpose(2, 3, 0, 1)
    # OIHW -> HWIO, also with groups. A transposed convolution's IOHW -> HWOI is the same permutation.
    return array.transpose(2, 3, 1, 0)
