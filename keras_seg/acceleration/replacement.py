"""Base class of the layers that replace others at run time."""

import keras


class Replacement(keras.layers.Layer):
    """Base of layers that compute the output of another layer, from its weights, in another way.

    It is never saved, so it has no configuration.

    Args:
        layer: The built layer that it stands in for.
    """

    def __init__(self, layer):
        super().__init__(name=layer.name, dtype=layer.dtype_policy)
        self.layer = layer

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def finish(self, x):
        """Adds the convolution's bias to `x` and applies its activation."""
        if self.layer.use_bias:
            x = keras.ops.add(x, self.layer.bias)
        return self.layer.activation(x)
