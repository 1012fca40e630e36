"""The doctor: reads a whole data folder once and reports all that could hurt, with the way out."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from keras_seg.data.doctor.checks import problems_of
from keras_seg.data.doctor.diagnosis import class_warnings
from keras_seg.data.doctor.duplicates import doubled_images, similar_images
from keras_seg.data.doctor.suggestions import suggest_description
from keras_seg.data.folders.dataset import (
    describe,
    image_kind,
    mask_colors_of,
    open_source,
    with_options,
    with_val,
)
from keras_seg.data.folders.description import Description
from keras_seg.data.folders.index import facts_of
from keras_seg.data.folders.inspection import Problem
from keras_seg.data.folders.pairs import Found
from keras_seg.data.folders.tally import class_weights_of, count_classes
from keras_seg.data.formats.bands import Moments, joined_moments
from keras_seg.data.samples import Dataset
from keras_seg.data.shapes import draw_shapes
from keras_seg.errors import InputError

CLEAN, WARNED, FAILED = 0, 1, 2


@dataclass(frozen=True)
class Report:
    """What the doctor found.

    Attributes:
        root: the data folder, or `shapes`.
        pairs: split name to the number of pairs.
        sizes: images per (width, height).
        formats: pairs per (image format, mask format).
        dataset: the data set as it would be trained on, or None where its classes are not clear.
        pixels: split name to pixels per class, int64 [C]; of readable pairs.
        images: split name to the number of images per class, int64 [C].
        ignored: split name to the number of ignored pixels.
        weights: median frequency weights of the classes in train, None for a class that is not there; empty
            where there are no classes.
        errors, warnings: all problems.
        suggestion: content for dataset.json.
        moments: of the channels of train, or of all images where there is none; None if none can be read.
    """

    root: Path
    pairs: dict[str, int]
    sizes: Counter
    formats: Counter
    dataset: Dataset | None
    pixels: dict[str, np.ndarray]
    images: dict[str, np.ndarray]
    ignored: dict[str, int]
    weights: list[float | None]
    errors: list[Problem]
    warnings: list[Problem]
    suggestion: dict
    moments: Moments | None = None

    @property
    def status(self) -> int:
        """0 clean, 1 warnings, 2 errors."""
        return FAILED if self.errors else WARNED if self.warnings else CLEAN


def examine(source: Any, **options: Any) -> Report:
    """Reads everything that is not in the index, with all cores.

    Args:
        source: a data folder, list file or "shapes", as for `load_dataset`.
        options: `ignore_label`, `mask_colors`, `reduce_zero_label`, `binary` and `channels`, as for
            `load_dataset`.

    Raises:
        InputError: there is no data set to read there at all.
    """
    root, described, found = _drawn() if str(source) == "shapes" else open_source(source)
    described = with_options(described, **options)
    errors = [Problem("orphan", text) for _, orphans in found.values() for text in orphans]
    splits = {name: pairs for name, (pairs, _) in found.items() if pairs}
    if not splits:
        raise InputError(errors[0].text if errors else f"{root}: holds no pairs; add some.")
    warnings = []
    if "train" not in splits:
        text = f"{root}: has no train split, only {', '.join(splits)}: it can be evaluated, not trained on."
        warnings.append(Problem("split", text))
    elif "val" not in found:
        try:
            splits = with_val(root, splits, 0.2, 0)
            text = f"{root}: has no val split; training sets {len(splits['val'])} of its pairs aside."
            warnings.append(Problem("split", text))
        except InputError as error:
            errors.append(Problem("split", str(error)))
    masks = [sample.mask for samples in splits.values() for sample in samples]
    by_color = bool(mask_colors_of(described, masks))
    facts = _look(splits, by_color, image_kind(described, splits))
    dataset = None
    try:
        dataset = describe(root, splits, described, scan=partial(_masks_of, facts))
    except InputError as error:
        errors.append(Problem("classes", str(error)))
        errors += [fact.problem for fact in _every(facts) if fact.problem]
    if dataset is not None:
        errors += problems_of(dataset, facts)
    tables = count_classes(dataset, facts) if dataset is not None else {}
    if dataset is not None:
        warnings += class_warnings(dataset, facts)
    warnings += doubled_images(facts) + similar_images(facts)
    return Report(
        root=root,
        pairs={name: len(samples) for name, samples in splits.items()},
        sizes=Counter(fact.size[::-1] for fact in _every(facts) if fact.size),
        formats=Counter(fact.formats for fact in _every(facts) if fact.size and fact.formats[0] != "array"),
        dataset=dataset,
        pixels={split: table.pixels for split, table in tables.items()},
        images={split: table.images for split, table in tables.items()},
        ignored={split: table.ignored for split, table in tables.items()},
        weights=_shown_weights(dataset, facts["train"]) if "train" in tables else [],
        errors=errors,
        warnings=warnings,
        suggestion=suggest_description(described, dataset, _every(facts), by_color),
        moments=joined_moments(fact.moments for fact in facts.get("train", _every(facts)) if fact.moments),
    )


def _shown_weights(dataset, facts):
    weights = class_weights_of(dataset, facts)
    return [None if np.isnan(weight) else round(float(weight), 4) for weight in weights]


def _drawn():
    """Returns what `open_source` does, of the data set that the program draws."""
    dataset = draw_shapes()
    # Its colors are for images alone.
    described = Description(dataset.classes, dataset.colors, mask_colors=False)
    return Path(dataset.name), described, {name: Found(pairs, []) for name, pairs in dataset.splits.items()}


def _look(splits, by_color, kind):
    found = iter(facts_of([sample for samples in splits.values() for sample in samples], kind, by_color))
    return {split: list(islice(found, len(samples))) for split, samples in splits.items()}


def _every(facts):
    return [fact for found in facts.values() for fact in found]


def _masks_of(facts, root, masks):
    """Does what `scan_masks` does, with what was read already; unreadable masks are told elsewhere."""
    found = [fact for fact in _every(facts) if fact.counts]
    if not found:
        raise InputError(f"{root}: no mask holds values that could be classes.")
    return found
