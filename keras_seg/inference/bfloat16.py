"""A network that computes in bfloat16, for processors with AMX or AVX-512 for it."""

import keras

from keras_seg.acceleration import fold_batch_normalization
from keras_seg.hardware import check_bfloat16
from keras_seg.initial_weights import without_initial_weights
from keras_seg.layers.few_channels import has_few_channels
from keras_seg.logits import num_logits


def in_bfloat16(model):
    """Rebuilds a network with bfloat16 weights and arithmetic between its first and its last layers.

    What has the channels of an image or of the classes stays float32: the preprocessing and the scores.
    oneDNN's bfloat16 kernels corrupted memory where 4096 channels became few, docs/reference/training.md.
    Batch normalizations are folded into what stands before them, or keep float32 statistics.

    Args:
        model: `keras.Model` to logits.

    Returns:
        `keras.Model` with the same layers and rounded weights, to float32 logits.

    Raises:
        InputError: As `check_bfloat16`.
    """
    check_bfloat16()
    classes = num_logits(model)

    def copy(layer):
        config = layer.get_config()
        if "dtype" in config:
            config["dtype"] = _dtype(layer, classes)
        return layer.__class__.from_config(without_initial_weights(config))

    folded = fold_batch_normalization(model)
    network = keras.models.clone_model(folded, clone_function=copy)
    for weight, original in zip(network.weights, folded.weights, strict=True):
        weight.assign(original)  # One by one: all at once would be held a second time.
    return network


def _dtype(layer, classes):
    if has_few_channels(layer, classes):
        return "float32"
    if isinstance(layer, keras.layers.BatchNormalization):
        return "mixed_bfloat16"
    return "bfloat16"
