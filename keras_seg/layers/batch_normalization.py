"""Batch normalization in one operation: Ioffe and Szegedy, 2015 (arXiv:1502.03167)."""

import keras

if keras.config.backend() == "tensorflow":
    # Keras has a dozen operations for it there, each of which reads and writes the whole map.
    import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_seg")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """`BatchNormalization` with the same weights, statistics and answers, by TensorFlow's fused operation.

    In training it passes over a map a few times instead of a dozen, and at inference it becomes a part of the
    convolution before it: see docs/performance.md. On other backends, over several devices and in lower
    precision it is Keras's.

    Args:
        **kwargs: Of `keras.layers.BatchNormalization`; the last axis is normalized.

    Call arguments:
        inputs: `[B, H, W, C]`.

    Returns:
        `[B, H, W, C]`.
    """

    def call(self, inputs, training=None, mask=None):
        if not self._can_be_fused(inputs, mask):
            return super().call(inputs, training=training, mask=mask)
        is_training = bool(training and self.trainable)
        statistics = ([], []) if is_training else (self.moving_mean, self.moving_variance)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma,
            offset=self.beta,
            mean=statistics[0],
            variance=statistics[1],
            epsilon=self.epsilon,
            is_training=is_training,
        )
        if is_training:
            # The operation gives the estimate for all images, Keras keeps the variance of the batch.
            count = tf.cast(tf.size(inputs) // inputs.shape[3], "float32")
            variance = variance * tf.maximum(count - 1, 1) / count
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return outputs

    def _can_be_fused(self, inputs, mask):
        return (
            keras.config.backend() == "tensorflow"
            and self.compute_dtype == inputs.dtype == "float32"
            and len(inputs.shape) == 4
            and mask is None
            and self.scale
            and self.center
            and not self.synchronized
        )
