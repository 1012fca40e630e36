"""Looks at every file of a data set before training and refuses what would train to a wrong label."""

from collections import Counter
from collections.abc import Iterable

from keras_seg.data.doctor.diagnosis import (
    class_warnings,
    doubtful_foreground,
    palette_problems,
    value_problems,
    variety_problems,
)
from keras_seg.data.doctor.duplicates import doubled_images, similar_images
from keras_seg.data.folders.index import facts_of_splits
from keras_seg.data.folders.inspection import Facts, Problem
from keras_seg.data.samples import Dataset
from keras_seg.errors import InputError, spelled_out

_KINDS = (
    "unreadable",
    "size",
    "color",
    "value",
    "foreground",
    "palette",
    "variety",
)  # In the order in which they are told


def check_dataset(
    dataset: Dataset, *, splits: Iterable[str] | None = None, strict: bool = False
) -> list[str]:
    """Reads every image and mask that is not in the index, in parallel: the quick form of the doctor.

    Args:
        dataset: Dataset.
        splits: names of the splits to look at; None: all.
        strict: whether an image that is there twice, in one split or two, with one mask or two, is an error.

    Returns:
        Warnings, a line for each kind: the first, with the number of others of its kind.

    Raises:
        InputError: one line on the first problem, with the number of others of its kind.
    """
    facts = facts_of_splits(dataset, splits)
    doubled = doubled_images(facts)
    if problems := problems_of(dataset, facts) + (doubled if strict else []):
        raise InputError(_first_of_each_kind(problems)[0])
    return _first_of_each_kind(doubled + class_warnings(dataset, facts) + similar_images(facts))


def find_problems(dataset: Dataset) -> list[Problem]:
    """Returns what is wrong with the files of a data set; empty where all is well."""
    return problems_of(dataset, facts_of_splits(dataset))


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
    problems += palette_problems(dataset, counted)
    if not problems and facts.get("train"):
        problems = variety_problems(dataset, facts["train"])
    return sorted(problems, key=lambda problem: _KINDS.index(problem.kind))
