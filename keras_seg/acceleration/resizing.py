"""Bilinear resizing by TensorFlow's kernel for CPUs."""

import tensorflow as tf

from keras_seg.acceleration.replacement import Replacement
from keras_seg.layers import BilinearUpSampling2D, ResizeLike
from keras_seg.layers.cropping import spatial_shape


class FusedResize(Replacement):
    """`ResizeLike` or `BilinearUpSampling2D` in one operation; they read a map several times."""

    def call(self, inputs):
        if isinstance(self.layer, ResizeLike):
            x, reference = inputs
            size = spatial_shape(reference)
        else:
            x = inputs
            size = [self.layer.factor * side for side in spatial_shape(x)]
        align_corners = self.layer.align_corners
        resized = tf.raw_ops.ResizeBilinear(
            images=x, size=size, align_corners=align_corners, half_pixel_centers=not align_corners
        )
        return tf.cast(resized, x.dtype)


def resize(layer, inputs, network):
    """Replaces a layer that resizes bilinearly."""
    return FusedResize(layer)(inputs) if type(layer) in (ResizeLike, BilinearUpSampling2D) else None
