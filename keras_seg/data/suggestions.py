"""A dataset.json for a folder, from what its masks hold."""

from keras_seg.data.folders import default_names
from keras_seg.data.labels import NO_CLASS, code_color, label_table
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
    keys = {key: value for key, value in described._asdict().items() if value is not None}
    if dataset is not None and not dataset.mask_colors:
        keys |= _repaired(dataset, values)
    if not described.mask_colors and 0 < len(colors) <= _MOST and 2 * len(counted) < len(facts):
        keys |= _color_classes(described, colors)
    elif dataset is None and 0 < len(values) <= _MOST:
        keys["mask_values"] = [value for value in values if value != IGNORE]
        keys["classes"] = default_names(len(keys["mask_values"]))
    if dataset is not None:
        keys.setdefault("classes", dataset.classes)
    if dataset is not None and "mask_colors" not in keys:
        keys.setdefault("colors", dataset.colors)
    return keys


def _repaired(dataset, values):
    """Keys that make classes of values that are none, or would be ignored by mistake."""
    if values == [0, IGNORE] and dataset.num_classes == 2:
        return {"mask_values": [0, IGNORE]}
    wrong = [value for value in values if label_table(dataset)[value] == NO_CLASS]
    is_off_by_one = dataset.mask_values is None and wrong == [dataset.num_classes] and 0 not in values
    return {"reduce_zero_label": True} if is_off_by_one else {}


def _color_classes(described, codes):
    found = [code_color(code) for code in codes]
    voc = [tuple(color) for color in default_colors(256).tolist()]
    if set(found) <= set(voc):
        found = voc[: max(voc.index(color) for color in found) + 1]
        found = found if len(found) <= _MOST else [code_color(code) for code in codes]
    names = described.classes if described.classes and len(described.classes) == len(found) else None
    return {"mask_colors": found, "classes": names or default_names(len(found))}
