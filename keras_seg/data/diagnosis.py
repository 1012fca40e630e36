"""From what the masks hold to what is wrong with it, with a guess at the cause and the way out."""

import itertools
from collections import Counter

from keras_seg.data.inspection import Facts, Problem
from keras_seg.data.labels import NO_CLASS, code_color, label_table
from keras_seg.data.samples import Dataset
from keras_seg.data.tally import count_classes
from keras_seg.palette import IGNORE

_NEAR = 24  # Levels by which JPEG or smooth scaling moves a value, as a rule
_MANY = 8  # Wrong values in one mask that nobody meant


def value_problems(dataset: Dataset, facts: list[Facts]) -> list[Problem]:
    """Returns a problem for each mask with a value or color that is neither a class nor ignored."""
    table = label_table(dataset)
    wrong = [{value: n for value, n in fact.counts.items() if table[value] == NO_CLASS} for fact in facts]
    files_with = Counter(itertools.chain.from_iterable(wrong))
    held = set().union(*(fact.counts for fact in facts)) if facts else set()
    thing = "color RGB" if dataset.mask_colors else "value"
    problems = []
    for fact, counts in zip(facts, wrong, strict=True):
        if counts:
            value = max(counts, key=counts.get)
            others = [_shown(dataset, other) for other in sorted(set(files_with) - {value})]
            text = (
                f"{fact.mask}: {counts[value]} pixels have the {thing} {_shown(dataset, value)},"
                f" which is no class ({_known_text(dataset)});"
                f" {files_with[value]} of {len(facts)} masks have it"
                f"{f', and there are {listed(others)}' if others else ''};"
                f" {_cure(dataset, value, fact.counts, counts, held)}"
            )
            problems.append(Problem("value", text))
    return problems


def variety_problems(dataset: Dataset, facts: list[Facts]) -> list[Problem]:
    """Less than two classes to learn: nearly always a misunderstanding about the mask values."""
    held = sorted(set().union(*(fact.counts for fact in facts)))
    learned = set(label_table(dataset)[held].tolist()) - {IGNORE}
    if len(learned) > 1:
        return []
    if held == [0, IGNORE]:
        cure = 'if 255 is a class, put "mask_values": [0, 255] into dataset.json'
    else:
        cure = "check the masks, --ignore-label and dataset.json"
    name, shown = dataset.root or dataset.name, listed([_shown(dataset, value) for value in held])
    return [Problem("variety", f"{name}: the train masks hold only {shown}: no two classes; {cure}.")]


def doubtful_foreground(dataset: Dataset, facts: list[Facts]) -> list[Problem]:
    """Binary masks of which some hold 0 and 1 and others 0 and 255: these would teach nothing but ground."""
    is_told = IGNORE in (dataset.ignore_label, *dataset.ignore_labels, *(dataset.mask_values or ()))
    if dataset.num_classes != 2 or is_told or dataset.mask_colors is not None:
        return []
    doubtful = [fact for fact in facts if set(fact.counts) == {0, IGNORE}]
    if not doubtful or not any(1 in fact.counts for fact in facts):
        return []
    return [
        Problem(
            "foreground",
            f"{fact.mask}: holds 0 and 255, and other masks hold 1; if its {fact.counts[IGNORE]} pixels of"
            ' 255 are foreground, write 1 there; if they shall be ignored, put "ignore_label": 255 into'
            " dataset.json.",
        )
        for fact in doubtful
    ]


def class_warnings(dataset: Dataset, facts: dict[str, list[Facts]], may_be_shifted=False) -> list[Problem]:
    """Returns a problem for each split that lacks classes and for each mask that is ignored altogether.

    Args:
        dataset: Dataset.
        facts: of each split's pairs.
        may_be_shifted: whether nobody named the classes, so that the ids may start at 1 unnoticed.
    """
    problems = []
    for split, tally in count_classes(dataset, facts).items():
        absent = [name for name, count in zip(dataset.classes, tally.pixels, strict=True) if not count]
        if absent:
            cure = "it cannot be learned" if split == "train" else "it has no IoU there"
            name = dataset.root or dataset.name
            text = f"{name}: {split} holds no pixel of {listed(absent)}; {cure}: add images of it."
            if split == "train" and may_be_shifted and absent[0] == dataset.classes[0]:
                text += " Do the ids start at 1? Then --reduce-zero-label."
            problems.append(Problem("absent", text))
    table = label_table(dataset)
    return problems + [
        Problem("void", f"{fact.mask}: every pixel is ignored; label it or leave the pair out.")
        for found in facts.values()
        for fact in found
        if fact.counts and (table[list(fact.counts)] == IGNORE).all()
    ]


def listed(values, most=8):
    """Returns the first values, and the last, as text."""
    shown = ", ".join(str(value) for value in list(values)[:most])
    return f"{shown} ... {values[-1]}" if len(values) > most else shown


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


def _cure(dataset, value, counts, wrong, held):
    if len(wrong) >= _MANY and _is_smeared(dataset, counts):
        return (
            f"its {len(counts)} {'colors' if dataset.mask_colors else 'values'} look like a mask that went"
            " through JPEG or smooth scaling: make it anew as PNG, with nearest-neighbor scaling."
        )
    if dataset.mask_colors is not None:
        color = list(code_color(value))
        return (
            f'add the color to the color table, or ignore it with "ignore_labels": [{color}] in dataset.json.'
        )
    last = dataset.num_classes
    if dataset.mask_values is None and value == last and 0 not in held and max(held - {IGNORE}) == last:
        return f"the ids run from 1 to {last}, off by one: --reduce-zero-label makes 1 the first class."
    name_it = "name its class under `classes` in dataset.json"
    if dataset.ignore_label is None:
        return f"ignore it with --ignore-label {value}, or {name_it}."
    return f"{name_it} (`ignore_label` is {dataset.ignore_label} already)."


def _is_smeared(dataset, counts):
    """Tells whether most pixels share few values and nearly all others lie near these or between."""
    pixels = sum(counts.values())
    frequent = [value for value, n in counts.items() if n > pixels / 100]
    is_few = 0 < len(frequent) <= len(counts) // 2
    if dataset.mask_colors is not None:
        return is_few
    near = sum(n for value, n in counts.items() if any(abs(value - other) <= _NEAR for other in frequent))
    return is_few and near > 0.9 * pixels
