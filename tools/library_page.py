"""The page of the library, docs/reference/library.md, from the names that the rooms make public."""

import importlib
import inspect

# Room -> what is said of it. Its public names are those of its `__all__`.
ROOMS = {
    "keras_seg": "What most programs need, from `import keras_seg`.",
    "keras_seg.data": "Data sets, and what masks mean.",
    "keras_seg.layers": "What Keras lacks; a saved network holds these and Keras's own.",
    "keras_seg.losses": "Losses that skip the ignored pixels; [Losses](losses.md) has their formulas.",
    "keras_seg.metrics": "Metrics of one confusion matrix, boundary IoU: [Metrics](metrics.md).",
    "keras_seg.acceleration": "The same outputs sooner: [Acceleration](../explanation/acceleration.md).",
    "keras_seg.inference": "Masks of images and files.",
    "keras_seg.evaluation": "Metrics of a data set.",
    "keras_seg.serving": "SavedModels and their client.",
}
HEAD = """\
# Library

Each entry is the docstring in the code.
"""


def public_objects():
    """Yields `(room, name, object)` of each public class and function, each once."""
    seen = set()
    for room in ROOMS:
        module = importlib.import_module(room)
        for name in module.__all__:
            found = getattr(module, name)
            if (inspect.isclass(found) or inspect.isfunction(found)) and id(found) not in seen:
                seen.add(id(found))
                yield room, name, found


def without_docstrings(objects=None):
    """Returns the public names, and the public methods of public classes, that have no docstring."""
    missing = []
    for room, name, found in objects or public_objects():
        missing += [] if found.__doc__ else [f"{room}.{name}"]
        if inspect.isclass(found):
            missing += [f"{room}.{name}.{method}" for method in _undescribed(found)]
    return missing


def _undescribed(found):
    """The public methods and properties of a class that neither it nor a base class describes."""
    return [
        name
        for name, value in vars(found).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, property | classmethod | staticmethod))
        and not any(hasattr(base, name) for base in found.__bases__)
        and not value.__doc__
    ]


def format_page():
    """Returns the page: for each public name what the site's generator reads its docstring by."""
    parts, current = [HEAD], None
    for room, _, found in public_objects():
        if room != current:
            parts.append(f"## {room}\n\n{ROOMS[room]}\n")
            current = room
        path = f"{found.__module__}.{found.__qualname__}"
        parts.append(f"::: {path}\n")
    return "\n".join(parts)
