"""Readers of Keras's weight files: arrays by layer and variable name, and no model built."""

import re

from keras_seg.errors import InputError
from keras_seg.initial_weights import aligned_array
from keras_seg.layers.preprocessing import saved_mode
from keras_seg.pretrained.lazy import LazyArray

# Spellings of variable names that Keras has had: `block1_conv1_W_1:0`, `conv1_bn/moving_mean:0`, `kernel`.
_VARIABLES = {
    "W": "kernel",
    "b": "bias",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",
}
_SUFFIX = re.compile(r"(moving_mean|moving_variance|running_mean|running_std|[A-Za-z]+)(_\d+)?(:\d+)?$")


def read_h5(root, path):
    """Reads a Keras `.h5` file of the older layout, which `keras.applications` publishes.

    Args:
        root: Its `h5py.File`; a whole model's file will do.
        path: What errors call it.

    Returns:
        `{layer name: {variable name: LazyArray}}`, layers without weights left out.

    Raises:
        InputError: The file has another layout.
    """
    root = root.get("model_weights", root)
    names = _names(root, "layer_names")
    if not names:
        raise InputError(f"{path} is an HDF5 file without layer names: not a Keras weights file.")
    layers = {}
    for name in names:
        group = root[name]
        arrays = {_variable(key): _array(group[key]) for key in _names(group, "weight_names")}
        if arrays:
            layers[name] = arrays
    return layers


def _array(dataset):
    return LazyArray.of(dataset.shape, dataset.dtype, lambda: _read(dataset))


def _read(dataset):
    array = aligned_array(dataset.shape, dataset.dtype)
    if array.size:
        dataset.read_direct(array)
    return array


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


def read_weights_h5(root, path, layers):
    """Reads a `.weights.h5` file of Keras 3, which gives layers names and their variables numbers.

    Args:
        root: Its `h5py.File`, or that in a `.keras` file.
        path: What errors call it.
        layers: The model's `{name: layer}`, whose order of variables the numbers follow.

    Returns:
        `{layer name: {variable name: LazyArray}}`.

    Raises:
        InputError: The file has another layout.
    """
    if "layers" not in root:
        raise InputError(f"{path} has no layers: not a .weights.h5 file of Keras 3.")
    found = {}
    for group in root["layers"].values():
        numbers = [key for key in group["vars"] if key.isdecimal()]
        arrays = [_array(group["vars"][str(index)]) for index in range(len(numbers))]
        name = str(group["vars"].attrs["name"])
        # A dropout layer's arrays are the state of its random numbers.
        if arrays and (name in layers or not group.keys() & {"seed_generator"}):
            variables = [v.name for v in layers[name].weights] if name in layers else []
            keys = [*variables, *map(str, range(len(arrays)))][: max(len(arrays), len(variables))]
            found[name] = dict(zip(keys, arrays, strict=False))
    return found


def saved_preprocessing(root):
    """The mode of the preprocessing layer in a `.weights.h5` file; None if it does not say it."""
    return next(filter(None, (saved_mode(group["vars"]) for group in root["layers"].values())), None)


def preprocessing_of(config):
    """The mode of the preprocessing layer in a whole model's configuration; None if there is none."""
    return preprocessing_config(config).get("mode")


def preprocessing_config(config):
    """The configuration of that layer, empty if there is none."""
    for layer in config.get("config", {}).get("layers", []):
        # Whole models of `.h5` files name the package too.
        if layer.get("class_name") in ("Preprocessing", "keras_seg>Preprocessing"):
            return layer["config"]
    return {}
