"""The hardware that decides on the precision."""

import os
from pathlib import Path
from typing import NamedTuple

from keras_seg.errors import InputError
from keras_seg.process import ONEDNN_LIMIT

CPU_INFO = Path("/proc/cpuinfo")
CPU_BFLOAT16 = ("amx_bf16", "avx512_bf16")
# Values of the environment's limit on oneDNN's instructions that leave it no bfloat16.
LIMITS_WITHOUT_BFLOAT16 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI")
BFLOAT16_CAPABILITY = (8, 0)  # Compute capability from which an NVIDIA GPU has bfloat16 in tensor cores.


class Hardware(NamedTuple):
    """Facts about the hardware that decide on the precision.

    Attributes:
        capabilities: Compute capability of each GPU, None where it is not known.
        cpu_flags: Of `CPU_BFLOAT16`, those that the processor has.
    """

    capabilities: tuple
    cpu_flags: tuple

    @property
    def capability(self):
        """The lowest of the GPUs; None where there is no GPU."""
        return min((capability or (0, 0) for capability in self.capabilities), default=None)

    @property
    def bfloat16(self):
        """What has instructions for bfloat16, in words; None where nothing does."""
        if self.capabilities:
            return describe_gpu(self.capability) if self.capability >= BFLOAT16_CAPABILITY else None
        return f"this CPU has {' and '.join(self.cpu_flags)}" if self.cpu_flags else None


def describe_gpu(capability):
    """What a compute capability is called in a line for the reader."""
    return f"the GPU has compute capability {capability[0]}.{capability[1]}"


def find_hardware():
    """Returns this machine's `Hardware`."""
    import tensorflow as tf  # Where Keras runs on another backend, nobody asks.

    gpus = tf.config.list_physical_devices("GPU")
    details = (tf.config.experimental.get_device_details(gpu) for gpu in gpus)
    words = () if _is_limited() else _cpu_words()
    return Hardware(
        tuple(detail.get("compute_capability") for detail in details),
        tuple(flag for flag in CPU_BFLOAT16 if flag in words),
    )


def check_bfloat16():
    """Checks that computing in bfloat16 does not end the process.

    Raises:
        InputError: The environment keeps oneDNN from what the processor has. TensorFlow looks at the
            processor, asks oneDNN for a kernel that it does not have, and aborts.
    """
    if _is_limited() and "avx512f" in _cpu_words():
        raise InputError(
            f"{ONEDNN_LIMIT} is {os.environ[ONEDNN_LIMIT]}, which leaves oneDNN no bfloat16 on this CPU; "
            "unset it, or take float32"
        )


def has_avx2_alone():
    """Whether kernels find AVX2 on this CPU, and no AVX-512."""
    words = _cpu_words()
    return "avx2" in words and (_is_limited() or "avx512f" not in words)


def _is_limited():
    return os.environ.get(ONEDNN_LIMIT, "").upper() in LIMITS_WITHOUT_BFLOAT16


def _cpu_words():
    try:
        return set(CPU_INFO.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return set()
