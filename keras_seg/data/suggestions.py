"""A dataset.json for a folder, from what its masks hold."""

from collections import Counter

import numpy as np

from keras_seg.data.diagnosis import is_smeared
from keras_seg.data.labels import NO_CLASS, code_color, label_table
from keras_seg.data.samples import default_names
from keras_seg.palette import IGNORE, default_colors

_MOST = 64  # Values or colors; more are no classes.


def suggest_description(described, dataset, facts) -> dict:
    """Returns the keys for a dataset.json.

    What dataset.json says already is kept. The rest is a guess, to be read before it is used: 0 and 255 are
    two classes, ids from 1 on are off by one, colors and far-apart values are classes in rising order.

    Args:
        described: Description of the folder.
        dataset: Dataset, or None where its classes are not clear.
        facts: Facts of all pairs.
    """
    counted = [fact for fact in facts if fact.counts]
    values = sorted(set().union(*(fact.counts for fact in counted)))
    # A mask of more colors went through JPEG; the others tell what was meant.
    colored = [fact.colors for fact in facts if fact.colors and len(fact.colors) <= _MOST]
    colors = sorted(set().union(*colored))
    told = described._asdict().items()
    keys = {key: value for key, value in told if value is not None and value is not False and value != ()}
    if dataset is not None and not dataset.mask_colors:
        keys |= _repaired(dataset, values)
    if not described.mask_colors and 0 < len(colors) <= _MOST and 2 * len(counted) < len(facts):
        keys |= _color_classes(described, colors)
    elif dataset is None and 0 < len(values) <= _MOST:
        counts = Counter()
        for fact in counted:
            counts.update(fact.counts)
        if not is_smeared(counts):
            keys["mask_values"] = values if _are_greys(values) else [v for v in values if v != IGNORE]
            keys["classes"] = default_names(len(keys["mask_values"]))
    if dataset is not None:
        keys.setdefault("classes", dataset.classes)
    if dataset is not None and "mask_colors" not in keys:
        keys.setdefault("colors", dataset.colors)
    return keys


def _are_greys(values):
    """Tells whether the values are steps from black to white, so that white is a class and not ignored."""
    return values[-1] == IGNORE and np.allclose(values, np.linspace(0, IGNORE, len(values)), atol=1)


def _repaired(dataset, values):
    """Keys that make classes of values that are none, or would be ignored by mistake."""
    if values == [0, IGNORE] and dataset.num_classes == 2:
        return {"mask_values": [0, IGNORE]}
    wrong = [value for value in values if label_table(dataset)[value] == NO_CLASS]
    is_unnamed = dataset.classes == default_names(dataset.num_classes)
    if dataset.mask_values is not None or 0 in values:
        return {}
    if is_unnamed and not wrong and 1 in values:
        names = default_names(dataset.num_classes - 1)
        return {"reduce_zero_label": True, "classes": names, "colors": dataset.colors[: len(names)]}
    return {"reduce_zero_label": True} if wrong == [dataset.num_classes] else {}


def _color_classes(described, codes):
    found = [code_color(code) for code in codes]
    voc = [tuple(color) for color in default_colors(256).tolist()]
    if set(found) <= set(voc):
        found = voc[: max(voc.index(color) for color in found) + 1]
        found = found if len(found) <= _MOST else [code_color(code) for code in codes]
    names = described.classes if described.classes and len(described.classes) == len(found) else None
    return {"mask_colors": found, "classes": names or default_names(len(found))}
