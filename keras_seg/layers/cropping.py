"""Bringing one feature map to the size of another."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_seg.hints import Shape, Tensor


def spatial_shape(x):
    """Height and width of `x` [B, H, W, C]: integers where they are known, scalar tensors where not."""
    dynamic = ops.shape(x)
    return tuple(dynamic[axis] if x.shape[axis] is None else x.shape[axis] for axis in (1, 2))


def shape_like(x_shape, reference_shape):
    """The shape of `x` once it has the height and width of `reference`."""
    return (x_shape[0], *reference_shape[1:3], x_shape[3])


@keras.saving.register_keras_serializable(package="keras_seg")
class CropLike(keras.layers.Layer):
    """Crops a map to the height and width of a reference.

    Strided pools round up, so an upsampled map is as large as its skip or a little larger, and aligned
    with it at the top left. That is `offset=0`; the original Caffe networks, which pad their input by
    100 pixels, cut at the offsets 5, 9, 18, 19, 27 and 31.

    Args:
        offset: First row and column that stays, in pixels.
        pad: Whether a map that is smaller than the reference gets zeros around it, half of them on each
            side and the odd one last. So U-Net's seed fits odd sizes: a 2x2 pool rounds down, and the
            upsampled map is one pixel short. Else it must not be smaller.

    Call arguments:
        inputs: `[x, reference]`, `[B, H + offset or more, W + offset or more, C]` and `[B, H, W, D]`.

    Returns:
        `[B, H, W, C]`.
    """

    def __init__(self, offset: int = 0, pad: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.offset = offset
        self.pad = pad

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        x, reference = inputs
        height, width = spatial_shape(reference)
        x = x[:, self.offset : self.offset + height, self.offset : self.offset + width, :]
        if not self.pad:
            return x
        margins = []
        for size, target in zip(spatial_shape(x), (height, width), strict=True):
            missing = target - size
            margins.append((missing // 2, missing - missing // 2))
        return ops.pad(x, ((0, 0), *margins, (0, 0)))

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return shape_like(*input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "offset": self.offset, "pad": self.pad}
