"""Caffe's networks: their layouts and their names, into a model's layers."""

import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers as keras_layers

from keras_seg import registry
from keras_seg.errors import InputError
from keras_seg.pretrained import torch_names
from keras_seg.pretrained.assign import Loaded, assign, layers_with_weights
from keras_seg.pretrained.classifiers import check_preprocessing, load_classifier
from keras_seg.pretrained.torch_classifiers import unfold_rows

_CONVOLUTION = re.compile(r"conv(\d)_(\d)")
_DENSE = {"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"}


def load_blobs(
    model: keras.Model,
    blobs: Mapping[str, Any],
    *,
    source: object = "the Caffe network",
    reset_classes: bool = False,
) -> Loaded:
    """Gives a network the weights of its Caffe original, or of its image classifier.

    Args:
        model: `keras.Model` of `build_model`.
        blobs: `{layer name: [arrays]}` in Caffe's layouts.
        source: What an error calls the origin of the weights.
        reset_classes: See `assign`.

    Returns:
        `Loaded`.

    Raises:
        InputError: A name, a shape, a constant factor or the preprocessing does not fit.
    """
    weights = classifier_weights(blobs)
    if weights is not None:
        # CaffeNet's mean is FCN's; VGG16's own is `keras`, but for a classifier the two are alike.
        return load_classifier(model, weights, source, "caffe")
    row = registry.networks().get(model.name)
    check_preprocessing(model, row.caffe_preprocessing if row else "caffe", source)
    known = layers_with_weights(model)
    weights = {}
    for name, arrays in blobs.items():
        name = _our_name(model.name, name, known)
        if name.startswith("scale_"):
            _check_scale(model, name, arrays[0], source)
        elif isinstance(known.get(name), keras_layers.BatchNormalization):
            weights[name] = _batch_norm(arrays, known[name])
        else:
            weights[name] = _variables(arrays)
    return assign(model, weights, source=source, reset_classes=reset_classes)


def classifier_weights(blobs):
    """Turns an image classifier's blobs (VGG_ILSVRC_16_layers, CaffeNet) into Keras's layouts.

    Args:
        blobs: `{layer name: [arrays]}` in Caffe's layouts.

    Returns:
        `{layer name: {variable name: array}}` for `load_classifier`; None if there is no layer `fc8`.
    """
    if "fc8" not in blobs or "fc6" not in blobs or np.squeeze(blobs["fc6"][0]).ndim != 2:
        return None
    is_vgg16 = "conv1_1" in blobs
    weights, depth = {}, None
    for name, arrays in blobs.items():
        kernel = arrays[0]
        if name in _DENSE:
            # The V1 format keeps a dense kernel as [1, 1, outputs, inputs].
            kernel = unfold_rows(kernel.reshape(kernel.shape[-2:]), depth)
            arrays, depth = [kernel.transpose(3, 2, 0, 1), *arrays[1:]], kernel.shape[3]
        else:
            depth = kernel.shape[0]
        ours = _DENSE.get(name, name) if is_vgg16 else name
        weights[_CONVOLUTION.sub(r"block\1_conv\2", ours)] = _variables(arrays)
    return weights


def _our_name(network, name, known):
    ours = torch_names.layer_name(network, f"{name}.weight")
    if ours not in known:
        ours = _CONVOLUTION.sub(r"block\1_conv\2", name)
    return ours if ours in known else name


def _variables(arrays):
    """Names and turns a layer's blobs: OIHW to HWIO; a deconvolution's IOHW to HWOI is the same."""
    kernel = arrays[0].transpose(2, 3, 1, 0) if arrays[0].ndim == 4 else arrays[0]
    # V1 keeps a bias as [1, 1, 1, outputs].
    return _named(("kernel", "bias"), (kernel, *(array.reshape(-1) for array in arrays[1:])))


def _batch_norm(arrays, layer):
    """Turns SegNet's BN layer, at inference `scale x + shift`, into one whose statistics change nothing."""
    variables = _named(("gamma", "beta"), [array.reshape(-1) for array in arrays])
    if len(arrays) == 2:
        variables["moving_mean"] = np.zeros_like(variables["gamma"])
        variables["moving_variance"] = np.full_like(variables["gamma"], 1 - layer.epsilon)
    return variables


def _named(names, arrays):
    return dict(zip((*names, "third blob", "fourth blob"), arrays, strict=False))


def _check_scale(model, name, factors, source):
    """The at-once network's constant factors are part of the model: they must be the file's."""
    ours = [layer for layer in model.layers if layer.name == name]
    scale = ours[0].scale if ours and isinstance(ours[0], keras_layers.Rescaling) else 1.0
    if not np.allclose(factors, scale, rtol=1e-4):
        raise InputError(
            f"{source} multiplies {name.removeprefix('scale_')} by {np.ravel(factors)[0]:g} and {model.name} "
            f"by {scale:g}. Give the file of this network, or build the one at once."
        )
