"""What TensorFlow and the C library are told before they start: one place, and the user's word goes first."""

import ctypes
import os
import platform
import sys
from contextlib import contextmanager

from keras_seg.errors import InputError

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
ONEDNN_LIMIT = "ONEDNN_MAX_CPU_ISA"
FROZEN_WEIGHTS = "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"
# Purpose of a process -> variables that it sets where the user has not, see docs/measurements/speed.md
SETTINGS = {
    # By itself TensorFlow takes oneDNN only where there is AVX-512; it is faster with AVX2 too.
    "training": {ONEDNN: "1"},
    # oneDNN then brings weights into the order that suits the processor once, and not for every image.
    "inference": {ONEDNN: "1", FROZEN_WEIGHTS: "1"},
}
SWITCH = ("0", "1", "false", "true")
ONEDNN_LIMITS = (
    "SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI", "AVX512_CORE_BF16",
    "AVX512_CORE_FP16", "AVX512_CORE_AMX", "AVX512_CORE_AMX_FP16", "AVX10_1_512", "AVX10_1_512_AMX",
    "AVX10_1_512_AMX_FP16", "AVX10_2", "AVX10_2_512", "AVX10_2_512_AMX_2", "ALL", "DEFAULT",
)  # fmt: skip
_X86 = ("x86_64", "AMD64")
# Of glibc's malloc.h: memory that is freed stays with the process instead of going back to the system.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_KEEP_ALL = (1 << 31) - 1


def prepare(purpose=None):
    """Prepares this process for TensorFlow, unless that is imported already.

    Args:
        purpose: A key of `SETTINGS`, or None for neither.

    Raises:
        InputError: A variable of the environment has a value that would silently mean nothing.
    """
    check_environment()
    if "tensorflow" in sys.modules or platform.machine() not in _X86:
        return
    for name, value in SETTINGS.get(purpose, {}).items():
        os.environ.setdefault(name, value)
    if purpose:
        keep_memory()


def check_environment():
    """Checks the variables that TensorFlow and oneDNN would ignore where they are misspelled.

    Raises:
        InputError: One has a value that they do not know.
    """
    for name, known in ((ONEDNN, SWITCH), (FROZEN_WEIGHTS, SWITCH), (ONEDNN_LIMIT, ONEDNN_LIMITS)):
        value = os.environ.get(name)
        if value and value.lower() not in map(str.lower, known):
            raise InputError(f"{name} is {value}, and must be one of {', '.join(known)}; correct or unset it")


def refuse_frozen_weights():
    """Checks before a training that TensorFlow was not promised that weights never change.

    Raises:
        InputError: It was: the network would predict with its first weights for ever.
    """
    value = os.environ.get(FROZEN_WEIGHTS, "0")
    if value.lower() not in ("0", "false", ""):
        raise InputError(
            f"{FROZEN_WEIGHTS} is {value}, with which TensorFlow sees no weight change; unset it to train, "
            "and predict in another process"
        )


@contextmanager
def quiet_stderr():
    """Keeps what C++ code writes to standard error away from the reader while the block runs."""
    kept, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)


def keep_memory():
    """Keeps memory that is freed, where the C library is glibc.

    A network asks for the same blocks in every step. Given back to the system in between, each of their pages
    is found, cleared and mapped anew.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, _KEEP_ALL)
