"""Dilated convolution, by the kernel that knows dilation."""

import functools

import keras

if keras.config.backend() == "tensorflow":
    # Keras's own way there spreads the map over as many small images as the rate has pixels, squared.
    import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_seg")
class DilatedConv2D(keras.layers.Conv2D):
    """`Conv2D` with the same weights and the same answer, several times faster on TensorFlow and a CPU.

    Keras computes a dilated convolution on TensorFlow as an undilated one over `rate * rate` images, each
    with every `rate`-th pixel of the map and zeros around it: for rate 24 on a map of 28 x 28, 576 images of
    mostly zeros. TensorFlow's kernels know the dilation, see docs/performance.md; where their gradients do
    not (CPUs without oneDNN), this is Keras's.

    Args:
        filters, kernel_size, **kwargs: Of `keras.layers.Conv2D`, channels last.
    """

    def convolution_op(self, inputs, kernel):
        if self.dilation_rate == (1, 1) or self.groups > 1 or not _kernels_know_dilation():
            return super().convolution_op(inputs, kernel)
        return tf.nn.conv2d(inputs, kernel, self.strides, self.padding.upper(), dilations=self.dilation_rate)


@functools.cache
def _kernels_know_dilation():
    if keras.config.backend() != "tensorflow":
        return False
    with tf.init_scope():
        x, kernel = tf.ones((1, 3, 3, 1)), tf.ones((3, 3, 1, 1))
        try:
            with tf.GradientTape() as tape:
                tape.watch((x, kernel))
                answer = tf.nn.conv2d(x, kernel, 1, "SAME", dilations=2)
            tape.gradient(answer, (x, kernel))
        except tf.errors.InvalidArgumentError:
            return False
    return True
