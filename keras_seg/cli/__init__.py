"""The command line: one file a command, each of flags -> one library call -> a printed result."""

from keras_seg.cli.main import main

__all__ = ["main"]
