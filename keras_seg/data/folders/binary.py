"""One class against the background, told apart by a single logit: what the masks of such data sets mean."""

from collections.abc import Collection
from pathlib import Path

from keras_seg.classes import BINARY_CLASSES
from keras_seg.data.folders.description import Description
from keras_seg.data.folders.inspection import Facts
from keras_seg.data.folders.values import are_ids, count_values, stray_text, stray_values
from keras_seg.data.samples import Dataset
from keras_seg.errors import InputError
from keras_seg.palette import IGNORE
from keras_seg.texts import listed

_BLACK = (0, 0, 0)


def with_background(described: Description) -> Description:
    """Puts the background before a class that is listed alone: value 0, black.

    Returns:
        The Description with `binary` true or false.

    Raises:
        InputError: what is told contradicts it.
    """
    count = None if described.classes is None else len(described.classes)
    if not (count == 1 if described.binary is None else described.binary):
        return described._replace(binary=False)
    if described.reduce_zero_label:
        raise InputError(
            "--binary and --reduce-zero-label contradict each other: 0 is the background; keep one of them."
        )
    if count not in (None, 1, 2):
        raise InputError(
            f"--binary takes one class beside the background, and there are {count} classes:"
            f" {listed(described.classes)}; drop it (--no-binary), or list one under `classes`."
        )
    if count == 1:
        described = described._replace(
            classes=(BINARY_CLASSES[0], *(described.classes or ())),
            mask_values=_with_first(described.mask_values, 0, "mask_values"),
            colors=_with_first(described.colors, _BLACK, "colors"),
            mask_colors=_with_first(described.mask_colors, _BLACK, "mask_colors"),
        )
    return described._replace(binary=True)


def _with_first(values, background, key):
    if not isinstance(values, tuple) or len(values) != 1:
        return values
    if values[0] == background and key != "colors":
        raise InputError(f"`{key}` gives one class {background}, which is the background's; correct it.")
    return (background, *values)


def binary_values(root: Path, facts: list[Facts], ignored: Collection[int]) -> tuple[int, int] | None:
    """Returns the values of background and foreground in masks that hold values; None: 0 and 1.

    Where they hold 0 and 255 alone, 255 is the foreground: as void it would leave nothing to learn.

    Args:
        root: the data folder, for messages.
        facts: what is known of the masks.
        ignored: the values that are told to be ignored.

    Raises:
        InputError: they hold other values.
    """
    held = set(count_values(facts)) - set(ignored)
    if held == {0, IGNORE}:
        return 0, IGNORE
    if wrong := held - {0, 1, IGNORE}:
        one_class = "one class takes 0 and 1, or 0 and 255 alone"
        strays = {value: fact for value, fact in stray_values(facts).items() if value in wrong}
        if strays.keys() == wrong:
            raise InputError(f"{stray_text(strays, facts)}; {one_class}.")
        cure = "list its two values as `mask_values` in dataset.json"
        if are_ids(held - {IGNORE}):
            cure += ", or drop --binary"
        raise InputError(
            f"{root}: the masks hold the values {listed(sorted(held))}, and {one_class}; {cure}."
        )
    return None


def binary_line(dataset: Dataset) -> str:
    """Returns what the masks of one class mean, for the reader."""
    (background, foreground), what = dataset.classes, "RGB" if dataset.mask_colors else "value"
    first, second = dataset.mask_colors or dataset.mask_values or (0, 1)
    line = f"one class: {foreground} is {what} {second} of the masks, {background} {first}"
    if second == IGNORE:
        line += f"; {IGNORE} is not ignored, since they hold nothing else"
    return line
