"""From what the masks hold to what is wrong with it, with a guess at the cause and the way out."""

import itertools
from collections import Counter

import numpy as np

from keras_seg.data.folders.inspection import Facts, Problem
from keras_seg.data.folders.tally import count_classes
from keras_seg.data.folders.values import is_smeared, stray_text, stray_values
from keras_seg.data.labels import NO_CLASS, code_color, label_table
from keras_seg.data.samples import Dataset
from keras_seg.errors import fix_command
from keras_seg.palette import IGNORE
from keras_seg.texts import listed

_STRETCH = 257  # From 8 bits to 16: 255 becomes 65535.
_MANY = 8  # Wrong values in one mask that nobody meant


def value_problems(dataset: Dataset, facts: list[Facts]) -> list[Problem]:
    """Returns a problem for each mask with a value or color that is neither a class nor ignored."""
    table = label_table(dataset)
    wrong = [{value: n for value, n in fact.counts.items() if table[value] == NO_CLASS} for fact in facts]
    files_with = Counter(itertools.chain.from_iterable(wrong))
    held: set[int] = set().union(*(fact.counts for fact in facts))
    ignored = {value for value in held if table[value] == IGNORE}
    thing = "color RGB" if dataset.mask_colors else "value"
    problems = []
    for fact, counts in zip(facts, wrong, strict=True):
        if counts:
            value = max(counts, key=lambda value: counts[value])
            others = [_shown(dataset, other) for other in sorted(set(files_with) - {value})]
            text = (
                f"{fact.mask}: {counts[value]} pixels have the {thing} {_shown(dataset, value)},"
                f" which is not a class ({_known_text(dataset)});"
                f" {files_with[value]} of {len(facts)} masks have it"
                f"{f', and there are {listed(others)}' if others else ''};"
                f" {_cure(dataset, value, fact.counts, counts, held, ignored)}"
            )
            problems.append(Problem("value", text))
    return problems


def variety_problems(dataset: Dataset, facts: list[Facts]) -> list[Problem]:
    """Less than two classes to learn: nearly always a misunderstanding about the mask values."""
    held = sorted({value for fact in facts for value in fact.counts})
    learned = set(label_table(dataset)[held].tolist()) - {IGNORE}
    if len(learned) > 1:
        return []
    if held == [0, IGNORE]:
        cure = 'if 255 is a class, put "mask_values": [0, 255] into dataset.json'
        if dataset.num_classes == 2 and dataset.root:
            cure += f", as {fix_command(dataset.root)} does"
    else:
        cure = "check the masks, --ignore-label and dataset.json"
    name, shown = dataset.root or dataset.name, listed([_shown(dataset, value) for value in held])
    return [Problem("variety", f"{name}: the train masks hold only {shown}: no two classes; {cure}.")]


def doubtful_foreground(dataset: Dataset, facts: list[Facts]) -> list[Problem]:
    """Masks of 0 and 255 alone among others: binary ones, which would teach only class 0.

    Among masks of more classes only where none of these has ignored pixels of 255.
    """
    is_told = IGNORE in (dataset.ignore_label, *dataset.ignore_labels, *(dataset.mask_values or ()))
    if is_told or dataset.mask_colors is not None or label_table(dataset)[0] == IGNORE:
        return []
    doubtful = [fact for fact in facts if set(fact.counts) == {0, IGNORE}]
    held: set[int] = set().union(*(fact.counts for fact in facts if set(fact.counts) != {0, IGNORE}))
    others = sorted(held - {0, IGNORE})
    if not others or (dataset.num_classes > 2 and IGNORE in held):
        return []
    return [
        Problem(
            "foreground",
            f"{fact.mask}: holds 0 and 255, and other masks hold {listed(others, most=3)};"
            f" if its {fact.counts[IGNORE]} pixels of 255 are foreground, write the id of their class there;"
            ' if they should be ignored, put "ignore_labels": [255] into dataset.json.',
        )
        for fact in doubtful
    ]


def palette_problems(dataset: Dataset, facts: list[Facts]) -> list[Problem]:
    """Returns a problem for each palette mask whose colors have other indices than in the masks before it.

    Of a color that two indices of a mask share nothing follows, and where `mask_values` are told, the
    indices are meant.
    """
    if dataset.mask_values is not None:
        return []
    first: dict[tuple[int, int, int], tuple[int, Facts]] = {}
    problems = []
    for fact in facts:
        colors = fact.palette or {}
        if len(set(colors.values())) < len(colors):
            continue
        moved = [item for item in colors.items() if first.setdefault(item[1], (item[0], fact))[0] != item[0]]
        for value, color in moved[:1]:
            index, other = first[color]
            text = (
                f"{fact.mask}: its palette has RGB {color} as {value}, and that of {other.mask} as {index}:"
                " the indices do not mean the same; read masks by color with --mask-colors FILE, or list"
                " the indices under `mask_values` in dataset.json if they are right."
            )
            problems.append(Problem("palette", text))
    return problems


def class_warnings(dataset: Dataset, facts: dict[str, list[Facts]]) -> list[Problem]:
    """Returns a problem for each split that lacks classes and for each mask that is ignored altogether."""
    name, problems, table = dataset.root or dataset.name, [], label_table(dataset)
    values = dataset.mask_values or range(dataset.num_classes)
    ignored = {} if dataset.mask_colors else dict(zip(dataset.classes, values, strict=True))
    ignored = {label: value for label, value in ignored.items() if table[value] == IGNORE}
    problems += [
        Problem(
            "ignored",
            f"{name}: the class {label} has the value {value}, which is ignored: it cannot be learned;"
            " correct `ignore_label` or --ignore-label, or take the class out.",
        )
        for label, value in ignored.items()
    ]
    if dataset.mask_values is None and not dataset.is_named:
        every = [fact for found in facts.values() for fact in found if fact.counts]
        strays = {value: at for value, at in stray_values(every).items() if table[value] < NO_CLASS}
        if strays:
            text = f"{stray_text(strays, every)}; if it is a class, name all under `classes` in dataset.json."
            problems.append(Problem("stray", text))
    for split, tally in count_classes(dataset, facts).items():
        absent = [
            label
            for label, count in zip(dataset.classes, tally.pixels, strict=True)
            if not count and label not in ignored
        ]
        if absent:
            cure = "it cannot be learned" if split == "train" else "it has no IoU there"
            text = f"{name}: {split} holds no pixel of {listed(absent)}; {cure}: add images of it."
            # Names that nobody gave tell nothing of where the ids start.
            is_first = split == "train" and absent[0] == dataset.classes[0]
            if is_first and not dataset.is_named and not dataset.is_binary:
                text += " Do the ids start at 1? Then --reduce-zero-label."
            problems.append(Problem("absent", text))
    return problems + [
        Problem("void", f"{fact.mask}: every pixel is ignored; label it or leave the pair out.")
        for found in facts.values()
        for fact in found
        if fact.counts and (table[list(fact.counts)] == IGNORE).all()
    ]


def _shown(dataset, value):
    return code_color(value) if dataset.mask_colors else value


def _known_text(dataset):
    if dataset.mask_colors is not None:
        return f"the {dataset.num_classes} classes have the colors {listed(dataset.mask_colors, most=3)}"
    if dataset.mask_values is not None:
        classes = f"classes have the values {listed(dataset.mask_values)}"
    else:
        classes = f"the {dataset.num_classes} classes are 0 to {dataset.num_classes - 1}"
    ignored = {IGNORE, dataset.ignore_label, *dataset.ignore_labels} - {None} - set(dataset.mask_values or ())
    return f"{classes}; ignored: {listed(sorted(label for label in ignored if isinstance(label, int)))}"


def _cure(dataset, value, counts, wrong, held, ignored):
    if len(wrong) >= _MANY and is_smeared(counts, by_color=dataset.mask_colors is not None):
        return (
            f"its {len(counts)} {'colors' if dataset.mask_colors else 'values'} look like a mask that went"
            " through JPEG or smooth scaling: create it again as PNG, with nearest-neighbor scaling."
        )
    if dataset.mask_colors is not None:
        color = list(code_color(value))
        return (
            f'add the color to the color table, or ignore it with "ignore_labels": [{color}] in dataset.json.'
        )
    last = dataset.num_classes
    if dataset.mask_values is None and value == last and 0 not in held and max(held - {IGNORE}) == last:
        return (
            f"the ids run from 1 to {last}, off by one: --reduce-zero-label makes 1 the first class, and"
            f" {fix_command(dataset.root)} says so in dataset.json."
        )
    is_known = label_table(dataset) != NO_CLASS
    values = np.array([number for number in counts if number != IGNORE])
    if 0 in held and min(values) > 0 and is_known[values - 1].all():
        return "this mask has no 0, as others do, and its values are right if 1 is taken off: off by one."
    if max(values) > IGNORE and not (values % _STRETCH).any() and is_known[values // _STRETCH].all():
        return f"its values are {_STRETCH} times 8-bit ids: divide them by {_STRETCH} and save 8 bits."
    meant = sorted(held - ignored)
    if dataset.mask_values is None and len(meant) == last:
        return (
            f'if {listed(meant)} are the classes in this order, put "mask_values": {meant} into dataset.json;'
            f" else ignore it with --ignore-label {value}."
        )
    name_it = "name its class under `classes` in dataset.json"
    if dataset.ignore_label is None:
        return f"ignore it with --ignore-label {value}, or {name_it}."
    ignore_it = f'ignore it too with "ignore_labels": [{value}] in dataset.json'
    return f"{name_it}, or {ignore_it} (`ignore_label` is {dataset.ignore_label} already)."
