"""Batch normalization folded into the layer before it: Jacob et al., 2018, section 3.2 (arXiv:1712.05877)."""

import keras
import numpy as np
from keras import layers

from keras_seg.initial_weights import without_initial_weights

# Layer -> the axis of its kernel that its output channels lie on.
OUTPUT_AXES = {layers.Conv2D: 3, layers.Conv2DTranspose: 2, layers.Dense: 1}


def fold(layer, inputs, network):
    """Replaces a batch normalization and the convolution or dense layer before it by one such layer.

    `gamma (W x + b - mean) / sqrt(variance + epsilon) + beta` is a convolution again, with its kernel and its
    bias scaled. The new layer is a plain one of Keras's and owns its weights.
    """
    if type(layer) is not layers.BatchNormalization or layer.axis not in (-1, len(inputs.shape) - 1):
        return None
    before = network.maker(inputs)
    if before is None or not _is_foldable(before.layer):
        return None
    return network.call(folded(before.layer, layer), before.inputs)


def _is_foldable(layer):
    return type(layer) in OUTPUT_AXES and layer.activation is keras.activations.linear


def folded(layer, normalization):
    """Returns `layer` with the normalization that follows it in its weights."""
    mean, variance = (
        np.asarray(each, "float32") for each in (normalization.moving_mean, normalization.moving_variance)
    )
    scale = 1 / np.sqrt(variance + np.float32(normalization.epsilon))
    if normalization.scale:
        scale *= np.asarray(normalization.gamma)
    bias = -mean * scale
    if layer.use_bias:
        bias += np.asarray(layer.bias) * scale
    if normalization.center:
        bias += np.asarray(normalization.beta)
    kernel = np.asarray(layer.kernel)
    shape = np.ones(kernel.ndim, int)
    shape[OUTPUT_AXES[type(layer)]] = -1
    # The name of the normalization, which is gone; the layer itself may stay for others.
    config = without_initial_weights({**layer.get_config(), "use_bias": True, "name": normalization.name})
    result = type(layer).from_config(config)
    result.build(layer.input.shape)
    result.kernel.assign(kernel * scale.reshape(shape))
    result.bias.assign(bias)
    return result
