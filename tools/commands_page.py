"""The page of all commands, docs/reference/commands.md, from their parsers."""

import argparse

from keras_seg.cli.main import COMMANDS, command_module, command_parser
from keras_seg.settings import settings_of
from keras_seg.texts import markdown_table
from keras_seg.training.settings.names import flag_of
from keras_seg.training.settings.subjects import SUBJECTS

HEAD = """\
# Command line

`python -m keras_seg COMMAND`, or `keras-seg COMMAND` after an installation; in a checkout `train.py`
and `predict.py` are the commands of their names. Exit status: 0 done, 1 a failure of our own (`doctor`:
warnings), 2 wrong use or input, 130 interrupted.
"""


def format_page():
    """Returns the page."""
    settings = {flag_of(name) for subject in SUBJECTS.values() for name in settings_of(subject)}
    return "\n".join([HEAD, *(_section(name, settings) for name in COMMANDS)])


def _section(name, settings):
    parser, module = command_parser(name, f"python -m keras_seg {name}"), command_module(name)
    examples = "\n".join(module.EXAMPLES)
    lines = [
        f"## {name}\n",
        module.__doc__.strip() + "\n",
        f"<!-- not run: tests/cli/test_help.py parses them -->\n```sh\n{examples}\n```\n",
    ]
    actions = [action for action in parser._actions if action.dest != "help"]
    if name == "train":
        lines.append("Every [setting of a training](settings.md) is a flag as well.\n")
        actions = [action for action in actions if not settings & set(action.option_strings)]
    if actions:
        lines += [markdown_table(("argument", "what it does"), map(_row, actions)), ""]
    return "\n".join(lines)


def _row(action):
    values = action.metavar or "|".join(map(str, action.choices or ())) or action.dest.upper()
    values = " ".join(values) if isinstance(values, tuple) else values
    if action.nargs in ("+", "*", argparse.REMAINDER):
        values += " ..."
    if action.nargs == "?" and action.option_strings:
        values = f"[{values}]"
    flags = ", ".join(action.option_strings)
    names = " ".join(filter(None, (flags, values if action.nargs != 0 else "")))
    text = " ".join((action.help or "").replace("%%", "%").split())
    return f"`{names}`", text
