"""1 x 1 convolution, the gradient of its kernel as a matrix product."""

import keras

from keras_seg.layers.kernel_gradient import convolve
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
        x = convolve(inputs, tf.convert_to_tensor(self.kernel))
        return self.activation(x + self.bias if self.use_bias else x)
