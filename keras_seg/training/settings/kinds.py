"""Whether settings are of the kind that they should be, which those of a file edited by hand may not be."""

import os
from numbers import Integral, Real
from types import UnionType
from typing import get_args, get_origin

from keras_seg.errors import InputError

# Python counts bool among the whole numbers.
KINDS = {
    int: ("a whole number", lambda value: isinstance(value, Integral) and not isinstance(value, bool)),
    float: ("a number", lambda value: isinstance(value, Real) and not isinstance(value, bool)),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    str: ("text", lambda value: isinstance(value, str | os.PathLike)),
    dict: ("names with values", lambda value: isinstance(value, dict)),
    type(None): ("nothing", lambda value: value is None),
}


def check_kinds(settings, kinds):
    """Checks the types of settings.

    Args:
        settings: `{name: value}`.
        kinds: `{name: annotation}`, made of `KINDS`, tuples and unions of them.

    Raises:
        InputError: One is of another kind.
    """
    for name, value in settings.items():
        if not _is(value, kinds[name]):
            raise InputError(f"--{name.replace('_', '-')} must be {_words(kinds[name])}, received {value!r}")


def _is(value, kind):
    if isinstance(kind, UnionType):
        return any(_is(value, each) for each in get_args(kind))
    if get_origin(kind) is tuple:
        each = get_args(kind)
        return isinstance(value, tuple | list) and len(value) == len(each) and all(map(_is, value, each))
    return KINDS[kind][1](value)


def _words(kind):
    if isinstance(kind, UnionType):
        return " or ".join(_words(each) for each in get_args(kind) if each is not type(None))
    if get_origin(kind) is tuple:
        return f"{len(get_args(kind))} values, each {_words(get_args(kind)[0])}"
    return KINDS[kind][0]
