"""A setting: a field of a dataclass that says once what it is, its default, its range and what it does.

Nothing heavy is imported here, so that `--help` need not wait for it.
"""

import math
import os
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from types import UnionType
from typing import Any, get_args, get_origin

from keras_seg.errors import InputError, nearest

_KEY = "setting"
# Python counts bool among the whole numbers.
_KINDS = {
    int: ("a whole number", lambda value: isinstance(value, Integral) and not isinstance(value, bool)),
    float: ("a number", lambda value: isinstance(value, Real) and not isinstance(value, bool)),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    str: ("text", lambda value: isinstance(value, str)),
    dict: ("names with values", lambda value: isinstance(value, dict)),
}


@dataclass(frozen=True)
class Setting:
    """What is known of a setting.

    Attributes:
        help: What it does, as the command line and the documentation say it.
        default: What it is where it is left out; None: nothing, or as `default_text` says.
        on_shapes: What it is then on the built-in data set; None: the default.
        default_text: The default in words, where it depends on more.
        unit: What stands for a value in a usage line: `N`, `PIXELS`, `FILE`; a tuple for a pair.
        least, most: The range, both ends included.
        above, below: The range, neither end included.
        choices: The values that there are.
        is_switch: Whether it can only be switched on by a flag.
        name: Of the field.
        kind: Its type, without None.
    """

    help: str
    default: Any = None
    on_shapes: Any = None
    default_text: str = ""
    unit: str | tuple[str, str] = ""
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    is_switch: bool = False
    name: str = ""
    kind: Any = None

    def check(self, value, name=None):
        """Checks that a value is of the kind and in the range.

        Args:
            value: As of `plain`.
            name: What the setting is called in the message; its own name by default.

        Raises:
            InputError: It is not.
        """
        name = name or self.name
        if not _is(value, self.kind):
            raise InputError(f"{name} must be {_words(self.kind)}, received {value!r}")
        if self.choices and value not in self.choices:
            near = nearest(value, self.choices)
            raise InputError(f"{name} must be one of {', '.join(self.choices)}; received {value!r}{near}")
        numbers = value if isinstance(value, tuple) else (value,)
        if self.range_text and not all(map(self._is_in_range, numbers)):
            raise InputError(f"{name} must be {self.range_text}, received {value}")

    def _is_in_range(self, number):
        if isinstance(number, bool | str):  # Of a setting that takes numbers and something else.
            return True
        return (
            (self.least is None or number >= self.least)
            and (self.most is None or number <= self.most)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
            and math.isfinite(number)
        )

    @property
    def range_text(self):
        """`from 0 to 180`, `0 or more and below 1`; empty where any value will do."""
        if self.least is not None and self.most is not None:
            return f"from {self.least} to {self.most}"
        words = [
            text
            for bound, text in (
                (self.least, f"{self.least} or more"),
                (self.above, f"above {self.above}"),
                (self.most, f"at most {self.most}"),
                (self.below, f"below {self.below}"),
            )
            if bound is not None
        ]
        text = " and ".join(words)
        return text and f"two numbers {text}" if get_origin(self.kind) is tuple else text

    @property
    def default_words(self):
        """The default as a reader writes it: `30, on shapes 3`; empty where there is none."""
        words = self.default_text or ("" if self.default is None else _written(self.default))
        return words if self.on_shapes is None else f"{words}, on shapes {_written(self.on_shapes)}"


def setting(default=None, *, help, **facts):
    """A field of a dataclass that is a setting.

    Args:
        default: Of the field.
        help, **facts: Of `Setting`.
    """
    return field(default=default, metadata={_KEY: Setting(help, default, **facts)})


def optional(default=None, *, help, **facts):
    """The same, for a field that is None where the setting is left out."""
    return field(default=None, metadata={_KEY: Setting(help, default, **facts)})


def left_out(owner, name):
    """A field like one of another dataclass, but None where it is left out."""
    return field(default=None, metadata=owner.__dataclass_fields__[name].metadata)


def settings_of(owner):
    """Returns the settings among a dataclass's fields as `{name: Setting}`, with their names and kinds."""
    found = {}
    for each in fields(owner):
        if _KEY in each.metadata:
            told = vars(each.metadata[_KEY])
            found[each.name] = Setting(**{**told, "name": each.name, "kind": _without_none(each.type)})
    return found


def plain(value):
    """Returns a value as JSON has it: paths as text, NumPy's numbers as Python's, tuples as lists."""
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if hasattr(value, "tolist"):  # Of NumPy, which is not imported for it.
        return plain(value.tolist())
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def of_kind(value, kind):
    """Returns a value of JSON as the kind has it: lists as tuples, whole numbers as floats; else as it is."""
    if get_origin(kind) is tuple and isinstance(value, list):
        each = get_args(kind)[0]
        return tuple(of_kind(item, each) for item in value)
    return float(value) if kind is float and _KINDS[int][1](value) else value


def _without_none(kind):
    kinds = [each for each in get_args(kind) if each is not type(None)] if _is_union(kind) else [kind]
    found = kinds[0]
    for each in kinds[1:]:
        found |= each
    return found


def _is_union(kind):
    return isinstance(kind, UnionType)


def _is(value, kind):
    if _is_union(kind):
        return any(_is(value, each) for each in get_args(kind))
    if get_origin(kind) is tuple:
        each = get_args(kind)
        return isinstance(value, tuple) and len(value) == len(each) and all(map(_is, value, each))
    return _KINDS[kind][1](value)


def _words(kind):
    if _is_union(kind):
        return " or ".join(map(_words, get_args(kind)))
    if get_origin(kind) is tuple:
        return f"2 values, each {_words(get_args(kind)[0])}"
    return _KINDS[kind][0]


def _written(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(map(_written, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
