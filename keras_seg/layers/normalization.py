"""Local response normalization: Krizhevsky, Sutskever and Hinton, 2012 ("AlexNet")."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seg.hints import Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_seg")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each value by a power of the squares around it, across channels, as Caffe's LRN does.

    `x / (1 + alpha / size * sum of x^2 over the size channels around it) ** beta`; channels beyond the
    first and last count as zero.

    Args:
        size: Channels in a window; odd.
        alpha: Weight of the mean square.
        beta: Exponent.

    Call arguments:
        x: `[B, H, W, C]`.

    Returns:
        `[B, H, W, C]`.
    """

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size, self.alpha, self.beta = size, alpha, beta

    def call(self, x: Tensor) -> Tensor:
        # In float32: squares of activations are out of float16's range.
        values = ops.cast(x, "float32")
        channel = np.arange(x.shape[-1])
        window = np.abs(channel[:, None] - channel[None, :]) <= self.size // 2
        squares = ops.matmul(ops.square(values), ops.convert_to_tensor(window.astype("float32")))
        scale = ops.power(1 + self.alpha / self.size * squares, self.beta)
        return ops.cast(values / scale, x.dtype)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "alpha": self.alpha, "beta": self.beta}
