"""The convolution that does the work of Keras's `Conv2D` soonest."""

import keras

from keras_seg.layers.dilation import DilatedConv2D
from keras_seg.layers.pointwise import PointwiseConv2D


def conv2d(filters, kernel_size, *, strides=1, dilation_rate=1, **kwargs):
    """Returns a `Conv2D`, a `DilatedConv2D` where there is a dilation, or a `PointwiseConv2D` for 1 x 1."""
    if dilation_rate != 1:
        return DilatedConv2D(filters, kernel_size, strides=strides, dilation_rate=dilation_rate, **kwargs)
    if kernel_size == strides == 1:
        return PointwiseConv2D(filters, kernel_size, **kwargs)
    return keras.layers.Conv2D(filters, kernel_size, strides=strides, **kwargs)
