"""All networks and encoders by name: ours, those of installed packages, those that a program registers.

A package that has some names a module of it in its metadata, under the group of entry points `keras_seg`; the
module's `NETWORKS` and `ENCODERS` are tuples of rows, as in the files of `keras_seg/models` and
`keras_seg/encoders`. Ours are found in the same way, by the names of the modules, so that rooms below can ask
for the row of a network without knowing any.
"""

import importlib
import logging
import pkgutil
from importlib.metadata import entry_points
from typing import Any

from keras_seg.errors import InputError
from keras_seg.rows import Encoder, Network

GROUP = "keras_seg"
HOMES = ("keras_seg.encoders", "keras_seg.models")
_ROWS: dict[type, dict[str, Any]] = {Network: {}, Encoder: {}}
_loaded: list[
    str
] = []  # What has been loaded, or is being loaded, in this order: ours, then those of packages.


def register(*rows: Encoder | Network) -> None:
    """Makes networks and encoders known to every command and function, by their names.

    Args:
        *rows: `keras_seg.Network` and `keras_seg.Encoder`.

    Raises:
        InputError: One is neither, or has the name of another one.
    """
    _load_ours()
    _add(rows)


def networks():
    """Returns every `Network` by its name: ours by the age of their papers, then the others."""
    _load()
    return dict(_ROWS[Network])


def encoders():
    """Returns every `Encoder` by its name."""
    _load()
    return dict(_ROWS[Encoder])


def default_preprocessing(network):
    """The preprocessing of a network that is built without options; None where its row does not say it.

    Args:
        network: Its row.
    """
    encoder = encoders().get(network.default_encoder)
    own = network.default("preprocessing") or network.preprocessing
    return own or (encoder and encoder.preprocessing)


def _add(rows):
    tables = {kind: dict(table) for kind, table in _ROWS.items()}
    for row in rows:
        table = tables.get(type(row))
        if table is None:
            raise InputError(
                f"{row!r} is neither a keras_seg.Network nor a keras_seg.Encoder; register one of these"
            )
        other = table.get(row.name)
        if other not in (None, row) and (_home(other) != _home(row) or _is_ours(row)):
            raise InputError(
                f"{type(row).__name__} {row.name} of {_home(row)[0]} has the name of one of "
                f"{_home(other)[0]}; give it another"
            )
        table[row.name] = row
    _ROWS.update(tables)  # All of them or none.


def _home(row):
    """Where a row's builder is: a notebook's cell that runs again registers it again."""
    return row.builder.__module__, row.builder.__qualname__


def _is_ours(row):
    return _home(row)[0].startswith("keras_seg.")


def _load():
    _load_ours()
    if GROUP in _loaded:
        return
    _loaded.append(GROUP)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (_package(entry)[0], entry.name)):
        try:
            module = entry.load()
            if not (hasattr(module, "NETWORKS") or hasattr(module, "ENCODERS")):
                raise InputError(f"{entry.value} has neither NETWORKS nor ENCODERS")
            _add(_rows_of(module))
        except Exception as error:  # Whatever it is, the networks of others are still there.
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            logging.getLogger(__name__).warning(
                "warning: the package %s %s is left out, because its networks cannot be loaded "
                "(%s = %s): %s; repair or uninstall it",
                *(*_package(entry), entry.name, entry.value, reason),
            )


def _package(entry):
    """Name and version of the installed package that an entry point is of."""
    return (entry.dist.name, entry.dist.version) if entry.dist else ("", "")


def _load_ours():
    if _loaded:
        return
    _loaded.extend(HOMES)
    modules = [
        importlib.import_module(f"{home}.{each.name}")
        for home in HOMES
        for each in pkgutil.iter_modules(importlib.import_module(home).__path__)
    ]
    rows = [row for module in modules for row in _rows_of(module)]
    _add(sorted(rows, key=lambda row: getattr(row, "paper", "")))


def _rows_of(module):
    """The rows in a module of ours."""
    return (*getattr(module, "ENCODERS", ()), *getattr(module, "NETWORKS", ()))
