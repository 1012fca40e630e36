"""What a run's `config.json` must hold: it may come from somebody else, and all commands rely on it."""

import math
import os
import re

from keras_seg.classes import COLORS, NAMES, class_colors, class_names, is_list_of
from keras_seg.errors import InputError
from keras_seg.texts import is_text, shown

REQUIRED = ("model", "num_classes", "classes", "colors", "image_size")
_MOST_PIXELS = 1 << 16  # Of a height or width
_SEEDS, _MASK_VALUES = 1 << 32, 1 << 16
_OBJECTS = ("dataset", "model", "optimizer", "loss", "augment", "callbacks")
_DEPTHS = ("uint8", "uint16", "float32")


def check_config(path, config):
    """Checks the settings that commands take from a run.

    Args:
        path: The `config.json`, for the message.
        config: What it holds, as of `json.loads`.

    Raises:
        InputError: A setting is missing, or is not what it should be.
    """
    missing = [key for key in REQUIRED if not isinstance(config, dict) or key not in config]
    if missing:
        raise InputError(f"{path}: has no {', '.join(missing)}; it is not a run's configuration")
    for key, (is_right, wanted) in _RULES.items():
        value = config.get(key)
        if (key in REQUIRED or value is not None) and not is_right(value):
            raise InputError(f"{path}: {key!r} must be {wanted}, received {shown(value)}; correct it there")
    counts = {key: len(config[key]) for key in ("classes", "colors")}
    if set(counts.values()) != {config["num_classes"]}:
        raise InputError(
            f"{path}: has {counts['classes']} classes, {counts['colors']} colors and 'num_classes' "
            f"{config['num_classes']}; they must be equally many, correct it there"
        )


def _whole(least, end=math.inf):
    return lambda value: type(value) is int and least <= value < end


def _is_word(value):
    return isinstance(value, str) and is_text(value)


def _is_words(value):
    return isinstance(value, list) and all(map(_is_word, value))


def _is_file_name(value):
    return isinstance(value, str) and re.fullmatch(r"\w[\w.-]*", value) is not None


def _is_path(value):
    """Names of files that are no text are strings all the same, by `os.fsdecode`."""
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def _is_size(value):
    return is_list_of(value, int) and len(value) == 2 and min(value) >= 1 and max(value) <= _MOST_PIXELS


def _is_rate(value):
    return type(value) in (int, float) and 0 < value < math.inf


# Each setting's check, and what it takes.
_RULES = {
    "model": (_is_file_name, "the name of a network"),
    "num_classes": (_whole(1), "a whole number above 0"),
    "classes": (class_names, NAMES),
    "colors": (class_colors, COLORS),
    "image_size": (_is_size, f"a list of height and width from 1 to {_MOST_PIXELS}"),
    "data": (_is_path, "the path of a folder"),
    "mask_colors": (_is_path, "the path of a file"),
    "seed": (_whole(0, _SEEDS), f"a whole number from 0 to {_SEEDS - 1}"),
    "val_seed": (_whole(0, _SEEDS), f"a whole number from 0 to {_SEEDS - 1}"),
    "val_fraction": (lambda value: _is_rate(value) and value < 1, "a number above 0 and below 1"),
    "ignore_label": (_whole(0, _MASK_VALUES), f"a whole number from 0 to {_MASK_VALUES - 1}"),
    "reduce_zero_label": (lambda value: isinstance(value, bool), "true or false"),
    "binary": (lambda value: isinstance(value, bool), "true or false"),
    "threshold": (lambda value: _is_rate(value) and value < 1, "a number above 0 and below 1"),
    "channels": (_whole(1, 17), "a whole number from 1 to 16"),
    "depth": (lambda value: value in _DEPTHS, "uint8, uint16 or float32"),
    "epochs": (_whole(1), "a whole number above 0"),
    "batch_size": (_whole(1), "a whole number above 0"),
    "learning_rate": (_is_rate, "a positive number"),
    "loss": (_is_word, "text"),
    "optimizer": (_is_word, "text"),
    "precision": (_is_word, "text"),
    "given": (_is_words, "a list of names of settings"),
    "objects": (
        lambda value: _is_words(value) and set(value) <= set(_OBJECTS),
        f"names of {', '.join(_OBJECTS)}",
    ),
}
