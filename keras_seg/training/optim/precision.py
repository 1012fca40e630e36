"""The precision of the arithmetic: what the hardware gains from, and what must not be asked of it."""

import re

import keras

from keras_seg.errors import InputError
from keras_seg.hardware import BFLOAT16_CAPABILITY, check_bfloat16, describe_gpu
from keras_seg.layers.few_channels import has_few_channels
from keras_seg.logits import num_logits

_FC = re.compile(r"fc[67]")  # With their ReLUs and dropouts.
FLOAT16_CAPABILITY = (7, 0)  # Compute capability from which an NVIDIA GPU has float16 in tensor cores.


def choose_precision(setting, hardware, is_distributed=False):
    """Decides on the precision of a training.

    Args:
        setting: The setting `precision`.
        hardware: A `Hardware`.
        is_distributed: Whether several devices train together, which Keras's loss scaling does not follow: it
            looks for overflows on each replica by itself.

    Returns:
        `(precision, reason)`: a Keras dtype policy's name, and a line for the reader or None.

    Raises:
        InputError: float16 on a CPU, which only loses, or on several devices; bfloat16 as `check_bfloat16`.
    """
    if is_distributed and setting == "mixed_float16":
        raise InputError(
            "--precision mixed_float16 and --distribute exclude each other; take mixed_bfloat16, "
            "float32 or auto"
        )
    if hardware.capabilities:
        precision, line = _for_gpus(setting, hardware.capability)
        if is_distributed and precision == "mixed_float16":
            return "float32", "precision float32: mixed_float16 does not go with --distribute"
        return precision, line
    if setting == "mixed_float16":
        raise InputError(
            "--precision mixed_float16: there is no GPU, and a CPU only loses by it; take float32 or auto"
        )
    if setting == "mixed_bfloat16":
        check_bfloat16()
        kept = "fc6, fc7 and the scores stay float32"
        if not hardware.bfloat16:
            kept += ", and this CPU has neither AMX nor AVX-512 for bfloat16: float32 is faster"
        return setting, f"precision mixed_bfloat16 on the CPU: {kept}"
    if setting == "auto":
        reason = "there is no GPU"
        if hardware.bfloat16:
            reason += f"; {hardware.bfloat16}, which --precision mixed_bfloat16 uses"
        return "float32", f"precision float32: {reason}"
    return setting, None


def _for_gpus(setting, capability):
    gpu = describe_gpu(capability)
    if setting == "auto":
        if capability >= BFLOAT16_CAPABILITY:
            return "mixed_bfloat16", f"precision mixed_bfloat16: {gpu}"
        if capability >= FLOAT16_CAPABILITY:
            return "mixed_float16", f"precision mixed_float16 with loss scaling: {gpu}"
        return "float32", f"precision float32: {gpu}, below 7.0"
    least = {"mixed_bfloat16": BFLOAT16_CAPABILITY, "mixed_float16": FLOAT16_CAPABILITY}.get(setting, (0, 0))
    if capability < least:
        return setting, f"precision {setting}: {gpu}, which gains nothing; float32 is safer"
    return setting, None


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
