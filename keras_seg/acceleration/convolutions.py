"""Convolutions in the form that suits a CPU: as matrix products, with dilation, group by group."""

import math

import tensorflow as tf
from keras import layers, ops

from keras_seg.acceleration.replacement import Replacement
from keras_seg.hardware import has_avx2_alone
from keras_seg.layers.cropping import spatial_shape

LARGE = 1 << 24  # Weights of a kernel from which patches pay: fc6 and fc7 have more, nothing else has.
FEW = 16  # Channels of a map, such as an image's, below which products of its pixels do not pay.


def _is_plain(layer):
    """Whether it is a convolution with stride 1, as all replacements here require."""
    return type(layer) is layers.Conv2D and layer.strides == (1, 1) and layer.groups == 1


class PatchConv2D(Replacement):
    """`Conv2D` as one matrix product over patches.

    VGG16's fc6, 7 x 7 x 512 to 4096 on a map of a few pixels, keeps a CPU's convolution kernels waiting for
    memory, and so does fc7, 1 x 1 x 4096 to 4096; their matrix products do not. Where the map is known to be
    smaller than half of the kernel, the kernel's outer rows and columns only ever meet padding, and are left
    out.
    """

    def call(self, inputs):
        kernel = ops.convert_to_tensor(self.layer.kernel)
        if self.layer.padding == "same":
            reach = [
                _reach(extent, size)
                for extent, size in zip(self.layer.kernel_size, spatial_shape(inputs), strict=True)
            ]
            kernel = _middle(kernel, reach)
            inputs = ops.pad(inputs, ((0, 0), *reach, (0, 0)))
        return self.finish(_patches_times(inputs, kernel))


def patches(layer, inputs, network):
    """Replaces a convolution with a large kernel."""
    is_large = _is_plain(layer) and math.prod(layer.kernel.shape) >= LARGE
    return PatchConv2D(layer)(inputs) if is_large and layer.dilation_rate == (1, 1) else None


def _reach(extent, size):
    """Pixels before and after its center that a kernel of `extent` reaches in a map of `size`."""
    before, after = (extent - 1) // 2, extent // 2
    if isinstance(size, int):
        before, after = min(before, size - 1), min(after, size - 1)
    return before, after


def _middle(kernel, reach):
    """The rows and columns of a kernel that can reach the map."""
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
    parts = [x[before + (slice(i, i - extent + 1 or None),)] for i in range(extent)]  # noqa: RUF005
    return ops.concatenate(parts, axis=-1)


class GroupedConv2D(Replacement):
    """`Conv2D` with several groups as one convolution each.

    Keras leaves them to XLA on a CPU, which compiles them for every size of image, and which other runtimes
    do not have.
    """

    def call(self, inputs):
        layer = self.layer
        kernels = ops.split(ops.convert_to_tensor(layer.kernel), layer.groups, axis=3)
        parts = [
            ops.conv(part, kernel, layer.strides, layer.padding, dilation_rate=layer.dilation_rate)
            for part, kernel in zip(ops.split(inputs, layer.groups, axis=3), kernels, strict=True)
        ]
        return self.finish(ops.concatenate(parts, axis=3))


def grouped(layer, inputs, network):
    """Replaces a convolution with several groups."""
    return GroupedConv2D(layer)(inputs) if type(layer) is layers.Conv2D and layer.groups > 1 else None


class ShiftedConv2D(Replacement):
    """`Conv2D` by TensorFlow's kernel that knows dilation, the gradient of its weights as matrix products.

    Keras spreads the map of a dilated convolution over `rate * rate` images, each with every `rate`-th pixel
    and zeros around it. TensorFlow's own kernel does not, but without oneDNN it has no gradients, and with
    oneDNN slow ones; with AVX2 alone those by the weights are slow without dilation too. Those by the input
    are a convolution again. Those by the weights are, tap by tap, the product of two tall matrices: what the
    tap saw, and the gradient of the outputs that it was part of.
    """

    def call(self, inputs, training=None):
        kernel, rates = tf.convert_to_tensor(self.layer.kernel), self.layer.dilation_rate
        function = learning_convolution if training else convolution
        return self.finish(function(inputs, kernel, rates))


def dilated(layer, inputs, network):
    """Replaces a dilated convolution with padding `"same"`."""
    if _is_plain(layer) and layer.dilation_rate != (1, 1) and _is_centered(layer):
        return ShiftedConv2D(layer)(inputs)
    return None


def pointwise(layer, inputs, network):
    """Replaces a 1 x 1 convolution."""
    return ShiftedConv2D(layer)(inputs) if _is_plain(layer) and layer.kernel_size == (1, 1) else None


def undilated(layer, inputs, network):
    """Replaces a convolution with padding `"same"` on a CPU whose kernels compute its gradients slowly."""
    is_wide = _is_plain(layer) and layer.kernel_size != (1, 1) and layer.kernel.shape[2] >= FEW
    if is_wide and layer.dilation_rate == (1, 1) and _is_centered(layer) and has_avx2_alone():
        return ShiftedConv2D(layer)(inputs)
    return None


def _is_centered(layer):
    return layer.padding == "same" and all(extent % 2 for extent in layer.kernel_size)


def convolution(x, kernel, rates):
    """Convolution with stride 1 and zeros around the map, as wide as an odd kernel reaches.

    The padding is spelled out: not every runtime takes `"SAME"` beside a dilation.

    Args:
        x: `[B, H, W, C]`.
        kernel: `[rows, columns, C, D]`, rows and columns odd.
        rates: Pixels from one tap to the next, down and across.

    Returns:
        `[B, H, W, D]`.
    """
    down, across = (extent // 2 * rate for extent, rate in zip(kernel.shape, rates, strict=False))
    padding = ((0, 0), (down, down), (across, across), (0, 0))
    return tf.nn.conv2d(x, kernel, 1, padding, dilations=rates)


def learning_convolution(x, kernel, rates):
    """As `convolution`, with gradients of its own."""

    @tf.custom_gradient
    def convolve(x, kernel):
        def gradients(upstream):
            # Each pixel gets what the taps gave on: the kernel turned around, its channels swapped.
            turned = tf.transpose(kernel[::-1, ::-1], (0, 1, 3, 2))
            is_dense = tuple(rates) == (1, 1) and tuple(kernel.shape[:2]) != (1, 1)
            by_kernel = (
                _by_dense_kernel(x, upstream, kernel.shape)
                if is_dense
                else _by_kernel(x, upstream, kernel.shape, rates)
            )
            return convolution(upstream, turned, rates), by_kernel

        return convolution(x, kernel, rates), gradients

    return convolve(x, kernel)


def _by_dense_kernel(x, upstream, shape):
    """The gradient by a kernel without dilation, for which no map is copied tap by tap.

    All pixels stand in one long row, with as many zeros after each row of the map, and after each map, as the
    kernel reaches to one side. What a tap saw then is that row from some pixel on.
    """
    rows, columns, channels, filters = shape
    size = tf.shape(x)
    gaps = ((0, 0), (0, rows // 2), (0, columns // 2), (0, 0))
    width = size[2] + columns // 2
    reach = rows // 2 * width + columns // 2
    # The sums are of one image each, which are computed side by side.
    upstream = tf.reshape(tf.pad(upstream, gaps), (size[0], -1, filters))
    length = tf.shape(upstream)[0] * tf.shape(upstream)[1]
    x = tf.pad(tf.reshape(tf.pad(x, gaps), (-1, channels)), ((reach, reach), (0, 0)))
    taps = []
    for row in range(rows):
        for column in range(columns):
            start = row * width + column
            seen = tf.reshape(x[start : start + length], (size[0], -1, channels))
            taps.append(tf.reduce_sum(tf.matmul(seen, upstream, transpose_a=True), axis=0))
    return tf.reshape(tf.stack(taps), shape)


def _by_kernel(x, upstream, shape, rates):
    """The gradient by a kernel whose taps may see little of the map, and are multiplied with no more."""
    rows, columns = shape[:2]
    taps = []
    for row in range(rows):
        down = (row - rows // 2) * rates[0]
        for column in range(columns):
            right = (column - columns // 2) * rates[1]
            seen = _shifted(_shifted(x, down, axis=1), right, axis=2)
            asked = _shifted(_shifted(upstream, -down, axis=1), -right, axis=2)
            taps.append(_product(seen, asked))
    return tf.reshape(tf.stack(taps), shape)


def _product(x, upstream):
    """The gradient [C, D] of one tap, of x [..., C] and upstream [..., D]."""
    channels, filters = x.shape[-1], upstream.shape[-1]
    x, upstream = tf.reshape(x, (-1, channels)), tf.reshape(upstream, (-1, filters))
    # The product is faster with the fewer rows.
    if channels <= filters:
        return tf.matmul(x, upstream, transpose_a=True)
    return tf.transpose(tf.matmul(upstream, x, transpose_a=True))


def _shifted(x, steps, axis):
    """What lies `steps` pixels onwards along an axis, as far as the map reaches."""
    part = slice(steps, None) if steps >= 0 else slice(None, steps)
    return x[(slice(None),) * axis + (part,)]
