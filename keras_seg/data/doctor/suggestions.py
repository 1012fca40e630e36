"""A dataset.json for a folder, from what its masks hold."""

from collections import Counter
from typing import Any

import numpy as np

from keras_seg.data.folders.description import Description
from keras_seg.data.folders.values import is_smeared, stray_values
from keras_seg.data.folders.writing import content_of
from keras_seg.data.labels import NO_CLASS, code_color, label_table
from keras_seg.data.samples import Dataset, default_names
from keras_seg.palette import IGNORE, default_colors, voc_colors

_MOST = 64  # Values or colors; more are no classes.
_MEANINGS = ("mask_values", "mask_colors", "reduce_zero_label")  # Each excludes the others.


def suggest_description(described: Description, dataset: Dataset | None, facts: Any, by_color: bool) -> dict:
    """Returns the keys for a dataset.json.

    What dataset.json says already is kept, unless the masks cannot mean it. The rest is a guess, to be read
    before it is used: 0 and 255 are two classes, ids from 1 on are off by one, colors and far-apart values
    are classes in rising order.

    Args:
        described: Description of the folder.
        dataset: Dataset, or None where its classes are not clear.
        facts: Facts of all pairs.
        by_color: whether the facts count colors, and not values.
    """
    keys = content_of(described)
    guess = {} if by_color else _guess(described, dataset, facts)
    if guess:
        keys = {key: value for key, value in keys.items() if key not in _MEANINGS} | guess
    _keep_ignored(keys, by_color or "mask_colors" in keys)
    if dataset is not None:
        keys.setdefault("classes", dataset.classes)
    if "classes" in keys and len(keys.get("colors", keys["classes"])) != len(keys["classes"]):
        del keys["colors"]
    if dataset is not None and "mask_colors" not in keys and len(keys["classes"]) == dataset.num_classes:
        keys.setdefault("colors", dataset.colors)
    return keys


def _guess(described, dataset, facts):
    """Returns what masks that are read by their values should have in dataset.json, if it is not there."""
    counted = [fact for fact in facts if fact.counts]
    # A mask of more colors went through JPEG; the others tell what was meant.
    colored = [fact.colors for fact in facts if fact.colors and len(fact.colors) <= _MOST]
    colors = sorted(set().union(*colored))
    if 0 < len(colors) <= _MOST and 2 * len(counted) < len(facts):
        return _color_classes(described, colors)
    values = sorted(set().union(*(fact.counts for fact in counted)))
    if dataset is not None:
        return _repaired(dataset, values)
    counts, strays = Counter(), stray_values(counted)
    for fact in counted:
        counts.update({value: pixels for value, pixels in fact.counts.items() if value not in strays})
    return {} if is_smeared(counts) else _value_classes(described, values, strays)


def _value_classes(described, values, strays):
    ignored = set(_possible((described.ignore_label, *(described.ignore_labels or ())), by_color=False))
    labels = {}
    if described.reduce_zero_label:
        ignored.add(0)
        labels = {"ignore_labels": (*(described.ignore_labels or ()), 0)}
    if strays := sorted(strays.keys() - ignored - {IGNORE}):
        ignored.update(strays)
        labels = {"ignore_labels": (*labels.get("ignore_labels", described.ignore_labels or ()), *strays)}
    kept = [value for value in values if value not in ignored]
    if kept and not _are_greys(kept):
        kept = [value for value in kept if value != IGNORE]
    if not 0 < len(kept) <= _MOST:
        return {}
    return {"mask_values": kept, "classes": _names(described, len(kept))} | labels


def _are_greys(values):
    """Tells whether the values are steps from black to white, so that white is a class and not ignored."""
    return values[-1] == IGNORE and np.allclose(values, np.linspace(0, IGNORE, len(values)), atol=1)


def _repaired(dataset, values):
    """Keys that make classes of values that are none, or would be ignored by mistake."""
    is_told = IGNORE in (dataset.ignore_label, *dataset.ignore_labels)
    if values == [0, IGNORE] and dataset.num_classes == 2 and not is_told:
        return {"mask_values": [0, IGNORE]}
    wrong = [value for value in values if label_table(dataset)[value] == NO_CLASS]
    if dataset.mask_values is not None or 0 in values or dataset.is_binary:
        return {}
    if not dataset.is_named and not wrong and 1 in values:
        names = default_names(dataset.num_classes - 1)
        return {"reduce_zero_label": True, "classes": names, "colors": dataset.colors[: len(names)]}
    return {"reduce_zero_label": True} if wrong == [dataset.num_classes] else {}


def _color_classes(described, codes):
    found = [code_color(code) for code in codes]
    for table in (voc_colors(256), default_colors(255)):
        known = [tuple(color) for color in table.tolist()]
        if set(found) <= set(known):
            last = max(known.index(color) for color in found)
            found = known[: last + 1] if last < _MOST else found
            break
    labels = (described.ignore_label, *(described.ignore_labels or ()))
    ignored = {(label,) * 3 if isinstance(label, int) else label for label in labels}
    found = [color for color in found if color not in ignored]
    return {"mask_colors": found, "classes": _names(described, len(found))} if found else {}


def _names(described, count):
    """Returns the names that were given, where they are as many."""
    names = described.classes or ()
    return names if len(names) == count else default_names(count)


def _keep_ignored(keys, by_color):
    """Leaves of the labels to ignore those that the masks can hold."""
    if not _possible([keys.get("ignore_label")], by_color):
        keys.pop("ignore_label", None)
    if labels := _possible(keys.pop("ignore_labels", ()), by_color):
        keys["ignore_labels"] = labels


def _possible(labels, by_color):
    """Returns the labels that masks in color, or masks of values, can hold; a grey is a value as well."""
    if by_color:
        return [label for label in labels if label is not None and np.max(label) <= IGNORE]
    colors = {label: label[0] for label in labels if isinstance(label, tuple) and len(set(label)) == 1}
    return [colors.get(label, label) for label in labels if isinstance(label, int) or label in colors]
