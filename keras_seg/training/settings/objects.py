"""Keras objects and functions that are given to a training in place of names and settings."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import keras
import tensorflow as tf

from keras_seg.augmentation import Augmentation
from keras_seg.data import Dataset
from keras_seg.data.streams import dataset_of_streams, has_streams
from keras_seg.errors import InputError
from keras_seg.logits import num_logits
from keras_seg.rows import NAME, LearningRate
from keras_seg.settings import settings_of
from keras_seg.training.settings.subjects import (
    AugmentationSettings,
    DataSettings,
    OptimizerSettings,
    ScheduleSettings,
)

# What an object takes the place of, beside the setting of its own name: those do nothing.
_REPLACED = {
    "dataset": set(settings_of(DataSettings)) - {"binary", "threshold"},
    "model": {"weights", "init_from", "model_options", "recipe", "precision"},
    "optimizer": {*settings_of(OptimizerSettings), *settings_of(ScheduleSettings)} - {"optimizer"},
    "loss": {"loss_reduction", "class_weights"},
    "augment": set(settings_of(AugmentationSettings)) - {"augment"},
}


@dataclass(frozen=True)
class Objects:
    """The objects that were given; None where a setting decides.

    Attributes:
        dataset: `Dataset`.
        model: Functional `keras.Model` to logits.
        optimizer: `keras.optimizers.Optimizer`, not built.
        loss: `keras.Loss`, or a function of class ids [B, H, W], 255 ignored, and logits [B, H, W, C].
        augment: Function of an image, its class ids and a seed, as `keras_seg.data.train_batches` takes it.
        callbacks: Keras's callbacks.
    """

    dataset: Any = None
    model: Any = None
    optimizer: Any = None
    loss: Any = None
    augment: Any = None
    callbacks: tuple | None = None

    @property
    def names(self):
        """Names of those that were given."""
        found = (each.name for each in fields(self) if getattr(self, each.name) is not None)
        return tuple(name for name in found if name != "callbacks" or self.callbacks)

    @property
    def descriptions(self):
        """What config.json calls those that take the place of a setting of the same name."""
        found = {}
        if self.model is not None:
            found["model"] = self.model.name if NAME.fullmatch(self.model.name) else "model"
        for name in ("optimizer", "loss"):
            each = getattr(self, name)
            if each is not None:
                found[name] = getattr(each, "__name__", type(each).__name__)
        return found


def sort_out(dataset=None, model=None, optimizer=None, loss=None, augment=None, callbacks=None, classes=None,
             binary=None):  # fmt: skip
    """Tells objects from settings.

    Args:
        dataset: `Dataset`, a pair of `tf.data.Dataset`s to train and to validate on, or these by the names
            "train" and "val".
        model, optimizer, loss: A name, or an object of Keras.
        augment: True, False, an `Augmentation`, or a function.
        callbacks: Keras's callbacks; None: none were asked for.
        classes: Number or names of the classes of `tf.data.Dataset`s; None: as many as the model has logits.
        binary: The setting of that name.

    Returns:
        `(settings, Objects)`: settings by name.

    Raises:
        InputError: One is neither.
    """
    settings, objects = {}, {}
    if isinstance(model, keras.Model):
        objects["model"] = _functional(model)
    elif model is not None:
        settings["model"] = model
    if isinstance(optimizer, keras.optimizers.Optimizer):
        # Another one alike, since this one may have been used already.
        objects["optimizer"] = type(optimizer).from_config(optimizer.get_config())
    elif optimizer is not None:
        settings["optimizer"] = optimizer
    for name, value in (("loss", loss), ("augment", augment)):
        if callable(value) and not isinstance(value, type):
            objects[name] = value
        elif isinstance(value, Augmentation):
            settings |= vars(value)
        elif value is not None:
            settings[name] = value
    if callbacks is not None:
        objects["callbacks"] = _checked_callbacks(callbacks)
    if dataset is not None:
        objects["dataset"] = _dataset(dataset, classes, objects.get("model"), binary)
    elif classes is not None:
        raise InputError("classes is of tf.data datasets; dataset.json names those of a folder")
    return settings, Objects(**objects)


def check_objects(objects, config):
    """Refuses settings that do nothing beside the objects that were given.

    Args:
        objects: `Objects`.
        config: What was asked for, a `TrainConfig`.

    Raises:
        InputError: There is one.
    """
    for name in objects.names:
        surplus = [each for each in config.settings() if each in _REPLACED.get(name, ())]
        if surplus:
            raise InputError(f"{surplus[0]} does nothing beside {_an(name)} of one's own; drop one of them")
    kept = [name for name in ("model", "optimizer") if name in objects.names]
    kept += ["dataset"] if objects.dataset is not None and has_streams(objects.dataset) else []
    if kept and config.distribute not in (None, "none"):
        raise InputError(
            f"distribute {config.distribute} and {_an(kept[0])} of one's own exclude each other: each device "
            "needs a part of it; drop one of them"
        )


def with_objects(config, objects):
    """Notes in the settings which of them are objects.

    Args:
        config: `ResolvedConfig`.
        objects: `Objects`.
    """
    changed = dict(objects.descriptions)
    if objects.model is not None and "learning_rate" not in config.given and not config.recipe:
        rates = LearningRate()  # Not those of the network whose name was left out.
        changed["learning_rate"] = rates.sgd if config.optimizer == "sgd" else rates.adam
    if objects.optimizer is not None:
        changed["learning_rate"] = float(keras.ops.convert_to_numpy(objects.optimizer.learning_rate))
    return config.replace(**changed, objects=objects.names)


def check_given_again(config, objects, folder):
    """Makes sure that a resumed run has the objects that it was trained with.

    Args:
        config: `ResolvedConfig` of the run.
        objects: `Objects` that were given now.
        folder: Of the run.

    Raises:
        InputError: One is missing, or is of a kind that the run was trained without.
    """
    again = objects.names if objects.callbacks is None else {*objects.names, "callbacks"}
    missing = [name for name in config.objects if name not in again]
    if missing:
        empty = ", or callbacks=[] to continue without" if missing == ["callbacks"] else ""
        raise InputError(
            f"{folder}: was trained with {' and '.join(missing)} given as objects, which no file holds; give "
            f"{'it' if len(missing) == 1 else 'them'} again{empty}"
        )
    surplus = [name for name in objects.names if name not in (*config.objects, "callbacks")]
    if surplus:
        raise InputError(f"{folder}: was trained without {_an(surplus[0])} of one's own; drop it")


def check_model(model, dataset):
    """Makes sure that a user's model takes the images and returns a logit for each class.

    Raises:
        InputError: It does not.
    """
    channels, logits = model.inputs[0].shape[-1], num_logits(model)
    if channels != dataset.images.channels:
        raise InputError(
            f"model: {model.name} takes images of {channels} channels, and those of {dataset.name} have "
            f"{dataset.images.channels}"
        )
    if logits != dataset.num_logits:
        raise InputError(
            f"model: {model.name} gives {logits} logits, and {dataset.name} has {dataset.num_classes} "
            f"classes; give it {dataset.num_logits}"
        )


def _functional(model):
    try:
        is_sequential = isinstance(model, keras.Sequential)
        output = model.outputs[0] if is_sequential else model.output
        network = keras.Model(model.inputs[0] if is_sequential else model.input, output, name=model.name)
    except (AttributeError, TypeError, ValueError):
        raise InputError(
            f"model: {model.name} is no functional model, and cannot be saved whole; make one with "
            "keras.Model(inputs, outputs)"
        ) from None
    outputs = network.output.values() if isinstance(network.output, dict) else [network.output]
    shapes = [each.shape for each in (*network.inputs, *outputs)]
    if len(network.inputs) != 1 or any(len(shape) != 4 for shape in shapes):
        raise InputError(
            f"model: {model.name} must be from images [B, H, W, C] to logits [B, H, W, classes], received "
            f"{' and '.join(map(str, shapes))}"
        )
    if isinstance(network.output, dict) and set(network.output) != {"out", "aux"}:
        raise InputError(f"model: {model.name} must give logits, or a dict of `out` and `aux`")
    return network


def _checked_callbacks(callbacks):
    callbacks = tuple(callbacks) if isinstance(callbacks, list | tuple) else (callbacks,)
    for each in callbacks:
        if not isinstance(each, keras.callbacks.Callback):
            raise InputError(f"callbacks must be Keras's, received {each!r}")
    return callbacks


def _dataset(dataset, classes, model, binary):
    if isinstance(dataset, Dataset):
        if classes is not None:
            raise InputError("classes does nothing beside a Dataset, which has its own; drop it")
        return dataset
    if isinstance(dataset, tuple | list) and len(dataset) == 2:
        dataset = dict(zip(("train", "val"), dataset, strict=True))
    is_right = isinstance(dataset, Mapping) and {"train", "val"} <= dataset.keys() <= {"train", "val", "test"}
    if not is_right or not all(isinstance(each, tf.data.Dataset) for each in dataset.values()):
        raise InputError(
            "dataset must be a keras_seg.data.Dataset, or two tf.data.Dataset, to train and to validate on: "
            f"dataset=(train, val); received {type(dataset).__name__}"
        )
    logits = None if model is None else num_logits(model)
    if classes is None and logits is None:
        raise InputError("classes: say how many there are, or their names, for a tf.data.Dataset does not")
    return dataset_of_streams(dataset, classes or logits, bool(binary) or logits == 1)


def _an(name):
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
