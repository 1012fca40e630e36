"""Context around an image, mirrored at its border."""

from typing import Any

import keras
from keras import ops

from keras_seg.hints import Shape, Tensor
from keras_seg.layers.cropping import spatial_shape


@keras.saving.register_keras_serializable(package="keras_seg")
class MirrorPadding2D(keras.layers.Layer):
    """Pads an image with its mirror images until its sides are `least + k multiple` pixels long.

    Of U-Net's overlap-tile strategy (arXiv:1505.04597, figure 2). The outermost pixels are not doubled, and
    an image that is smaller than its context is mirrored again and again.

    Args:
        margin: Pixels above and to the left, and at least as many below and to the right.
        least: The shortest side after padding.
        multiple: Steps by which longer sides grow.

    Call arguments:
        image: `[B, H, W, C]`.

    Returns:
        `[B, H', W', C]`.
    """

    def __init__(self, margin: int, least: int, multiple: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.margin, self.least, self.multiple = margin, least, multiple

    def call(self, image: Tensor) -> Tensor:
        for axis, size in enumerate(spatial_shape(image), 1):
            image = ops.take(image, self._mirrored(size), axis=axis)
        return image

    def _mirrored(self, size):
        """The positions along a side that its padded pixels are taken from."""
        period = ops.maximum(2 * (size - 1), 1)  # There and back again; a single pixel is everywhere.
        # Minus the margin and plus as many periods, as runtimes divide negative numbers in several ways.
        positions = (ops.arange(self._padded(size, ops.maximum)) + self.margin * (period - 1)) % period
        return ops.minimum(positions, period - positions)

    def _padded(self, size, maximum):
        missing = maximum(size + 2 * self.margin, self.least) - self.least
        return self.least + (missing + self.multiple - 1) // self.multiple * self.multiple

    def compute_output_shape(self, input_shape: Any) -> Shape:
        sides = [None if size is None else self._padded(size, max) for size in input_shape[1:3]]
        return (input_shape[0], *sides, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        sizes = {"margin": self.margin, "least": self.least, "multiple": self.multiple}
        return {**super().get_config(), **sizes}
