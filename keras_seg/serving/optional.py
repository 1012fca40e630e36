"""Packages that only some exports need."""

import importlib

from keras_seg.errors import InputError


def import_optional(name, extra, path):
    """Imports a package of one of the extras in setup.cfg.

    Args:
        name: dotted name of the module.
        extra: name of the extra.
        path: the file that is to be written or checked with it.

    Returns:
        The module.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.partition(".")[0].replace("_", "-")
        raise InputError(f"{path}: needs {package}; pip install 'keras-seg[{extra}]'") from None
