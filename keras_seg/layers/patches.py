"""A large convolution over a small map, as patches times a matrix."""

import keras
from keras import ops

from keras_seg.layers.cropping import spatial_shape


@keras.saving.register_keras_serializable(package="keras_seg")
class PatchConv2D(keras.layers.Conv2D):
    """`Conv2D` with stride 1, computed as one matrix product over patches.

    Same weights, same answer. VGG16's fc6, 7 x 7 x 512 to 4096 on a map of a few pixels, keeps a CPU's
    convolution kernels waiting for memory, and its matrix product does not: see docs/performance.md.
    Where the size of the map is known and smaller than half of the kernel, the kernel's outer rows and
    columns only ever meet padding, and are left out.

    Args:
        filters, kernel_size, **kwargs: Of `keras.layers.Conv2D`, with strides, dilation and groups of 1.
    """

    def call(self, inputs):
        kernel = self.kernel
        if self.padding == "same":
            sizes = spatial_shape(inputs)
            reach = [_reach(extent, size) for extent, size in zip(self.kernel_size, sizes, strict=True)]
            (top, bottom), (left, right) = reach
            before = [(extent - 1) // 2 for extent in self.kernel_size]
            kernel = kernel[
                before[0] - top : before[0] + bottom + 1, before[1] - left : before[1] + right + 1
            ]
            inputs = ops.pad(inputs, ((0, 0), *reach, (0, 0)))
        x = _patches_times(inputs, kernel)
        if self.use_bias:
            x = ops.add(x, self.bias)
        return self.activation(x)


def _reach(extent, size):
    """Pixels before and after its center that a kernel of `extent` sees of a map of `size`."""
    before, after = (extent - 1) // 2, extent // 2
    if isinstance(size, int):
        before, after = min(before, size - 1), min(after, size - 1)
    return before, after


def _patches_times(x, kernel):
    """Convolution of `x` [B, H, W, C] with `kernel` [rows, columns, C, D] without padding."""
    rows, columns, channels, filters = kernel.shape
    height, width = (
        size - extent + 1 for size, extent in zip(spatial_shape(x), (rows, columns), strict=True)
    )
    # Ends that count from the far side need no size: of 49 slices none adds to the graph but itself.
    spans = [[slice(i, i - extent + 1 or None) for i in range(extent)] for extent in (rows, columns)]
    patches = ops.concatenate([x[:, down, across, :] for down in spans[0] for across in spans[1]], axis=-1)
    matrix = ops.reshape(kernel, (rows * columns * channels, filters))
    x = ops.matmul(ops.reshape(patches, (-1, rows * columns * channels)), matrix)
    return ops.reshape(x, (-1, height, width, filters))
