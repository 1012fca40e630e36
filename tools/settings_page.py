"""The page of all settings, docs/reference/settings.md."""

from keras_seg.settings import settings_of
from keras_seg.texts import markdown_table
from keras_seg.training.settings.names import flag_of
from keras_seg.training.settings.subjects import SUBJECTS

HEAD = """\
# Settings of a training

Each is an argument of `keras_seg.TrainConfig` and `keras_seg.train`, a flag of `train.py` and a key of a
run's `config.json`. A setting that is yes or no has a flag for either: `--flip`, `--no-flip`.
`--model-option NAME=VALUE` is `model_options={"NAME": VALUE}` in Python, and a pair of numbers is
`--scales 0.5 2` and `scales=(0.5, 2)`. [Training in detail](training.md) says what they are good for.
"""


def format_page():
    """Returns the page."""
    parts = [HEAD]
    for title, subject in SUBJECTS.items():
        parts.append(f"## {title.capitalize()}\n\n{_first_line(subject)}\n")
        rows = [_row(known) for known in settings_of(subject).values()]
        parts.append(markdown_table(("setting", "values", "default", "what it does"), rows) + "\n")
    return "\n".join(parts)


def _row(known):
    names = f"`{known.name}`, `{flag_of(known.name)}`"
    return names, _values(known), known.default_words or "none", known.help


def _values(known):
    if known.choices:
        return ", ".join(f"`{choice}`" for choice in known.choices)
    kinds = {bool: "yes or no", int: "whole number", float: "number"}
    unit = " ".join(known.unit) if isinstance(known.unit, tuple) else known.unit
    return " ".join(filter(None, (unit and f"`{unit}`", kinds.get(known.kind), known.range_text)))


def _first_line(subject):
    return subject.__doc__.splitlines()[0]
