"""U-Net's pooling, which rounds down, and its bilinear upsampling by a factor."""

from typing import Any

import keras
from keras import ops

from keras_seg.hints import Shape, Tensor
from keras_seg.layers.cropping import spatial_shape
from keras_seg.layers.resizing import resize_bilinear


def _half(size):
    """Half of `size` rounded down, but at least 1."""
    return max(size // 2, 1) if isinstance(size, int) else ops.maximum(size // 2, 1)


@keras.saving.register_keras_serializable(package="keras_seg")
class FloorMaxPooling2D(keras.layers.Layer):
    """2x2 max pooling with stride 2 that rounds down, but never to an empty map.

    Call arguments:
        x: `[B, H, W, C]`.

    Returns:
        `[B, max(H // 2, 1), max(W // 2, 1), C]`.
    """

    def call(self, x: Tensor) -> Tensor:
        height, width = (_half(size) for size in spatial_shape(x))
        return ops.max_pool(x, (2, 2), strides=(2, 2), padding="same")[:, :height, :width, :]

    def compute_output_shape(self, input_shape: Any) -> Shape:
        halves = (None if size is None else _half(size) for size in input_shape[1:3])
        return (input_shape[0], *halves, input_shape[3])


@keras.saving.register_keras_serializable(package="keras_seg")
class BilinearUpSampling2D(keras.layers.Layer):
    """Bilinear upsampling of a map of any size by a whole factor.

    Args:
        factor: Rows and columns for each one.
        align_corners: As in `ResizeLike`.

    Call arguments:
        x: `[B, H, W, C]`.

    Returns:
        `[B, factor H, factor W, C]`.
    """

    def __init__(self, factor: int = 2, align_corners: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor
        self.align_corners = align_corners

    def call(self, x: Tensor) -> Tensor:
        height, width = (self.factor * size for size in spatial_shape(x))
        return resize_bilinear(x, height, width, self.align_corners)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        sizes = (None if size is None else self.factor * size for size in input_shape[1:3])
        return (input_shape[0], *sizes, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor, "align_corners": self.align_corners}
