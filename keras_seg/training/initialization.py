"""How a network starts that has no pretrained weights."""

import keras

# Mean-subtracted pixels of photographs deviate by about that much.
PIXEL_DEVIATION = 64.0


def scale_first_convolution(model):
    """Divides the kernel of the first convolution by the deviation of its input.

    He initialization keeps the variance of its input. Pixels in 0..255, as the Caffe networks take them,
    would make every map of the network sixty times as large as in the other networks, and with it the
    first updates of the logits, for which one learning rate is to serve.

    Args:
        model: A network of `build_model` with fresh weights; changed in place.
    """
    if model.get_layer("preprocessing").mode == "torch":
        return  # Unit variance already.
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    first.kernel.assign(first.kernel / PIXEL_DEVIATION)
