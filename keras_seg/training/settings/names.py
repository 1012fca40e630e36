"""Names of settings in errors: `learning_rate` in Python, `--learning-rate` on the command line.

The texts of errors hold flags, which cannot be taken for other words. Here they become what a program writes.
"""

import functools
import json
import re
from contextlib import contextmanager

from keras_seg.errors import InputError, spelled_out
from keras_seg.settings import settings_of
from keras_seg.training.settings.subjects import SUBJECTS

_FLAG = re.compile(r"(?<![\w-])--(no-)?([a-z]+(?:-[a-z]+)*)")
_RESUME = re.compile(r"(?<![\w-])--resume (?!goes)(.+)$")
_MODEL_OPTION = re.compile(r"(?<![\w-])--model-option (\w+)=(\w+)")


class SettingError(InputError):
    """An error that names settings as a program does; `command_line` is the same with their flags."""

    def __init__(self, text):
        super().__init__(in_python(text))
        self._text = spelled_out(text)

    @property
    def command_line(self):
        return self._text


@contextmanager
def python_names():
    """Errors of the block name settings as in Python.

    Raises:
        SettingError: In the place of an `InputError`.
    """
    try:
        yield
    except SettingError:
        raise
    except InputError as error:
        raise SettingError(str(error)).with_traceback(error.__traceback__) from error.__cause__


def flag_of(name):
    """Returns the flag of a setting."""
    return "--model-option" if name == "model_options" else f"--{name.replace('_', '-')}"


def in_python(text):
    """Rewrites a text that names settings by their flags for Python.

    >>> in_python("--schedule plateau takes no --warmup-epochs")
    'schedule plateau takes no warmup_epochs'
    """
    text = _RESUME.sub(lambda found: f"train(resume={found[1]!r})", text)
    text = _MODEL_OPTION.sub(lambda found: f"model_options={{{found[1]!r}: {_value(found[2])!r}}}", text)
    return _FLAG.sub(_name, text)


def _name(found):
    name = found[2].replace("-", "_")
    if name not in _names():
        return found[0]
    name = "model_options" if name == "model_option" else name
    return f"{name}=False" if found[1] else name


@functools.cache
def _names():
    known = {name for subject in SUBJECTS.values() for name in settings_of(subject)}
    return known | {"model_option", "resume"}


def _value(text):
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
