"""The meaning of the values or colors in masks, if no description names the classes."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

from keras_seg.classes import MAX_CLASSES
from keras_seg.data.folders.index import facts_of_masks
from keras_seg.data.folders.inspection import Facts, lone_mask_facts
from keras_seg.errors import InputError, fix_command
from keras_seg.palette import IGNORE
from keras_seg.texts import listed

_PROBED = 16  # Masks, one of which must hold colors where these are classes
_IN_COLOR = (2, 6)  # Color types of PNG: RGB, and with alpha
_NEAR = 24  # Levels by which JPEG or smooth scaling moves a value, as a rule
_STRAY = 0.001  # Of a mask's pixels, the most that nobody may have meant


def scan_masks(root: Path, masks: Any) -> list[Facts]:
    """Returns the facts about each mask, read by its values; raises InputError."""
    facts = [lone_mask_facts(mask, fact) for mask, fact in zip(masks, facts_of_masks(masks), strict=True)]
    for fact in facts:
        if fact.problem:
            raise InputError(fact.problem.text)
    return facts


def count_values(facts: list[Facts]) -> Counter:
    """Returns the values that the masks hold, and their pixels."""
    counts: Counter[int] = Counter()
    for fact in facts:
        counts.update(fact.counts)
    return counts


def classes_of_values(
    root: Path, facts: list[Facts], ignored: Collection[int] = frozenset(), reduce_zero_label: bool = False
) -> tuple[int, tuple[int, ...] | None]:
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
    if not are_ids(values, first):
        cure = "list the value of each class in dataset.json as `mask_values`, or all names as `classes`"
        strays = {value: fact for value, fact in stray_values(facts).items() if value in values}
        if is_smeared({value: pixels for value, pixels in counts.items() if value not in strays}):
            cure = (
                "they look like masks that went through JPEG or smooth scaling: create them again as PNG,"
                " with nearest-neighbor scaling"
            )
        elif strays:
            raise InputError(
                f"{stray_text(strays, facts)}, as {fix_command(root)} does; if all of"
                f" {listed(sorted(present))} are classes, {cure}."
            )
        else:
            cure += f"; {fix_command(root)} lists all values, in rising order"
        raise InputError(
            f"{root}: the masks hold the values {listed(sorted(present))}, which are no ids {first},"
            f" {first + 1} ...; {cure}."
        )
    return count, tuple(range(1, count + 1)) if reduce_zero_label else None


def are_ids(values: Any, first: int = 0) -> bool:
    """Tells whether values look like ids from the first one on, most of which occur."""
    count = max(values) + 1 - first
    return count <= MAX_CLASSES and 2 * len(values) >= count


def are_colored(masks: list[Path]) -> bool:
    """Tells whether most masks are stored in color and one of the first of these is not just grey."""
    readable = [fact for fact in facts_of_masks(masks) if fact.size]
    stored = [fact for fact in readable if fact.png is None or fact.png.color_type in _IN_COLOR]
    if 2 * len(stored) < len(readable):
        return False
    return any(fact.colors for fact in stored[:_PROBED])


def stray_values(facts: list[Facts]) -> dict[int, Facts]:
    """Returns the values that a few pixels of one mask alone have, and that mask; of three masks or more."""
    masks = Counter(value for fact in facts for value in fact.counts)
    return {
        value: fact
        for fact in facts
        for value, count in fact.counts.items()
        if len(facts) > 2 and masks[value] == 1 and count <= max(1, _STRAY * sum(fact.counts.values()))
    }


def stray_text(strays: dict[int, Facts], facts: list[Facts]) -> str:
    """Returns where the first of some `stray_values` is, how often, and how to ignore them all."""
    value, fact = min(strays.items(), key=lambda item: item[1].counts[item[0]])
    count = fact.counts[value]
    pixels = "1 pixel has" if count == 1 else f"{count} pixels have"
    cure = f"--ignore-label {value}"
    if len(strays) > 1:
        cure = f'"ignore_labels": {sorted(strays)} in dataset.json'
    return (
        f"{fact.mask}: {pixels} the value {value}, which no other of the {len(facts)} masks holds: correct"
        f" the mask, or ignore the value with {cure}"
    )


def is_smeared(counts: dict[int, int], by_color: bool = False) -> bool:
    """Tells whether most pixels share few values (or colors) and nearly all others lie near these."""
    pixels = sum(counts.values())
    frequent = [value for value, n in counts.items() if n > pixels / 100]
    is_few = 0 < len(frequent) <= len(counts) // 2
    if by_color:
        return is_few
    near = sum(n for value, n in counts.items() if any(abs(value - other) <= _NEAR for other in frequent))
    return is_few and near > 0.9 * pixels
