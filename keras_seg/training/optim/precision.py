"""What stays float32 in a network that trains in bfloat16 on a CPU."""

import re

import keras

from keras_seg.layers.few_channels import has_few_channels
from keras_seg.logits import num_logits

_FC = re.compile(r"fc[67]")  # With their ReLUs and dropouts.


def keep_scores_in_float32(model):
    """Rebuilds a network so that fc6, fc7 and the scores stay float32 whatever the dtype policy.

    On CPUs with AMX, oneDNN's bfloat16 kernels of TensorFlow 2.21 corrupted memory when FCN-8s was trained
    with four classes, and not when its last layers were narrow or its classes many: the fault lies between
    the 4096 channels of fc7 and the few of the scores. So on a CPU no such layer runs in bfloat16.

    Args:
        model: A network of `build_model`; its weights are not taken over.

    Returns:
        A `keras.Model` with fresh weights.
    """
    classes = num_logits(model)

    def copy(layer):
        config = layer.get_config()
        if _FC.match(layer.name) or has_few_channels(layer, classes):
            config["dtype"] = "float32"
        return layer.__class__.from_config(config)

    return keras.models.clone_model(model, clone_function=copy)
