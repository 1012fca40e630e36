"""Finds the command, runs it, and turns what goes wrong into one line and an exit status."""

import argparse
import os
import sys

from keras_seg import __version__
from keras_seg.cli import (
    batch,
    convert,
    doctor,
    evaluate,
    export,
    heatmap,
    label_server,
    models,
    predict,
    preview,
    rank,
    review,
    runs,
    train,
)
from keras_seg.errors import InputError

COMMANDS = {
    "train": train,
    "predict": predict,
    "evaluate": evaluate,
    "rank": rank,
    "review": review,
    "label-server": label_server,
    "batch": batch,
    "export": export,
    "models": models,
    "doctor": doctor,
    "convert": convert,
    "preview": preview,
    "runs": runs,
    "heatmap": heatmap,
}
INTERRUPTED = 130


def main(argv=None, program="keras-seg"):
    """Runs a command.

    Args:
        argv: Command and flags; those of the process by default.
        program: How the program was called, for `--help`.

    Returns:
        Exit status: 0 done, 1 a failure of our own, 2 wrong use or input, 130 interrupted.
    """
    argv = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # The names of files need not be text.
    try:
        arguments = _parser(program).parse_args(argv)
    except SystemExit as exit:
        return exit.code
    try:
        return arguments.run(arguments) or 0
    except InputError as error:
        print(f"error: {error.command_line}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser(program):
    command = program.removesuffix(".py")
    if command != program:
        parser = argparse.ArgumentParser(prog=program)
        return _with_command(parser, COMMANDS[command])
    parser = argparse.ArgumentParser(prog=program, description="Classic semantic segmentation in Keras 3.")
    parser.add_argument("--version", action="version", version=f"keras_seg {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        _with_command(commands.add_parser(name, help=module.__doc__.splitlines()[0]), module)
    return parser


def _with_command(parser, module):
    parser.description = module.__doc__
    module.add_arguments(parser)
    parser.set_defaults(run=module.run)
    return parser
