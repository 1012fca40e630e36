"""Whole models that this package saved, as `.keras` files."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np

import keras_seg.layers  # noqa: F401  (registers those that a file names)
from keras_seg import registry
from keras_seg.errors import InputError
from keras_seg.hints import PathLike
from keras_seg.initial_weights import as_tensor, initializers, without_initial_weights
from keras_seg.pretrained.keras_files import read_weights_h5
from keras_seg.weights_files import check_sums, open_keras, open_zip, reading


def load_model(path: PathLike, way_out: str = "save it again") -> keras.Model:
    """Loads a network from a `.keras` file of this package, ready to predict or to learn on.

    As `keras.saving.load_model`, in a third of the time for FCN's 134 million weights: it draws no first
    ones, and unpacks none.

    Args:
        path: The file.
        way_out: What an error tells the reader to do.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        InputError: The file is missing or cannot be read, or holds no functional network or not its weights.
    """
    path = Path(path)
    registry.networks()  # Which imports the packages whose layers a file may name.
    with reading(path, way_out), ThreadPoolExecutor(1) as pool, open_keras(path) as (config, weights):
        checked = pool.submit(_check_sums, path)  # Half a second, while the network is built.
        model = keras.saving.deserialize_keras_object(without_initial_weights(config))
        for entry in config["config"]["layers"]:
            layer = model.get_layer(entry["name"])
            for name, value in initializers(entry["config"]).items():
                setattr(layer, name, keras.initializers.get(value))
        checked.result()
        _fill(model, read_weights_h5(weights, path, {layer.name: layer for layer in model.layers}), path)
    return model


def _check_sums(path):
    with open_zip(path) as archive:
        check_sums(archive)


def _fill(model, arrays, path):
    """Gives every weight its array, once all are known to be there; they are read one by one."""
    pairs = []
    for layer in model.layers:
        for weight in layer.weights:
            array = arrays.get(layer.name, {}).get(weight.name)
            if array is None or tuple(array.shape) != tuple(weight.shape):
                found = "none" if array is None else list(array.shape)
                raise InputError(
                    f"{path}: its network has {weight.path} {list(weight.shape)}, its weights {found}; get "
                    "it anew"
                )
            pairs.append((weight, array))
    for weight, array in pairs:
        weight.assign(as_tensor(np.asarray(array)))
