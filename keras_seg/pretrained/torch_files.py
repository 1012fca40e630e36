"""Readers of PyTorch state dicts: `.safetensors` always, `.pth` where PyTorch is installed."""

import importlib.util
import pickle

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from keras_seg.errors import InputError


def torch_is_installed():
    """Whether `.pth` files can be read here."""
    return importlib.util.find_spec("torch") is not None


def read_safetensors(path):
    """Reads a `.safetensors` file as `{key: array}`.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is not a readable .safetensors file of NumPy's types ({_first_line(error)})."
        ) from error


def read_pth(path):
    """Reads a `.pth` file, a state dict or a checkpoint that holds one, as `{key: array}`.

    Raises:
        InputError: PyTorch is not installed, or the file cannot be read.
    """
    if not torch_is_installed():
        raise InputError(
            f"{path} needs PyTorch to be read: pip install torch, or save the state dict as .safetensors."
        )
    import torch  # Heavy, and needed for this format alone.

    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise InputError(f"{path} is not a readable PyTorch state dict ({_first_line(error)}).") from error
    for key in ("state_dict", "model"):
        if isinstance(tensors, dict) and isinstance(tensors.get(key), dict):
            tensors = tensors[key]
    if not isinstance(tensors, dict) or not all(isinstance(t, torch.Tensor) for t in tensors.values()):
        raise InputError(f"{path} holds no state dict: save model.state_dict() to it.")
    return {key: np.asarray(tensor.float().numpy()) for key, tensor in tensors.items()}


def _first_line(error):
    return (str(error) or type(error).__name__).splitlines()[0]
