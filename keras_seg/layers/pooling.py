"""Pooling that Keras lacks: by indices, and to a fixed number of bins."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_seg.hints import Shape, Tensor
from keras_seg.layers.cropping import shape_like, spatial_shape


def _windows(x):
    """Splits `x` [B, H, W, C] into its 2x2 windows, [B, h, w, 4, C]; odd edges are padded."""
    height, width = spatial_shape(x)
    lowest = -float("inf")
    x = ops.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), constant_values=lowest)
    h, w, channels = (height + 1) // 2, (width + 1) // 2, x.shape[-1]
    x = ops.reshape(x, (-1, h, 2, w, 2, channels))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, h, w, 4, channels))


@keras.saving.register_keras_serializable(package="keras_seg")
class MaxPoolingWithIndices2D(keras.layers.Layer):
    """2x2 max pooling with stride 2 that rounds up and remembers where each maximum stood.

    Call arguments:
        x: `[B, H, W, C]`.

    Returns:
        The maxima `[B, ceil(H / 2), ceil(W / 2), C]` and their places in the windows, int32 of the same
        shape: 0 top left, 1 top right, 2 bottom left, 3 bottom right; the first of equals.
    """

    def call(self, x: Tensor) -> tuple[Tensor, Tensor]:
        windows = _windows(x)
        maxima = ops.max(windows, axis=3)
        is_largest = windows == maxima[:, :, :, None, :]
        indices = ops.full_like(maxima, 3, dtype="int32")
        for place in (2, 1, 0):
            # `ops.argmax` would do, but takes longer and looks for negative zeros by their bits, which other
            # runtimes cannot.
            indices = ops.where(is_largest[:, :, :, place], place, indices)
        return maxima, indices

    def compute_output_spec(self, x: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        halves = tuple(None if size is None else (size + 1) // 2 for size in x.shape[1:3])
        shape = (x.shape[0], *halves, x.shape[3])
        return keras.KerasTensor(shape, x.dtype), keras.KerasTensor(shape, "int32")


@keras.saving.register_keras_serializable(package="keras_seg")
class MaxUnpooling2D(keras.layers.Layer):
    """Places pooled values back where their maxima stood, zeros elsewhere (SegNet's upsampling).

    Call arguments:
        inputs: `[x, indices, reference]`: the values and the places of `MaxPoolingWithIndices2D`,
            `[B, ceil(H / 2), ceil(W / 2), C]`, and any map of the size to return, `[B, H, W, D]`.

    Returns:
        `[B, H, W, C]`.
    """

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        x, indices, reference = inputs
        height, width = spatial_shape(reference)
        h, w = spatial_shape(x)
        places = ops.arange(4, dtype="int32")[:, None]
        windows = ops.where(indices[:, :, :, None, :] == places, x[:, :, :, None, :], ops.zeros((), x.dtype))
        windows = ops.reshape(windows, (-1, h, w, 2, 2, x.shape[-1]))
        x = ops.reshape(ops.transpose(windows, (0, 1, 3, 2, 4, 5)), (-1, 2 * h, 2 * w, x.shape[-1]))
        return x[:, :height, :width, :]

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return shape_like(input_shape[0], input_shape[2])


def _bin_matrix(size, bins, dtype):
    """`[bins, size]` weights: row i averages the pixels floor(i size / bins) .. ceil((i + 1) size / bins)."""
    index = ops.arange(bins, dtype="int32")
    first = index * size // bins
    last = ((index + 1) * size + bins - 1) // bins
    pixel = ops.arange(size, dtype="int32")[None, :]
    inside = ops.cast((pixel >= first[:, None]) & (pixel < last[:, None]), dtype)
    return inside / ops.sum(inside, axis=1, keepdims=True)


@keras.saving.register_keras_serializable(package="keras_seg")
class AdaptiveAveragePooling2D(keras.layers.Layer):
    """Average pooling to `bins x bins`, whatever the size of the map, as torch's `adaptive_avg_pool2d`.

    A map smaller than the bins is fine: bins then overlap and share pixels.

    Args:
        bins: Rows and columns of the answer.

    Call arguments:
        x: `[B, H, W, C]`.

    Returns:
        `[B, bins, bins, C]`.
    """

    def __init__(self, bins: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bins = bins

    def call(self, x: Tensor) -> Tensor:
        height, width = spatial_shape(x)
        rows, columns = (_bin_matrix(size, self.bins, x.dtype) for size in (height, width))
        # Two products without a transposition, of which an einsum of the three makes several.
        channels = x.shape[-1]
        x = ops.matmul(rows, ops.reshape(x, (-1, height, width * channels)))
        x = ops.matmul(columns, ops.reshape(x, (-1, width, channels)))
        return ops.reshape(x, (-1, self.bins, self.bins, channels))

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return (input_shape[0], self.bins, self.bins, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bins": self.bins}
