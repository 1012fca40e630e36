"""Bilinear upsampling: to the size of another map, and as the kernel of a transposed convolution."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seg.hints import Shape, Tensor
from keras_seg.layers.cropping import shape_like, spatial_shape


@keras.saving.register_keras_serializable(package="keras_seg")
def bilinear_kernel(shape: Sequence[int], dtype: Any = "float32") -> Tensor:
    """Kernel of a transposed convolution that upsamples each class by itself, bilinearly.

    Long, Shelhamer and Darrell, 2015 (`surgery.py`): the tent `1 - |x - center| / factor` in both
    directions, with `factor = (size + 1) // 2`.

    Args:
        shape: `(size, size, classes, classes)`, a `Conv2DTranspose` kernel.
        dtype: Of the answer.

    Returns:
        The kernel; zero between different classes.
    """
    size = shape[0]
    factor = (size + 1) // 2
    center = factor - 1 if size % 2 else factor - 0.5
    tent = 1 - np.abs(np.arange(size) - center) / factor
    kernel = np.zeros(shape, "float32")
    for index in range(min(shape[2:])):
        kernel[:, :, index, index] = np.outer(tent, tent)
    return ops.convert_to_tensor(kernel, dtype)


def resize_bilinear(x, height, width, align_corners=False):
    """Resizes `x` [B, h, w, C] to [B, height, width, C] without antialiasing, as torch's `interpolate`.

    `keras.ops.image.resize` takes no sizes that are known at run time only, and under XLA TensorFlow's
    operation gives wrong values where the sizes have no common factor.
    """
    sizes = spatial_shape(x)
    x = _interpolated(x, 1, sizes[0], height, align_corners)
    return _interpolated(x, 2, sizes[1], width, align_corners)


def _interpolated(x, axis, size, target, align_corners):
    """Linear interpolation along an axis from `size` pixels to `target`."""
    # In float32, since bfloat16 has no odd number above 256.
    place, size, target = ops.arange(target, dtype="float32"), _float(size), _float(target)
    if align_corners:
        place = place * ((size - 1) / ops.maximum(target - 1, 1))
    else:
        place = ops.clip((place + 0.5) * (size / target) - 0.5, 0, size - 1)
    before = ops.floor(place)
    after = ops.minimum(before + 1, size - 1)
    weight = ops.reshape(place - before, (-1,) + (1,) * (3 - axis))
    lower, upper = (
        ops.cast(ops.take(x, ops.cast(index, "int32"), axis), "float32") for index in (before, after)
    )
    return ops.cast(lower + (upper - lower) * weight, x.dtype)


def _float(size):
    return float(size) if isinstance(size, int) else ops.cast(size, "float32")


@keras.saving.register_keras_serializable(package="keras_seg")
class ResizeLike(keras.layers.Layer):
    """Resizes a map bilinearly to the height and width of a reference.

    Args:
        align_corners: Whether the centers of the corner pixels stay where they are (as the DeepLab v1,
            PSPNet and U-Net references do) or the outer edges of the image (torchvision).

    Call arguments:
        inputs: `[x, reference]`, `[B, h, w, C]` and `[B, H, W, D]`.

    Returns:
        `[B, H, W, C]`.
    """

    def __init__(self, align_corners: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.align_corners = align_corners

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        x, reference = inputs
        height, width = spatial_shape(reference)
        return resize_bilinear(x, height, width, self.align_corners)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return shape_like(*input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "align_corners": self.align_corners}
