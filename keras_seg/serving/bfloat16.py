"""A network that computes in bfloat16, for processors with AMX or AVX-512 for it."""

import keras

_NARROW = 8  # Channels


def in_bfloat16(model):
    """Rebuilds a network with bfloat16 weights and arithmetic between its first and its last layers.

    What has the channels of an image or of the classes stays float32: the preprocessing, since no bit of a
    pixel may be lost there, and the scores, since bfloat16 has 8 bits to tell two classes apart. oneDNN's
    bfloat16 kernels also corrupted memory where 4096 channels became few (docs/training.md). Normalizations
    keep float32 statistics.

    Args:
        model: `keras.Model` to logits.

    Returns:
        `keras.Model` with the same layers and rounded weights, to float32 logits.
    """
    output = model.output
    num_classes = (output["out"] if isinstance(output, dict) else output).shape[-1]

    def copy(layer):
        config = layer.get_config()
        if "dtype" in config:
            config["dtype"] = _dtype(layer, num_classes)
        return layer.__class__.from_config(config)

    network = keras.models.clone_model(model, clone_function=copy)
    network.set_weights(model.get_weights())
    return network


def _dtype(layer, num_classes):
    # Some pools give the places of the maxima too.
    output = layer.output[0] if isinstance(layer.output, (list, tuple)) else layer.output
    channels = output.shape[-1]
    if channels == num_classes or channels < _NARROW:
        return "float32"
    if isinstance(layer, keras.layers.BatchNormalization):
        return "mixed_bfloat16"
    return "bfloat16"
