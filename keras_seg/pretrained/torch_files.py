"""Readers of PyTorch state dicts: `.safetensors` always, `.pth` where PyTorch is installed."""

import importlib.util

import numpy as np
from safetensors import safe_open

from keras_seg.errors import InputError
from keras_seg.pretrained.lazy import LazyArray

# safetensors' names of NumPy's types.
_TYPES = {"F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1"}
_TYPES |= {"U8": "u1", "BOOL": "?"}


def torch_is_installed():
    """Whether `.pth` files can be read here."""
    return importlib.util.find_spec("torch") is not None


def read_safetensors(path):
    """Reads a `.safetensors` file as `{key: LazyArray}`.

    Raises:
        ValueError: A tensor is of a type that NumPy has not.
    """
    file = safe_open(path, framework="numpy")
    return {key: _tensor(file, key) for key in file.keys()}  # noqa: SIM118  (no Mapping)


def _tensor(file, key):
    described = file.get_slice(key)
    kind = described.get_dtype()
    if kind not in _TYPES:
        raise ValueError(f"its {key!r} is of type {kind}; save it as float32")
    return LazyArray.of(described.get_shape(), _TYPES[kind], lambda: file.get_tensor(key))


def read_pth(path):
    """Reads a `.pth` file, a state dict or a checkpoint that holds one, as `{key: array}`.

    Raises:
        InputError: PyTorch is not installed, or the file holds no state dict.
    """
    if not torch_is_installed():
        raise InputError(
            f"{path} needs PyTorch to be read: pip install torch, or save the state dict as .safetensors."
        )
    import torch  # Heavy, and needed for this format alone.

    tensors = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model"):
        if isinstance(tensors, dict) and isinstance(tensors.get(key), dict):
            tensors = tensors[key]
    if not isinstance(tensors, dict) or not all(isinstance(t, torch.Tensor) for t in tensors.values()):
        raise InputError(f"{path} holds no state dict: save model.state_dict() to it.")
    return {key: np.asarray(tensor.float().numpy()) for key, tensor in tensors.items()}
