"""A large convolution over a small map, as patches times a matrix."""

import keras
from keras import ops

from keras_seg.layers.cropping import spatial_shape
from keras_seg.layers.large_kernels import LargeKernelConv2D


@keras.saving.register_keras_serializable(package="keras_seg")
class PatchConv2D(LargeKernelConv2D):
    """`Conv2D` with stride 1, computed as one matrix product over patches.

    Same weights, same answer. VGG16's fc6, 7 x 7 x 512 to 4096 on a map of a few pixels, keeps a CPU's
    convolution kernels waiting for memory, and so does fc7, 1 x 1 x 4096 to 4096; their matrix products do
    not: see docs/performance.md.
    Where the size of the map is known and smaller than half of the kernel, the kernel's outer rows and
    columns only ever meet padding, and are left out.

    Args:
        filters, kernel_size, **kwargs: Of `keras.layers.Conv2D`, with strides, dilation and groups of 1.
    """

    def call(self, inputs):
        kernel = self.kernel
        if self.padding == "same":
            reach = [
                _reach(extent, size)
                for extent, size in zip(self.kernel_size, spatial_shape(inputs), strict=True)
            ]
            kernel = _middle(kernel, reach)
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


def _middle(kernel, reach):
    """The rows and columns of a kernel that are within reach of its center."""
    if all(sum(margins) + 1 == extent for margins, extent in zip(reach, kernel.shape, strict=False)):
        return kernel  # A slice of all would copy it, and its gradient too: 411 MB each for fc6.
    (top, bottom), (left, right) = reach
    row, column = ((extent - 1) // 2 for extent in kernel.shape[:2])
    return kernel[row - top : row + bottom + 1, column - left : column + right + 1]


def _patches_times(x, kernel):
    """Convolution of `x` [B, H, W, C] with `kernel` [rows, columns, C, D] without padding."""
    rows, columns, channels, filters = kernel.shape
    height, width = (
        size - extent + 1 for size, extent in zip(spatial_shape(x), (rows, columns), strict=True)
    )
    # Along one axis and then the other: 14 slices for a kernel of 7 x 7, where window by window is 49.
    x = neighbors(neighbors(x, columns, axis=2), rows, axis=1)
    matrix = ops.reshape(kernel, (rows * columns * channels, filters))
    x = ops.matmul(ops.reshape(x, (-1, rows * columns * channels)), matrix)
    return ops.reshape(x, (-1, height, width, filters))


def neighbors(x, extent, axis):
    """Each position's `extent` successors along an axis, itself the first, side by side in its channels."""
    if extent == 1:
        return x
    # Ends that count from the far side need no size, which may be unknown.
    before = (slice(None),) * axis
    parts = [x[(*before, slice(i, i - extent + 1 or None))] for i in range(extent)]
    return ops.concatenate(parts, axis=-1)
