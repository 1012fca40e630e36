"""Batch normalization in one operation: Ioffe and Szegedy, 2015 (arXiv:1502.03167)."""

import tensorflow as tf
from keras import layers

from keras_seg.acceleration.replacement import Replacement


class FusedBatchNormalization(Replacement):
    """`BatchNormalization` whose statistics and outputs TensorFlow computes in one operation while training.

    It passes over a map a few times; Keras has a dozen operations for it there, each of which reads and
    writes the whole map.
    """

    def call(self, inputs, training=None):
        layer = self.layer
        if not (training and layer.trainable):
            return layer(inputs, training=training)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.cast(layer.gamma, "float32"),
            offset=tf.cast(layer.beta, "float32"),
            mean=[],
            variance=[],
            epsilon=layer.epsilon,
            is_training=True,
        )
        # The operation gives the estimate for all images, Keras keeps the variance of the batch.
        count = tf.cast(tf.size(inputs) // inputs.shape[3], "float32")
        variance = variance * tf.maximum(count - 1, 1) / count
        for moving, batch in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            moving.assign(moving * layer.momentum + batch * (1 - layer.momentum))
        return outputs


def fused(layer, inputs, network):
    """Replaces a batch normalization over the channels of a map."""
    is_usual = type(layer) is layers.BatchNormalization and layer.scale and layer.center
    if is_usual and not layer.synchronized and len(inputs.shape) == 4 and layer.axis in (-1, 3):
        return FusedBatchNormalization(layer)(inputs)
    return None
