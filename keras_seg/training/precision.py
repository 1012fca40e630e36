"""The precision of the arithmetic: what the hardware gains from, and what must not be asked of it."""

from pathlib import Path
from typing import NamedTuple

import keras
import tensorflow as tf

from keras_seg.encoders.pyramid import ENCODER_LAYER
from keras_seg.errors import InputError

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
# Compute capability from which a GPU multiplies bfloat16 and float16 matrices in tensor cores (NVIDIA).
BFLOAT16_CAPABILITY, FLOAT16_CAPABILITY = (8, 0), (7, 0)
CPU_INFO = Path("/proc/cpuinfo")
CPU_BFLOAT16 = ("amx_bf16", "avx512_bf16")


class Hardware(NamedTuple):
    """What decides on the precision.

    Attributes:
        capabilities: Compute capability of each GPU, None where it is not known.
        cpu_flags: Of `CPU_BFLOAT16`, those that the processor has.
    """

    capabilities: tuple
    cpu_flags: tuple


def find_hardware():
    """Returns this machine's `Hardware`."""
    gpus = tf.config.list_physical_devices("GPU")
    details = (tf.config.experimental.get_device_details(gpu) for gpu in gpus)
    try:
        words = set(CPU_INFO.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        words = set()
    return Hardware(
        tuple(detail.get("compute_capability") for detail in details),
        tuple(flag for flag in CPU_BFLOAT16 if flag in words),
    )


def choose_precision(setting, hardware, is_distributed=False):
    """Decides on the precision of a training.

    Args:
        setting: Of `PRECISIONS`.
        hardware: A `Hardware`.
        is_distributed: Whether several devices train together, which Keras's loss scaling does not follow: it
            looks for overflows on each replica by itself.

    Returns:
        `(precision, reason)`: a Keras dtype policy's name, and a line for the reader or None.

    Raises:
        InputError: float16 on a CPU, which only loses, or on several devices.
    """
    if is_distributed and setting == "mixed_float16":
        raise InputError(
            "--precision mixed_float16 and --distribute exclude each other; take mixed_bfloat16, "
            "float32 or auto"
        )
    if hardware.capabilities:
        capability = min(capability or (0, 0) for capability in hardware.capabilities)
        precision, line = _for_gpus(setting, capability)
        if is_distributed and precision == "mixed_float16":
            return "float32", "precision float32: mixed_float16 does not go with --distribute"
        return precision, line
    flags = " and ".join(hardware.cpu_flags)
    if setting == "mixed_float16":
        raise InputError(
            "--precision mixed_float16: there is no GPU, and a CPU only loses by it; take float32 or auto"
        )
    if setting == "mixed_bfloat16":
        kept = "layers outside of the encoder stay float32"
        if not flags:
            kept += ", and this CPU has neither AMX nor AVX-512 for bfloat16: float32 is faster"
        return setting, f"precision mixed_bfloat16 on the CPU: {kept}"
    if setting == "auto":
        reason = "there is no GPU"
        if flags:
            reason += f"; this CPU has {flags}, which --precision mixed_bfloat16 uses"
        return "float32", f"precision float32: {reason}"
    return setting, None


def _for_gpus(setting, capability):
    name = f"compute capability {capability[0]}.{capability[1]}"
    if setting == "auto":
        if capability >= BFLOAT16_CAPABILITY:
            return "mixed_bfloat16", f"precision mixed_bfloat16: the GPU has {name}"
        if capability >= FLOAT16_CAPABILITY:
            return "mixed_float16", f"precision mixed_float16 with loss scaling: the GPU has {name}"
        return "float32", f"precision float32: the GPU has {name}, below 7.0"
    least = {"mixed_bfloat16": BFLOAT16_CAPABILITY, "mixed_float16": FLOAT16_CAPABILITY}.get(setting, (0, 0))
    if capability < least:
        return setting, f"precision {setting}: the GPU has {name}, which gains nothing; float32 is safer"
    return setting, None


def keep_heads_in_float32(model):
    """Rebuilds a network so that only its encoder computes in the precision of the dtype policy.

    On CPUs with AMX, oneDNN's bfloat16 kernels of TensorFlow 2.21 corrupted memory when FCN-8s was trained
    with four classes, and not when its last layers were narrow or its classes many: the fault lies between
    the 4096 channels of fc7 and the few of the scores. So on a CPU no such layer runs in bfloat16.

    Args:
        model: A network of `build_model`; its weights are not taken over.

    Returns:
        A `keras.Model` with fresh weights.
    """

    def copy(layer):
        config = layer.get_config()
        if not ENCODER_LAYER.match(layer.name):
            config["dtype"] = "float32"
        return layer.__class__.from_config(config)

    return keras.models.clone_model(model, clone_function=copy)
