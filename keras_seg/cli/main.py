"""Finds the command, runs it, and turns what goes wrong into one line and an exit status."""

import argparse
import importlib
import os
import re
import sys

from keras_seg import __version__
from keras_seg.errors import InputError, nearest

COMMANDS = (
    *("train", "predict", "evaluate", "rank", "review", "label-server", "batch", "export", "models"),
    *("doctor", "convert", "preview", "runs", "heatmap"),
)
INTERRUPTED = 130
_WAY = """From images and masks to a network that labels every pixel, in your own service:

  check your data         {program} doctor photographs --sheet sheet.png
  train a network         {program} train --data photographs --model unet
  see how good it is      {program} evaluate --run runs/unet-photographs --report
  label new images        {program} predict new/*.jpg --run runs/unet-photographs --output masks --overlay
  serve it                docker run --rm -p 8500:8500 -p 8501:8501 -e MODEL_NAME=unet \\
                            -v "$PWD/runs/unet-photographs/export:/models/unet" tensorflow/serving
  ask the server          {program} predict new/*.jpg --server localhost:8500/unet --output masks

`photographs` holds images/train, images/val, masks/train and masks/val. Without data of your own,
`{program} train` learns built-in shapes in some five minutes.
`{program} --help` lists all commands, `{program} COMMAND --help` explains one.
"""
_FLAG = re.compile(r"(?<![\w-])--?[a-z][\w-]*")


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
        arguments = parse(argv, program)
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


def command_module(name):
    """Imports the module of a command; only that one, so that a command starts soon."""
    return importlib.import_module(f"keras_seg.cli.{name.replace('-', '_')}")


def command_parser(name, program):
    """Returns the parser of a command's flags, whose `run` does it.

    Args:
        name: One of `COMMANDS`.
        program: How the command was called, for `--help`.
    """
    module = command_module(name)
    examples = "\n".join(f"  {line}" for line in module.EXAMPLES)
    parser = _Parser(prog=program, description=module.__doc__, epilog=f"examples:\n{examples}")
    module.add_arguments(parser)
    parser.set_defaults(run=module.run)
    return parser


class _Parser(argparse.ArgumentParser):
    """Keeps the lines of its texts, and answers a misspelled flag with the nearest ones."""

    def __init__(self, **options):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message):
        words = message.removeprefix("unrecognized arguments: ").split()
        known = _FLAG.findall(self.format_help())
        flag = next((word.partition("=")[0] for word in words if word.startswith("-")), "")
        near = nearest(flag, known) if message.startswith("unrecognized") else ""
        self.exit(2, f"error: {message}{near}\nusage: {self.prog} --help\n")


def parse(argv, program):
    """Returns the arguments of a command, whose `run` does it.

    Args:
        argv: Command and flags.
        program: As of `main`.

    Raises:
        SystemExit: They are wrong, or only ask for help.
    """
    name = program.removesuffix(".py")
    if name == program:
        if not argv:
            print(_WAY.format(program=program), end="")
            raise SystemExit(0)
        name, *argv = argv
        if name not in COMMANDS:
            _overview(name, argv, program)
        program = f"{program} {name}"
    return command_parser(name, program).parse_args(argv)


def _overview(name, argv, program):
    """Answers what is no command, and ends."""
    width = max(map(len, COMMANDS))
    lines = [f"  {each:{width}}  {command_module(each).__doc__.splitlines()[0]}" for each in COMMANDS]
    parser = _Parser(
        prog=program,
        usage=f"{program} COMMAND ...",
        description=_WAY.format(program=program),
        epilog="\n".join(["commands:", *lines]),
    )
    parser.add_argument("--version", action="version", version=f"keras_seg {__version__}")
    if not name.startswith("-"):
        parser.error(f"{name} is not a command{nearest(name, COMMANDS)}")
    parser.parse_args([name, *argv])
    parser.error("name a command")
