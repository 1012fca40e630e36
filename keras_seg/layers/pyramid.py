"""A convolution over a map and coarser maps resized to it, without resizing them."""

import itertools

import keras
from keras import ops

from keras_seg.layers.cropping import spatial_shape
from keras_seg.layers.patches import neighbors
from keras_seg.layers.resizing import resize_bilinear


@keras.saving.register_keras_serializable(package="keras_seg")
class PyramidConv2D(keras.layers.Conv2D):
    """`Conv2D` over the concatenation of a map and of coarser maps, each resized to it bilinearly.

    Same weights, same answer. Resizing and convolution are both linear, so that the kernel can meet the few
    pixels of a coarse map instead of the many that it is resized to: what each of its taps makes of them is
    resized, moved to where the tap looks from and added up, in two matrix products. PSPNet's four coarse maps
    are half of what its last 3 x 3 convolution sees; see docs/performance.md.

    Args:
        filters, kernel_size, **kwargs: Of `keras.layers.Conv2D`, with an odd kernel, strides, dilation and
            groups of 1, channels last and padding `"same"`.
        align_corners: Of the resizing, see `ResizeLike`.

    Call arguments:
        inputs: `[x, *grids]`, `[B, H, W, C]` and each `[B, h, w, D]`, with h, w and D known.

    Returns:
        `[B, H, W, filters]`.
    """

    def __init__(self, filters, kernel_size, align_corners=False, padding="same", **kwargs):
        super().__init__(filters, kernel_size, padding=padding, **kwargs)
        self.align_corners = align_corners
        self.input_spec = None  # Conv2D's takes one map.

    def build(self, input_shape):
        super().build((*input_shape[0][:-1], sum(shape[-1] for shape in input_shape)))
        self.input_spec = None

    def call(self, inputs):
        x, *grids = inputs
        channels = [grid.shape[-1] for grid in inputs]
        kernel, *parts = ops.split(self.kernel, list(itertools.accumulate(channels))[:-1], axis=2)
        answer = self.convolution_op(x, kernel)
        answer = ops.add(answer, self._coarse(grids, parts, spatial_shape(x)))
        if self.use_bias:
            answer = ops.add(answer, self.bias)
        return self.activation(answer)

    def _coarse(self, grids, kernels, size):
        """What the convolution makes of the coarse maps, `[B, H, W, filters]`."""
        rows, columns = self.kernel_size
        partials, moves = [], []
        for grid, kernel in zip(grids, kernels, strict=True):
            height, width, channels = grid.shape[1:]
            # Tap by tap what the kernel makes of the grid: [rows x columns, B x height x width, filters].
            taps = ops.matmul(
                ops.reshape(grid, (1, -1, channels)), ops.reshape(kernel, (-1, channels, self.filters))
            )
            taps = ops.reshape(taps, (rows, columns, -1, height, width, self.filters))
            taps = ops.transpose(taps, (2, 0, 3, 1, 4, 5))
            taps = ops.reshape(taps, (-1, rows * height, columns * width * self.filters))
            partial = ops.matmul(self._move(height, size[0], rows, grid.dtype), taps)
            partials.append(ops.reshape(partial, (-1, size[0], columns * width, self.filters)))
            moves.append(self._move(width, size[1], columns, grid.dtype))
        return ops.matmul(ops.concatenate(moves, axis=1), ops.concatenate(partials, axis=2))

    def _move(self, size, target, extent, dtype):
        """`[target, extent x size]`: how much of each pixel each tap sees from each place, along one axis."""
        unit = ops.reshape(ops.eye(size, dtype=dtype), (1, size, 1, size))
        resized = resize_bilinear(unit, target, 1, self.align_corners)
        seen = ops.pad(resized, ((0, 0), (extent // 2, extent // 2), (0, 0), (0, 0)))
        return ops.reshape(neighbors(seen, extent, axis=1), (target, extent * size))

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((*inputs[0].shape[:-1], self.filters), self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "align_corners": self.align_corners}
