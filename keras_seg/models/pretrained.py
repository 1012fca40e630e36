"""Whole networks that their authors, or torchvision, trained and published: by name, ready to predict."""

from typing import NamedTuple

import keras
from keras import Model

from keras_seg import registry
from keras_seg.errors import InputError, nearest
from keras_seg.hints import PathLike
from keras_seg.models.building import build_model
from keras_seg.palette import default_colors
from keras_seg.pretrained import load_weights
from keras_seg.pretrained.published import cannot_be_had, fetch
from keras_seg.rows import Network, Published


class Trained(NamedTuple):
    """What is published under a name.

    Attributes:
        network: The row of the network.
        file: `Published`.
        colors: RGB in 0..255 of each of its classes.
    """

    network: Network
    file: Published
    colors: tuple


class Pretrained(NamedTuple):
    """A trained network; `Predictor(*pretrained)` labels images with it.

    Attributes:
        model: The `keras.Model`, from RGB in 0..255 `[B, H, W, 3]` to logits.
        classes: Class names in id order.
        colors: RGB in 0..255 of each class.
    """

    model: Model
    classes: tuple
    colors: tuple


def pretrained_networks():
    """Returns what is published of whole networks, a `Trained` by its name."""
    return {
        file.pretrained: Trained(row, file, tuple(map(tuple, default_colors(file.classes).tolist())))
        for row in registry.networks().values()
        for file in row.weights
        if file.pretrained
    }


def find_pretrained(name):
    """Returns the `Trained` of a name.

    Raises:
        InputError: There is none.
    """
    found = pretrained_networks()
    if name not in found:
        near = nearest(name, found) or "."
        raise InputError(f"{name!r} is no published network; there are {', '.join(found)}{near}")
    return found[name]


def load_pretrained(name: str, folder: PathLike = "weights", *, aux_head: bool | None = None) -> keras.Model:
    """Builds a published network and gives it its published weights.

    Args:
        name: For instance `"deeplabv3_resnet50_coco"` or `"fcn8s_voc"`; docs/reference/weights.md lists them.
        folder: Where its file may lie; else it is taken from former downloads, or downloaded.
        aux_head: False for a network without the auxiliary head, which only training needs; by default it
            has one where the published one has.

    Returns:
        `Pretrained`.

    Raises:
        InputError: There is no such network, or its file cannot be had or is not the published one.
    """
    row, file, colors = find_pretrained(name)
    dropped = {"aux_head"} if aux_head is False else set()
    options = {key: value for key, value in file.options.items() if key not in dropped}
    try:
        path = fetch(file, folder)
    except OSError as error:
        raise InputError(f"{name}: {cannot_be_had(file, folder, error)}.") from None
    model = build_model(row.name, len(file.classes), **options)
    load_weights(model, path)
    return Pretrained(model, file.classes, colors)
