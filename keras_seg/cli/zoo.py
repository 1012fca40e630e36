"""Trains every network alike, one after the other, and writes the table of what became of them."""

import argparse
import signal
import sys

from keras_seg.cli import train
from keras_seg.errors import InputError

OURS = ("model", "output", "resume")


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument(
        "--output", metavar="FOLDER", default="zoo", help="run folders, zoo.md and zoo.csv (default: zoo)"
    )
    parser.add_argument("--models", metavar="NAME", nargs="+", help="networks to train (default: all)")
    parser.add_argument(
        "flags", metavar="FLAG", nargs=argparse.REMAINDER, help="behind --: flags of train.py for all of them"
    )


def run(arguments):
    """Trains what is not trained yet; one that fails is reported and the rest are done."""
    flags = [flag for flag in arguments.flags if flag != "--"]
    parser = argparse.ArgumentParser(prog="keras_seg zoo --", add_help=False)
    train.add_arguments(parser)
    ours = [name for name in OURS if name in vars(parser.parse_args(flags))]
    if ours:
        raise InputError(f"--{ours[0]}: the zoo sets it for each network; drop it")
    from keras_seg.cli.quiet import import_tensorflow

    import_tensorflow("training")
    from keras_seg.models import MODELS
    from keras_seg.training.zoo import train_zoo

    names = arguments.models or list(MODELS)
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise InputError(f"--models: there is no network {unknown[0]}; see python -m keras_seg models")
    # The training of the moment is told to stop too, and saves its state.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    failed = train_zoo(names, arguments.output, flags)
    table = "" if len(failed) == len(names) else f"; the table is {arguments.output}/zoo.md"
    print(f"{len(names) - len(failed)} of {len(names)} networks{table}")
    return 1 if failed else 0
