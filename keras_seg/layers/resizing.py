"""Bilinear upsampling: to the size of another map, and as the kernel of a transposed convolution."""

import keras
import numpy as np
from keras import ops

from keras_seg.layers.cropping import shape_like, spatial_shape

if keras.config.backend() == "tensorflow":
    # The one place below the data room where TensorFlow is named: its bilinear kernel takes sizes that
    # are known at run time only, which keras.ops.image.resize refuses there.
    import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_seg")
def bilinear_kernel(shape, dtype="float32"):
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


def interpolation_matrix(size, target, align_corners, dtype):
    """`[target, size]` weights of linear interpolation along one axis; two of a row are not zero."""
    # By NumPy: under JAX's jit the sizes would become tracers, and float32 because bfloat16 has no odd number
    # above 256.
    position = np.arange(target, dtype="float32")
    if align_corners:
        position = position * (size - 1) / max(target - 1, 1)
    else:
        position = np.clip((position + 0.5) * size / target - 0.5, 0, size - 1)
    distance = np.abs(position[:, None] - np.arange(size, dtype="float32")[None, :])
    return ops.convert_to_tensor(np.maximum(1 - distance, 0), dtype)


def resize_bilinear(x, height, width, align_corners=False):
    """Resizes `x` [B, h, w, C] to [B, height, width, C] without antialiasing, as torch's `interpolate`."""
    if keras.config.backend() == "tensorflow":
        x_resized = tf.raw_ops.ResizeBilinear(
            images=x, size=(height, width), align_corners=align_corners, half_pixel_centers=not align_corners
        )
        return ops.cast(x_resized, x.dtype)
    rows, columns = (
        interpolation_matrix(size, target, align_corners, x.dtype)
        for size, target in zip(spatial_shape(x), (height, width), strict=True)
    )
    return ops.einsum("yh,bhwc,xw->byxc", rows, x, columns)


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

    def __init__(self, align_corners=False, **kwargs):
        super().__init__(**kwargs)
        self.align_corners = align_corners

    def call(self, inputs):
        x, reference = inputs
        return resize_bilinear(x, *spatial_shape(reference), self.align_corners)

    def compute_output_shape(self, input_shape):
        return shape_like(*input_shape)

    def get_config(self):
        return {**super().get_config(), "align_corners": self.align_corners}
