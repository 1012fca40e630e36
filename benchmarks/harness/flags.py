"""What the flags of benchmarks take; anything else is told before measuring."""

import argparse
import os
from pathlib import Path


def figures_file(name):
    """The type of a flag that names a file for figures."""
    path = Path(name)
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{name} cannot be written; name a file in a folder that can")
    return path


def positive(text):
    """The type of a flag that takes a whole number of 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of 1 or more, received {text}")
    return int(text)


def network(name):
    """The type of a flag that names a network."""
    from keras_seg.models import MODELS  # Which imports TensorFlow.

    if name not in MODELS:
        raise argparse.ArgumentTypeError(f"no such network as {name}; choose of {', '.join(MODELS)}")
    return name
