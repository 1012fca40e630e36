"""A convolution over a map and coarse maps that were resized to it, without resizing them."""

import itertools

import keras
from keras import layers, ops

from keras_seg.acceleration.convolutions import neighbors
from keras_seg.acceleration.replacement import Replacement
from keras_seg.layers import ResizeLike
from keras_seg.layers.cropping import spatial_shape
from keras_seg.layers.resizing import resize_bilinear

_COARSE = 64  # Pixels of a coarse map at most; PSPNet's finest has 36.


class PyramidConv2D(Replacement):
    """`Conv2D` over the concatenation of maps of which all but one were resized from a few pixels.

    Resizing and convolution are both linear, so that the kernel can meet the few pixels of a coarse map
    instead of the many that it is resized to: what each of its taps makes of them is resized, moved to where
    the tap looks from and added up, in two matrix products. PSPNet's four coarse maps are half of what its
    last 3 x 3 convolution sees.

    Args:
        layer: The convolution.
        resizes: For each map the `ResizeLike` that would resize it, None for the one that is large already.
    """

    def __init__(self, layer, resizes):
        super().__init__(layer)
        self.align_corners = [resize and resize.align_corners for resize in resizes]

    def call(self, inputs):
        channels = [each.shape[-1] for each in inputs]
        kernel = ops.convert_to_tensor(self.layer.kernel)
        parts = list(ops.split(kernel, list(itertools.accumulate(channels))[:-1], axis=2))
        large = self.align_corners.index(None)
        x, kernel = inputs[large], parts[large]
        output = ops.conv(x, kernel, padding="same")
        partials, moves = [], []
        for grid, part, align_corners in zip(inputs, parts, self.align_corners, strict=True):
            if align_corners is not None:
                partial, move = _meet(grid, part, spatial_shape(x), align_corners)
                partials.append(partial)
                moves.append(move)
        coarse = ops.matmul(ops.concatenate(moves, axis=1), ops.concatenate(partials, axis=2))
        return self.finish(ops.add(output, coarse))

    def compute_output_spec(self, inputs):
        shape = inputs[self.align_corners.index(None)].shape
        return keras.KerasTensor((*shape[:-1], self.layer.filters), self.compute_dtype)


def _meet(grid, kernel, size, align_corners):
    """The kernel's response to a coarse map and its interpolation: two factors of the output."""
    (rows, columns), filters = kernel.shape[:2], kernel.shape[3]
    height, width, channels = grid.shape[1:]
    # Tap by tap what the kernel makes of the grid: [rows x columns, B x height x width, filters].
    taps = ops.matmul(ops.reshape(grid, (1, -1, channels)), ops.reshape(kernel, (-1, channels, filters)))
    taps = ops.reshape(taps, (rows, columns, -1, height, width, filters))
    taps = ops.reshape(
        ops.transpose(taps, (2, 0, 3, 1, 4, 5)), (-1, rows * height, columns * width * filters)
    )
    partial = ops.matmul(_move(height, size[0], rows, align_corners, grid.dtype), taps)
    partial = ops.reshape(partial, (-1, size[0], columns * width, filters))
    return partial, _move(width, size[1], columns, align_corners, grid.dtype)


def _move(size, target, extent, align_corners, dtype):
    """`[target, extent x size]`: how much of each pixel each tap sees from each place, along one axis."""
    unit = ops.reshape(ops.eye(size, dtype=dtype), (1, size, 1, size))
    resized = resize_bilinear(unit, target, 1, align_corners)
    seen = ops.pad(resized, ((0, 0), (extent // 2, extent // 2), (0, 0), (0, 0)))
    return ops.reshape(neighbors(seen, extent, axis=1), (target, extent * size))


def pyramid(layer, inputs, network):
    """Replaces a convolution over one map and coarse ones, joined by a concatenation of their channels."""
    joined = network.maker(inputs)
    is_usual = type(layer) is layers.Conv2D and layer.strides == layer.dilation_rate == (1, 1)
    if not is_usual or layer.padding != "same" or joined is None:
        return None
    if type(joined.layer) is not layers.Concatenate or not all(extent % 2 for extent in layer.kernel_size):
        return None
    makers = [network.maker(each) for each in joined.inputs]
    resizes = [maker.layer if maker and _is_coarse(maker) else None for maker in makers]
    if resizes.count(None) != 1 or layer.groups != 1:
        return None
    sources = [
        maker.inputs[0] if resize else each
        for each, maker, resize in zip(joined.inputs, makers, resizes, strict=True)
    ]
    return PyramidConv2D(layer, resizes)(sources)


def _is_coarse(call):
    if type(call.layer) is not ResizeLike:
        return False
    height, width = call.inputs[0].shape[1:3]
    return None not in (height, width) and height * width <= _COARSE
