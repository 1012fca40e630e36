"""GELU in operations that every runtime has: Hendrycks and Gimpel, 2016 (arXiv:1606.08415)."""

import math

import keras
from keras import layers, ops

from keras_seg.acceleration.replacement import Replacement


class ErfGelu(Replacement):
    """`Activation("gelu")` as `x / 2 (1 + erf(x / sqrt(2)))`.

    Keras takes the complement of the error function, which ONNX lacks. LiteRT knows GELU in this form.
    """

    def call(self, inputs):
        return 0.5 * inputs * (1 + ops.erf(inputs * math.sqrt(0.5)))


def gelu(layer, inputs, network):
    """Replaces an exact GELU."""
    is_gelu = type(layer) is layers.Activation and layer.activation is keras.activations.gelu
    return ErfGelu(layer)(inputs) if is_gelu else None
