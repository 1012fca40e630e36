"""Dilated convolution, by the kernel that knows dilation, or as products of what its taps see."""

import functools

import keras

from keras_seg.layers.kernel_gradient import convolve, shifted
from keras_seg.layers.processor import is_for_this_processor, is_tensorflow_on_a_cpu

if keras.config.backend() == "tensorflow":
    # Keras's own way there spreads the map over as many small images as the rate has pixels, squared.
    import tensorflow as tf

# Below so many pixels between two taps most of them see most of the map, and below so many channels the sums
# of the products take as long as these.
_PRODUCTS_PAY_FROM, _CHANNELS_PAY_FROM = 12, 1024


@keras.saving.register_keras_serializable(package="keras_seg")
class DilatedConv2D(keras.layers.Conv2D):
    """`Conv2D` with the same weights and the same answer, several times faster on TensorFlow and a CPU.

    Keras computes a dilated convolution on TensorFlow as an undilated one over `rate * rate` images, each
    with every `rate`-th pixel of the map and zeros around it: for rate 24 on a map of 28 x 28, 576 images of
    mostly zeros. TensorFlow's kernels know the dilation, see docs/performance.md; where their gradients do
    not (CPUs without oneDNN), this is Keras's. Within `for_this_processor`, wide dilations in float32 are
    products of matrices, a tap at a time: its weights and the part of the map that it sees. In training, such
    are the gradients of their kernels.

    Args:
        filters, kernel_size, **kwargs: Of `keras.layers.Conv2D`, channels last.
    """

    def call(self, inputs, training=None):
        is_learning = training and self.trainable and _kernels_know_dilation()
        if not (is_learning and self._are_products_worth(inputs.shape[-1])):
            return super().call(inputs)
        x = convolve(inputs, tf.convert_to_tensor(self.kernel), self.dilation_rate)
        return self.activation(x + self.bias if self.use_bias else x)

    def convolution_op(self, inputs, kernel):
        if self.dilation_rate == (1, 1) or self.groups > 1:
            return super().convolution_op(inputs, kernel)
        is_float32 = keras.backend.standardize_dtype(inputs.dtype) == "float32"
        if is_float32 and is_for_this_processor() and self._are_products_worth(kernel.shape[2]):
            return _products(inputs, tf.convert_to_tensor(kernel), self.dilation_rate)
        if not _kernels_know_dilation():
            return super().convolution_op(inputs, kernel)
        return tf.nn.conv2d(inputs, kernel, self.strides, self.padding.upper(), dilations=self.dilation_rate)

    def _are_products_worth(self, channels):
        return (
            is_tensorflow_on_a_cpu()
            and min(self.dilation_rate) >= _PRODUCTS_PAY_FROM
            and channels >= _CHANNELS_PAY_FROM
            and self.padding == "same"
            and self.strides == (1, 1)
            and self.groups == 1
            and all(extent % 2 for extent in self.kernel_size)
        )


def _products(x, kernel, rates):
    """Convolution of `x` [B, H, W, C], with zeros around it, with `kernel` [rows, columns, C, D], odd."""
    x = tf.transpose(x, (1, 0, 2, 3))  # Rows first, for rows next to each other are no copy.
    rows, columns, channels, filters = kernel.shape
    answer = 0
    for column in range(columns):
        right = (column - columns // 2) * rates[1]
        seen = shifted(x, right, axis=2)
        partial = 0
        for row in range(rows):
            down = (row - rows // 2) * rates[0]
            part = shifted(seen, down, axis=0)
            product = tf.matmul(tf.reshape(part, (-1, channels)), kernel[row, column])
            product = tf.reshape(product, tf.concat((tf.shape(part)[:3], (filters,)), axis=0))
            partial += _back(product, down, tf.shape(x), axis=0)
        answer += _back(partial, right, tf.shape(x), axis=2)
    return tf.transpose(answer, (1, 0, 2, 3))


def _back(x, steps, shape, axis):
    """`x`, found by `shifted`, where it was asked from, with zeros up to the size of the map."""
    if steps == 0:
        return x
    missing = tf.minimum(abs(steps), shape[axis])
    margins = [(0, 0)] * 4
    margins[axis] = (0, missing) if steps > 0 else (missing, 0)
    return tf.pad(x, margins)


@functools.cache
def _kernels_know_dilation():
    """Whether TensorFlow has gradients of dilated convolutions here; CPUs without oneDNN have none."""
    if keras.config.backend() != "tensorflow":
        return False
    with tf.init_scope():
        # The operation itself: no tape records in this scope, so that one would always say yes.
        kernel, upstream = tf.ones((3, 3, 1, 1)), tf.ones((1, 3, 3, 1))
        options = {"strides": (1, 1, 1, 1), "padding": "SAME", "dilations": (1, 2, 2, 1)}
        try:
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=(1, 3, 3, 1), filter=kernel, out_backprop=upstream, **options
            )
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return False
    return True
