"""Looks at every file of a data set before training and refuses what would train to a wrong label."""

from collections import Counter
from functools import partial
from pathlib import Path

from keras_seg.classes import MAX_CLASSES
from keras_seg.data.doctor.diagnosis import (
    class_warnings,
    doubtful_foreground,
    is_smeared,
    listed,
    palette_problems,
    stray_text,
    stray_values,
    value_problems,
    variety_problems,
)
from keras_seg.data.doctor.duplicates import (
    contradictory_masks,
    repeated_images,
    shared_images,
    similar_images,
)
from keras_seg.data.folders.inspection import Facts, Problem, inspect_mask, inspect_pair
from keras_seg.data.formats.headers import png_kind
from keras_seg.data.formats.reading import parallel_map
from keras_seg.data.samples import Dataset
from keras_seg.errors import InputError, spelled_out
from keras_seg.files import regular_file
from keras_seg.palette import IGNORE

_PROBED = 16  # Masks that are decoded to see whether they hold colors
_KINDS = (
    "unreadable",
    "size",
    "color",
    "value",
    "foreground",
    "palette",
    "leak",
    "contradiction",
    "variety",
)  # In the order in which they are told


def check_dataset(dataset: Dataset) -> list[str]:
    """Reads every image and mask once, in parallel: the quick form of the doctor.

    Returns:
        Warnings, a line for each kind: the first, with the number of others of its kind.

    Raises:
        InputError: one line on the first problem, with the number of others of its kind.
    """
    facts = _look(dataset, with_print=True)
    if problems := problems_of(dataset, facts):
        raise InputError(_first_of_each_kind(problems)[0])
    warnings = class_warnings(dataset, facts) + repeated_images(facts) + similar_images(facts)
    return _first_of_each_kind(warnings)


def find_problems(dataset: Dataset) -> list[Problem]:
    """Returns what is wrong with the files of a data set; empty where all is well."""
    return problems_of(dataset, _look(dataset))


def _look(dataset, with_print=False):
    by_color = dataset.mask_colors is not None
    look = partial(inspect_pair, by_color=by_color, with_print=with_print, kind=dataset.images)
    return {split: list(parallel_map(look, samples)) for split, samples in dataset.splits.items()}


def _first_of_each_kind(problems):
    counts = Counter(problem.kind for problem in problems)
    first = {problem.kind: spelled_out(problem.text) for problem in reversed(problems)}
    return [
        first[kind] + (f" ({count - 1} more like it)" if count > 1 else "") for kind, count in counts.items()
    ]


def problems_of(dataset: Dataset, facts: dict[str, list[Facts]]) -> list[Problem]:
    """Returns the errors in what is known of each split's pairs, the gravest first."""
    every = [fact for split in facts.values() for fact in split]
    problems = [fact.problem for fact in every if fact.problem]
    counted = [fact for fact in every if not fact.problem]
    problems += value_problems(dataset, counted) + doubtful_foreground(dataset, counted)
    problems += palette_problems(dataset, counted) + shared_images(facts) + contradictory_masks(facts)
    if not problems and facts.get("train"):
        problems = variety_problems(dataset, facts["train"])
    return sorted(problems, key=lambda problem: _KINDS.index(problem.kind))


def scan_masks(root, masks) -> list[Facts]:
    """Reads all masks, and returns what is known of each; raises InputError."""
    facts = []
    for fact in parallel_map(inspect_mask, masks):
        if fact.problem:
            raise InputError(fact.problem.text)
        facts.append(fact)
    return facts


def count_values(facts: list[Facts]) -> Counter:
    """Returns the values that the masks hold, and their pixels."""
    counts = Counter()
    for fact in facts:
        counts.update(fact.counts)
    return counts


def classes_of_values(root, facts: list[Facts], ignored=frozenset(), reduce_zero_label=False):
    """Finds how many classes there are.

    Masks of 0 and 255 alone are taken as two classes, background and foreground: as void, 255 would leave
    only one class to learn.

    Args:
        root: the data folder, for messages.
        facts: what is known of the masks.
        ignored: mask values that are no class.
        reduce_zero_label: whether 0 is ignored and class ids start at the value 1.

    Returns:
        (number of classes, the mask value of each or None where the values are the ids).

    Raises:
        InputError: the values look like anything but ids.
    """
    counts = count_values(facts)
    present = set(counts)
    if not ignored and not reduce_zero_label and present == {0, IGNORE}:
        return 2, (0, IGNORE)
    first = 1 if reduce_zero_label else 0
    values = sorted(present - {IGNORE, *ignored, *range(first)})
    if not values:
        raise InputError(f"{root}: every pixel of every mask is ignored; masks must hold ids 0, 1, 2 ...")
    count = values[-1] + 1 - first
    if count > MAX_CLASSES or 2 * len(values) < count:
        cure = "list the value of each class in dataset.json as `mask_values`, or all names as `classes`"
        strays = {value: fact for value, fact in stray_values(facts).items() if value in values}
        if is_smeared({value: pixels for value, pixels in counts.items() if value not in strays}):
            cure = (
                "they look like masks that went through JPEG or smooth scaling: make them anew as PNG, with"
                " nearest-neighbor scaling"
            )
        elif strays:
            raise InputError(
                f"{stray_text(strays, facts)}; if all of {listed(sorted(present))} are classes, {cure}."
            )
        raise InputError(
            f"{root}: the masks hold the values {listed(sorted(present))}, which are no ids {first},"
            f" {first + 1} ...; {cure}."
        )
    return count, tuple(range(1, count + 1)) if reduce_zero_label else None


def are_colored(masks: list[Path]) -> bool:
    """Tells whether most masks are stored in color and one of the first of these is not just grey."""
    are_stored = parallel_map(_is_stored_in_color, masks)
    stored = [path for path, is_stored in zip(masks, are_stored, strict=True) if is_stored]
    if 2 * len(stored) < len(masks):
        return False
    return any(inspect_mask(path).colors for path in stored[:_PROBED])


def _is_stored_in_color(path):
    try:
        with regular_file(path).open("rb") as file:
            kind = png_kind(file.read(26))
    except (InputError, OSError):
        return False
    return kind is None or kind.color_type in (2, 6)
