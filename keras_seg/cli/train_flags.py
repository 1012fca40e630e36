"""The flags of `train.py`, made from the settings of `keras_seg.training.settings`."""

import argparse
import json
from typing import get_args, get_origin

from keras_seg.settings import settings_of
from keras_seg.training.settings.names import flag_of
from keras_seg.training.settings.subjects import SUBJECTS

SETTINGS = {name: known for subject in SUBJECTS.values() for name, known in settings_of(subject).items()}
MASK_SETTINGS = ("ignore_label", "mask_colors", "reduce_zero_label", "binary", "channels")


def add_flags(parser):
    """Adds a flag for each setting; those that are left out do not appear in the parsed arguments."""
    for title, subject in SUBJECTS.items():
        add_some_flags(parser.add_argument_group(title), settings_of(subject))


def add_some_flags(parser, names):
    """Adds the flags of the settings that are named."""
    for name in names:
        parser.add_argument(flag_of(name), dest=name, default=argparse.SUPPRESS, **_options(SETTINGS[name]))


def add_mask_flags(parser, names=MASK_SETTINGS):
    """Adds the flags that say what masks mean, or some of them."""
    add_some_flags(parser, names)


def mask_options(arguments):
    """Returns those of them that were given, as settings."""
    return {name: value for name, value in vars(arguments).items() if name in MASK_SETTINGS}


def given_settings(arguments):
    """Returns the settings that were given by flags, for `TrainConfig`."""
    settings = {name: value for name, value in vars(arguments).items() if name in SETTINGS}
    if "model_options" in settings:
        settings["model_options"] = dict(settings["model_options"])
    return settings


def option(text):
    """Reads `stride=16` as `("stride", 16)`; a value that is not JSON is a string."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, received {text!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _options(known):
    """Keyword arguments of `add_argument` for a setting."""
    words = known.default_words
    options = {"help": (known.help + (f" (default: {words})" if words else "")).replace("%", "%%")}
    if known.kind is bool:
        return options | {"action": "store_true" if known.is_switch else argparse.BooleanOptionalAction}
    options["metavar"] = known.unit or "|".join(known.choices) or ("N" if known.kind is int else "X")
    if known.kind is dict:
        return options | {"action": "append", "type": option}
    if get_origin(known.kind) is tuple:
        return options | {"nargs": 2, "type": get_args(known.kind)[0]}
    if known.kind == bool | int:
        return options | {"nargs": "?", "const": True, "type": int}
    return options | {"type": known.kind if known.kind in (int, float) else str}
