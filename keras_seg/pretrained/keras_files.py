"""Readers of Keras's weight files: arrays by layer and variable name, and no model built."""

import json
import re
import zipfile

import h5py
import numpy as np

from keras_seg.errors import InputError

# Spellings of variable names that Keras has had: `block1_conv1_W_1:0`, `conv1_bn/moving_mean:0`, `kernel`.
_VARIABLES = {
    "W": "kernel",
    "b": "bias",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",
}
_SUFFIX = re.compile(r"(moving_mean|moving_variance|running_mean|running_std|[A-Za-z]+)(_\d+)?(:\d+)?$")


def read_h5(path):
    """Reads a Keras `.h5` file of the older layout, which `keras.applications` publishes.

    Args:
        path: Path of the file; a whole model's file will do.

    Returns:
        `{layer name: {variable name: array}}`, layers without weights left out.

    Raises:
        InputError: The file cannot be read or has another layout.
    """
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            names = _names(root, "layer_names")
            if not names:
                raise InputError(f"{path} is an HDF5 file without layer names: not a Keras weights file.")
            layers = {}
            for name in names:
                group = root[name]
                arrays = {_variable(key): np.asarray(group[key]) for key in _names(group, "weight_names")}
                if arrays:
                    layers[name] = arrays
            return layers
    except (OSError, KeyError, AttributeError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _names(group, attribute):
    """The strings of an attribute; Keras splits long ones over `attribute0`, `attribute1` ..."""
    parts = [attribute] if attribute in group.attrs else []
    while not parts or parts[0] != attribute:
        if f"{attribute}{len(parts)}" not in group.attrs:
            break
        parts.append(f"{attribute}{len(parts)}")
    values = [value for part in parts for value in group.attrs[part]]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _variable(key):
    match = _SUFFIX.search(key)
    name = match.group(1) if match else key
    return _VARIABLES.get(name, name)


def read_weights_h5(file, path, layers):
    """Reads a `.weights.h5` file of Keras 3, which gives layers names and their variables numbers.

    Args:
        file: Path or binary file.
        path: What errors call it.
        layers: The model's `{name: layer}`, whose order of variables the numbers follow.

    Returns:
        `{layer name: {variable name: array}}`.

    Raises:
        InputError: The file cannot be read or has another layout.
    """
    try:
        with h5py.File(file, "r") as root:
            if "layers" not in root:
                raise InputError(f"{path} has no layers: not a .weights.h5 file of Keras 3.")
            found = {}
            for group in root["layers"].values():
                arrays = [np.asarray(group["vars"][str(index)]) for index in range(len(group["vars"]))]
                name = str(group["vars"].attrs["name"])
                # A dropout layer's arrays are the state of its random numbers.
                if arrays and (name in layers or not group.keys() & {"seed_generator"}):
                    variables = [v.name for v in layers[name].weights] if name in layers else []
                    keys = [*variables, *map(str, range(len(arrays)))][: max(len(arrays), len(variables))]
                    found[name] = dict(zip(keys, arrays, strict=False))
            return found
    except (OSError, KeyError, AttributeError) as error:
        raise _unreadable(path, error) from error


def read_keras(path, layers):
    """Reads the weights of a `.keras` file.

    Args:
        path: Path of the file.
        layers: The model's `{name: layer}`.

    Returns:
        `({layer name: {variable name: array}}, preprocessing)`; the latter None if the model has none.

    Raises:
        InputError: The file cannot be read or holds no weights.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            with archive.open("model.weights.h5") as file:
                weights = read_weights_h5(file, path, layers)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise _unreadable(path, error) from error
    modes = [
        layer["config"].get("mode")
        for layer in config.get("config", {}).get("layers", [])
        if layer.get("class_name") == "Preprocessing"
    ]
    return weights, modes[0] if modes else None


def _unreadable(path, error):
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(f"{path} is not a readable Keras weights file ({reason}). Get it anew.")
