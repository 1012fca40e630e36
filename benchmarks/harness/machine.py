"""What the machine can do: matrix products and memory copies, and what it is called."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

import numpy as np

from benchmarks.harness.workers import Contender

LIMITS = (
    Contender("matrix product, float32", f"{__name__}:matrix_product", {}),
    Contender("matrix product, bfloat16", f"{__name__}:matrix_product", {"dtype": "bfloat16"}),
    Contender("copy of memory", f"{__name__}:memory_copy", {}),
)
SIDE = 2048  # Of the square matrices: large enough for any cache not to hold them twice.
COPIED = 256 << 20  # Bytes, beyond any cache.
# Variables that decide which kernels are taken.
KERNELS = (
    "TF_ENABLE_ONEDNN_OPTS",
    "ONEDNN_MAX_CPU_ISA",
    "ATEN_CPU_CAPABILITY",
    "MKL_ENABLE_INSTRUCTIONS",
    "OMP_NUM_THREADS",
)
PACKAGES = ("tensorflow", "keras", "numpy", "opencv-python", "torch", "torchvision", "onnxruntime", "jax")


def matrix_product(dtype="float32"):
    """A product of two square matrices: what a convolution could reach at best.

    Args:
        dtype: `"float32"` or `"bfloat16"`.

    Returns:
        `(step, facts)` for a contender; the facts are its floating-point operations.
    """
    import tensorflow as tf  # Not to describe a machine that has it not.

    matrices = [tf.cast(tf.random.normal((SIDE, SIDE), seed=seed), dtype) for seed in range(2)]
    product = tf.function(tf.matmul)

    def step():
        float(product(*matrices)[0, 0])  # Waits for an accelerator.

    return step, {"operations": 2 * SIDE**3}


def memory_copy():
    """A copy of memory to memory on the host.

    Returns:
        `(step, facts)` for a contender; the facts are the bytes read and written.
    """
    source = np.ones(COPIED, np.uint8)
    target = np.zeros_like(source)
    return lambda: np.copyto(target, source), {"bytes": 2 * COPIED}


def describe_machine(accelerators=()):
    """Returns a dict: processor, cores, accelerators, versions of what is measured, what is set of `KERNELS`.

    Args:
        accelerators: Names of the devices that are measured, where it is not the processor.
    """
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "accelerators": list(accelerators),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "environment": {name: os.environ[name] for name in KERNELS if name in os.environ},
    }


def _processor():
    """The processor's name and those of its instruction sets that matter here."""
    path = Path("/proc/cpuinfo")
    if sys.platform != "linux" or not path.exists():
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    flags = set(fields.get("flags", "").split())
    named = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return ", ".join([fields.get("model name", platform.machine()), *named])


def _version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
