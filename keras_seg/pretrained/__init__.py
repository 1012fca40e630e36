"""Published weights into any network: by layer name, strict, all of them or none."""

import json
from pathlib import Path

import keras

from keras_seg import registry
from keras_seg.errors import InputError
from keras_seg.hints import PathLike
from keras_seg.logits import num_logits
from keras_seg.pretrained.assign import assign, layers_with_weights
from keras_seg.pretrained.caffe import load_blobs
from keras_seg.pretrained.caffe_files import read_caffemodel
from keras_seg.pretrained.classifiers import check_preprocessing, find_classifier, load_classifier
from keras_seg.pretrained.keras_files import preprocessing_of, read_h5, read_weights_h5, saved_preprocessing
from keras_seg.pretrained.published import resolve_weights
from keras_seg.pretrained.saved_models import load_model
from keras_seg.pretrained.state_dict import load_state_dict
from keras_seg.pretrained.torch_files import read_pth, read_safetensors
from keras_seg.weights_files import check_sums, open_hdf5, open_keras, open_zip, reading

__all__ = ["assign", "load_blobs", "load_model", "load_state_dict", "load_weights", "resolve_weights"]

SUFFIXES = (".weights.h5", ".h5", ".keras", ".pth", ".safetensors", ".caffemodel")
_NAMED = 8  # Layers that the answer, which stays one line, names of each kind.


def load_weights(model: keras.Model, source: PathLike) -> str:
    """Gives a network weights from a file: its own, its reference's, or its image classifier's.

    Where the file has another number of classes, the score layers are re-initialized.

    Args:
        model: `keras.Model` of `build_model`; untouched unless everything fits.
        source: Path of a `.h5` (Keras's VGG16 or ResNet), `.weights.h5` or `.keras` (a network of this
            package), `.pth` or `.safetensors` (PyTorch's) or `.caffemodel` file.

    Returns:
        One line that says how many layers were loaded, which were re-initialized, and what was not used.

    Raises:
        InputError: The file is missing, unreadable, of another network, of other shapes, or was trained
            on another preprocessing than the model has.
    """
    path = Path(source)
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise InputError(
            f"{path} does not have a weights file's suffix. It may end with {', '.join(SUFFIXES)}."
        )
    if not path.is_file():
        raise InputError(f"{path} does not exist or is not a file. Give the path of a weights file.")
    with reading(path):
        loaded = _LOADERS[suffix](model, path)
    fresh = {*loaded.reset, *loaded.anew}
    count = len([name for name in layers_with_weights(model) if name not in fresh])
    line = f"{model.name}: loaded {count} layers from {path}"
    if loaded.reset:
        classes = f"{loaded.file_classes} classes there, {num_logits(model)} here"
        line += f"; re-initialized because of {classes}: {_list(loaded.reset)}"
    if loaded.adapted:
        name, channels = loaded.adapted
        how = "summed" if model.inputs[0].shape[-1] == 1 else "repeated and scaled"
        line += f"; {name} has {channels} channels there, {how} for {model.inputs[0].shape[-1]} here"
    if loaded.anew:
        line += f"; re-initialized because the file does not have them: {_list(loaded.anew)}"
    if loaded.aside:
        line += f"; unused: {_list(loaded.aside)}"
    return line + "."


def _list(names):
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _load_h5(model, path):
    for row in registry.encoders().values():
        if row.read and any(file.name == path.name for file in row.weights):
            return _load_encoder(model, path, row)
    with open_hdf5(path) as root:
        weights = read_h5(root, path)
        if find_classifier(weights) is not None:
            return load_classifier(model, weights, path, "keras")
        config = json.loads(root.attrs.get("model_config", "{}"))
        check_preprocessing(model, preprocessing_of(config), path)
        return assign(model, weights, source=path, reset_classes=True)


def _load_encoder(model, path, row):
    """Gives a network the encoder in a published file that its row can read."""
    with open_hdf5(path):  # Which refuses what reads other files.
        pass
    layers = layers_with_weights(model)
    try:
        weights = row.read(path)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} does not hold the weights of {row.title}: {reason}") from None
    if not weights.keys() <= layers.keys():
        raise InputError(
            f"{path} holds {row.title}, on which {model.name} is not built. Give a file of its own encoder."
        )
    check_preprocessing(model, row.preprocessing, path)
    keep = [name for name in layers if name not in weights]
    return assign(model, weights, source=path, keep=keep, reset_classes=True)


def _load_weights_h5(model, path):
    with open_hdf5(path) as root:
        weights = read_weights_h5(root, path, layers_with_weights(model))
        check_preprocessing(model, saved_preprocessing(root), path)
        return assign(model, weights, source=path, reset_classes=True)


def _load_keras(model, path):
    with open_zip(path) as archive:
        check_sums(archive)
    with open_keras(path) as (config, root):
        weights = read_weights_h5(root, path, layers_with_weights(model))
        check_preprocessing(model, preprocessing_of(config), path)
        return assign(model, weights, source=path, reset_classes=True)


def _load_pth(model, path):
    with path.open("rb") as file:
        return load_state_dict(model, read_pth(file, path), source=path, reset_classes=True)


def _load_safetensors(model, path):
    return load_state_dict(model, read_safetensors(path), source=path, reset_classes=True)


def _load_caffemodel(model, path):
    return load_blobs(model, read_caffemodel(path), source=path, reset_classes=True)


_LOADERS = {
    ".h5": _load_h5,
    ".weights.h5": _load_weights_h5,
    ".keras": _load_keras,
    ".pth": _load_pth,
    ".safetensors": _load_safetensors,
    ".caffemodel": _load_caffemodel,
}
