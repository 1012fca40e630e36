"""PyTorch's device: a GPU where there is one."""

import torch

from benchmarks.harness.workers import MIB

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def on_device(step):
    """Lets a step say the most memory that it took of the GPU, if there is one."""
    if DEVICE == "cuda":
        step.peak_mib = lambda: torch.cuda.max_memory_allocated() / MIB
    return step
