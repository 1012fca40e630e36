"""The one door through which foreign weights enter a model: by name, strict, all of them or none."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_seg.errors import InputError
from keras_seg.logits import num_logits
from keras_seg.rows import MAX_CHANNELS

_LISTED = 6  # Names of each kind in an error, which stays one line.


class Loaded(NamedTuple):
    """What happened to a model's layers.

    Attributes:
        reset: Names of those that are re-initialized because the file has another number of classes.
        file_classes: That number; None if nothing was reset.
        anew: Names of those that are re-initialized because the file lacks them.
        aside: Names of the file's layers that the model lacks.
        adapted: `(name, channels in the file)` of the first convolution where the model's images have others;
            None where it is as in the file.
    """

    reset: tuple = ()
    file_classes: int | None = None
    anew: tuple = ()
    aside: tuple = ()
    adapted: tuple | None = None


def layers_with_weights(model):
    """Returns the layers of `model` that hold weights, `{name: layer}`."""
    return {layer.name: layer for layer in model.layers if layer.weights}


def assign(
    model: keras.Model,
    weights: Mapping[str, Any],
    *,
    source: object = "the weights",
    keep: Iterable[str] = (),
    reset_classes: bool = False,
) -> Loaded:
    """Gives a model its weights, once every name and shape has been checked.

    Args:
        model: `keras.Model`; nothing in it is touched unless everything fits.
        weights: `{layer name: {variable name: array}}` in Keras's layouts, for instance
            `{"fc7": {"kernel": [1, 1, 4096, 4096], "bias": [4096]}}`; a `LazyArray` is read only once
            everything fits.
        source: What the error calls the origin of the weights, usually the file.
        keep: Names of layers that stay as they are and that `weights` must not hold.
        reset_classes: Whether layers whose shapes differ in the number of classes alone stay as they
            are too, and the first convolution is adapted to the model's channels; else they count as of
            another shape.

    Returns:
        `Loaded`, with `keep` as `anew`; `aside` is an auxiliary head that the model lacks.

    Raises:
        InputError: A name is missing or left over, a shape differs, or the numbers are no floats.
    """
    layers = layers_with_weights(model)
    wanted = {
        (name, variable.name): variable
        for name, layer in layers.items()
        if name not in keep
        for variable in layer.weights
    }
    given = {(name, key): array for name, arrays in weights.items() for key, array in arrays.items()}
    missing = [path for path in wanted if path not in given]
    aside = tuple(dict.fromkeys(name for name in weights if is_auxiliary(name) and name not in layers))
    left_over = [path for path in given if path not in wanted and path[0] not in aside]
    other_shape = [
        path for path in wanted if path in given and tuple(wanted[path].shape) != np.shape(given[path])
    ]
    adapted = _adaptable(model, wanted, given, other_shape) if reset_classes else None
    if adapted:
        other_shape.remove(adapted)
    reset: tuple[str, ...] = ()
    file_classes = None
    if other_shape and reset_classes:
        file_classes = _file_classes(model, [(wanted[path].shape, given[path].shape) for path in other_shape])
        if file_classes and len(other_shape) < len(wanted):
            reset = tuple(dict.fromkeys(name for name, _ in other_shape))
            other_shape = []
    other_type = [path for path in wanted if path in given and not _is_float(given[path].dtype)]
    if missing or left_over or other_shape or other_type:
        shapes = [f"{_join(p)} {tuple(wanted[p].shape)} is {np.shape(given[p])} there" for p in other_shape]
        faults = (
            ("missing", [_join(path) for path in missing]),
            ("left over", [_join(path) for path in left_over]),
            ("of another shape", shapes),
            ("of another type", [f"{_join(path)} is {given[path].dtype} there" for path in other_type]),
        )
        listed = "; ".join(f"{what}: {_shorten(names)}" for what, names in faults if names)
        raise InputError(f"{source} does not fit {model.name}: {listed}. Give the file of this network.")
    arrays = {path: np.asarray(given[path]) for path in wanted if path[0] not in reset}
    for path, array in arrays.items():
        channels = wanted[path].shape[2] if path == adapted else None
        wanted[path].assign(adapt_channels(array, channels) if channels else array)
    first = adapted and (adapted[0], np.shape(given[adapted])[2])
    return Loaded(reset, file_classes, tuple(keep), aside, first)


def adapt_channels(kernel, channels):
    """A first convolution's kernel for images of another number of channels.

    For one channel it is the sum over the K channels of the file, their mean times K: an image of K equal
    channels and the grey one give the same maps. For C channels, channel c is channel `c mod K` of the file
    times K / C.

    Args:
        kernel: `[h, w, K, F]`.
        channels: C.

    Returns:
        `[h, w, C, F]`.
    """
    given = kernel.shape[2]
    if channels == 1:
        return kernel.sum(axis=2, keepdims=True)
    return kernel[:, :, np.arange(channels) % given] * kernel.dtype.type(given / channels)


def _adaptable(model, wanted, given, other_shape):
    """The path of the first convolution's kernel if it differs in the image's channels alone, or None."""
    first = next(layer for layer in model.layers if layer.weights)
    path = (first.name, "kernel")
    if path not in other_shape or model.inputs[0].shape[-1] != wanted[path].shape[2]:
        return None
    ours, theirs = list(wanted[path].shape), list(np.shape(given[path]))
    differs_in_channels_alone = len(theirs) == 4 and ours[:2] + ours[3:] == theirs[:2] + theirs[3:]
    return path if differs_in_channels_alone and theirs[2] <= MAX_CHANNELS else None


def _is_float(dtype):
    return dtype.kind == "f" or dtype.name == "bfloat16"


def is_auxiliary(name):
    """Whether a layer is of the auxiliary head, which only training needs: a network may go without."""
    return bool(name) and name.startswith("aux_")


def _file_classes(model, shapes):
    """The class count that explains why `shapes`, pairs of ours and theirs, differ; None if none does."""
    classes = num_logits(model)
    explained: set[tuple[int, int] | None] = set()
    for ours, theirs in shapes:
        if len(ours) != len(theirs):
            return None
        differing = {(our, their) for our, their in zip(ours, theirs, strict=True) if our != their}
        explained |= differing if ours[-1] != theirs[-1] else {None}
    if len(explained) == 1 and (pair := explained.pop()) and pair[0] == classes:
        return int(pair[1])
    return None


def _join(path):
    return "/".join(path)


def _shorten(names):
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
