"""Convolution that learns by products of matrices."""

import keras

if keras.config.backend() == "tensorflow":
    import tensorflow as tf


def convolve(x, kernel, rates=(1, 1)):
    """Convolution at stride 1 with zeros around the map, the gradient of its kernel as products of matrices.

    The gradient of one tap is the product of two tall matrices: what the tap saw of the map, and the gradient
    of the answers that it was part of. A tap that lies farther from the center than the map is large sees
    nothing, and of wide dilations most taps see little.

    Args:
        x: The map, a TensorFlow tensor `[B, H, W, C]`.
        kernel: `[rows, columns, C, D]`, rows and columns odd.
        rates: Pixels from one tap to the next, down and across.

    Returns:
        `[B, H, W, D]`.
    """

    def convolution(x, kernel):
        def gradients(upstream):
            by_input = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(x), 1, "SAME", dilations=rates)
            return by_input, _by_kernel(x, upstream, kernel.shape, rates)

        return tf.nn.conv2d(x, kernel, 1, "SAME", dilations=rates), gradients

    return tf.custom_gradient(convolution)(x, kernel)


def _by_kernel(x, upstream, shape, rates):
    rows, columns = shape[:2]
    taps = []
    for row in range(rows):
        down = (row - rows // 2) * rates[0]
        for column in range(columns):
            right = (column - columns // 2) * rates[1]
            seen = shifted(shifted(x, down, axis=1), right, axis=2)
            asked = shifted(shifted(upstream, -down, axis=1), -right, axis=2)
            taps.append(_product(seen, asked))
    return tf.reshape(tf.stack(taps), shape)


def _product(x, upstream):
    """The gradient [C, D] of one tap, of x [..., C] and upstream [..., D]."""
    channels, filters = x.shape[-1], upstream.shape[-1]
    x, upstream = tf.reshape(x, (-1, channels)), tf.reshape(upstream, (-1, filters))
    # The product is faster with the fewer rows.
    if channels <= filters:
        return tf.matmul(x, upstream, transpose_a=True)
    return tf.transpose(tf.matmul(upstream, x, transpose_a=True))


def shifted(x, steps, axis):
    """What lies `steps` pixels onwards along an axis, as far as the map reaches."""
    part = slice(steps, None) if steps >= 0 else slice(None, steps)
    return x[(slice(None),) * axis + (part,)]
