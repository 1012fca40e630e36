"""`python -m tests.applications [ENCODER ...]`: encoders against Keras's own networks, at full width.

Each network of `keras.applications` gets random weights and is written in the layout of the file that Keras
publishes. Ours loads the file by its name. Compared are what both prepare of the same pixels, Keras's network
by its own preprocessing, and the last map of that. Exit status 1 if one differs by more than 1e-5 of its
largest value.
"""

import argparse
import importlib
import os
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's remarks would stand between the rows.

import keras
import numpy as np
from keras import layers

from keras_seg.layers import Preprocessing
from keras_seg.layers.preprocessing import PREPROCESSINGS
from keras_seg.pretrained import load_weights, published
from keras_seg.registry import encoders
from tests.models.helpers import free
from tests.pretrained.test_classifiers import write_published

LIMIT = 1e-5
PREPARING = (layers.InputLayer, layers.Rescaling, layers.Normalization)
SIZE = (96, 128)  # Multiples of 32, at which Keras pads as we do.
RENAMED = {
    "vgg16": "VGG16",
    "resnet50_keras": "ResNet50",
    "resnet101_keras": "ResNet101",
    "resnet152_keras": "ResNet152",
}
# Modules of `keras.applications` whose network leaves its preprocessing to the caller.
MODULES = {
    "VGG16": "vgg16",
    "ResNet": "resnet",
    "MobileNetV2": "mobilenet_v2",
    "DenseNet": "densenet",
    "Xception": "xception",
}


def applications():
    """Returns `{encoder: name in keras.applications}` of all that Keras publishes."""
    rows = [row for row in encoders().values() if published_file(row)]
    names = {row.name: RENAMED.get(row.name, row.title) for row in rows}
    return {name: model for name, model in names.items() if hasattr(keras.applications, model)}


def published_file(row):
    """Returns Keras's file of an encoder without the classifier; None where Keras publishes none."""
    files = (file for file in row.weights if file.url.endswith("notop.h5") or "no_top" in file.url)
    return next(files, None)


def reference(model, images):
    """Keras's network without its classifier, with random weights.

    Moving statistics are those of the maps, as in a trained network: with others the maps of a deep network
    grow from block to block, and it makes something else of pixels that differ in their last digit.
    """
    network = getattr(keras.applications, model)(include_top=False, weights=None, input_shape=(*SIZE, 3))
    chance = np.random.default_rng(3)
    for layer in _flat(network):
        for variable in layer.weights:
            if variable.name in ("gamma", "moving_variance") or "scale" in layer.name:
                variable.assign(chance.uniform(0.5, 1.5, variable.shape))
            elif len(variable.shape) == 1:
                variable.assign(chance.normal(0, 0.1, variable.shape))
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    set_normalization(network, is_file=False)
    network(preprocessed(model, images), training=True)
    return network


def set_normalization(network, is_file):
    """Sets what EfficientNet normalizes by, whose file has the deviation where the variance is.

    Keras mends that where it loads its own download.
    """
    _, _, mean, deviation = map(np.array, PREPROCESSINGS["torch"])
    for layer in network.layers:
        if isinstance(layer, layers.Normalization) and layer.weights:
            layer.set_weights([mean, deviation if is_file else deviation**2, np.array(0)])
            layer.finalize_state()


def preprocessed(model, images):
    """What a network of `keras.applications` takes for RGB in 0..255."""
    for start, module in MODULES.items():
        if model.startswith(start):
            return importlib.import_module(f"keras.applications.{module}").preprocess_input(images.copy())
    return images


def write(network, path):
    """Writes its weights in the layout of Keras's published files."""
    weights = {
        layer.name: {variable.name: np.asarray(variable) for variable in layer.weights}
        for layer in network.layers
        if layer.weights
    }
    write_published(path, weights, "kernel")


def in_two(network):
    """Returns what a network makes of its input before the first convolution, and the rest of it."""
    first = next(layer for layer in network.layers if not isinstance(layer, PREPARING)).input
    return keras.Model(network.inputs, first), keras.Model(first, network.outputs)


def _padded(network):
    def clone(layer):
        config = layer.get_config()
        if layer.name in ("block1_conv1", "block1_conv2"):
            config["padding"] = "same"
        return type(layer).from_config(config)

    padded = keras.models.clone_model(network, clone_function=clone)
    padded.set_weights(network.get_weights())
    return padded


def _flat(network):
    for layer in network.layers:
        yield from _flat(layer) if isinstance(layer, keras.Sequential) else (layer,)


def error(name):
    """The largest difference from Keras's, of prepared pixels and of the last map that both make of them.

    As a fraction of the largest value.

    Args:
        name: A key of `applications`.
    """
    row, model = encoders()[name], applications()[name]
    images = np.random.default_rng(5).uniform(0, 255, (2, *SIZE, 3)).astype("float32")
    network = reference(model, images)
    image = keras.Input((None, None, 3))
    preparation = Preprocessing(row.preprocessing)(image)
    ours = keras.Model(image, row.build(preparation, output_stride=32).c5)
    file = published_file(row)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file.name
        set_normalization(network, is_file=True)
        write(network, path)
        set_normalization(network, is_file=False)
        load_weights(ours, path)
    # In two parts, as a last digit of the first becomes thousands of them behind a hundred layers.
    prepare, rest = in_two(_padded(network) if model == "Xception" else network)
    pixels = np.asarray(prepare(preprocessed(model, images)))
    found = keras.Model(preparation, ours.output)(pixels, training=False)
    parts = [
        (keras.Model(image, preparation)(images), pixels),
        (found, rest(pixels, training=False)),
    ]
    return max(_difference(*map(np.asarray, pair)) for pair in parts)


def _difference(found, expected):
    assert np.median(np.ptp(expected, axis=(1, 2))) > 0  # Else a constant would be compared.
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def main(arguments=None):
    """Prints a row for each encoder."""
    parser = argparse.ArgumentParser(prog="python -m tests.applications")
    parser.add_argument("names", nargs="*", metavar="ENCODER", default=list(applications()))
    failed = 0
    for name in parser.parse_args(arguments).names:
        start = time.perf_counter()
        with mock.patch.object(published, "other_checksum", return_value=None):
            found = error(name)
        failed += not found <= LIMIT
        seconds = time.perf_counter() - start
        print(f"{name:20} {found:.1e} {'pass' if found <= LIMIT else 'FAIL'} {seconds:6.1f} s", flush=True)
        free()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
