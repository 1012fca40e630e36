"""1 x 1 convolution, the gradient of its kernel as a matrix product."""

import keras

from keras_seg.layers.processor import is_tensorflow_on_a_cpu

if keras.config.backend() == "tensorflow":
    import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_seg")
class PointwiseConv2D(keras.layers.Conv2D):
    """`Conv2D` with a kernel of 1 x 1 and stride 1, the same weights and answer, that a CPU trains faster.

    The gradient of such a kernel is one product of two tall matrices, the map and the gradient of the answer.
    TensorFlow's convolution for a CPU computes it more slowly than its product of matrices does: see
    docs/performance.md. At inference, where there is a GPU, and on other backends it is Keras's.

    Args:
        filters, **kwargs: Of `keras.layers.Conv2D`, channels last, with strides, dilation and groups of 1.

    Call arguments:
        inputs: `[B, H, W, C]`.

    Returns:
        `[B, H, W, filters]`.
    """

    def call(self, inputs, training=None):
        if not (training and self.trainable and is_tensorflow_on_a_cpu()):
            return super().call(inputs)
        x = _convolve(inputs, tf.convert_to_tensor(self.kernel))
        return self.activation(x + self.bias if self.use_bias else x)


def _convolve(x, kernel):
    """Convolution of `x` [B, H, W, C] with `kernel` [1, 1, C, D]."""

    def convolution(x, kernel):
        def gradients(upstream):
            by_input = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(x), 1)
            return by_input, _by_kernel(x, upstream)

        return tf.nn.conv2d(x, kernel, 1, "VALID"), gradients

    return tf.custom_gradient(convolution)(x, kernel)


def _by_kernel(x, upstream):
    channels, filters = x.shape[-1], upstream.shape[-1]
    x, upstream = tf.reshape(x, (-1, channels)), tf.reshape(upstream, (-1, filters))
    # The product is faster with the fewer rows.
    if channels <= filters:
        product = tf.matmul(x, upstream, transpose_a=True)
    else:
        product = tf.transpose(tf.matmul(upstream, x, transpose_a=True))
    return tf.reshape(product, (1, 1, channels, filters))
