"""The doctor: reads a whole data folder once and reports all that could hurt, with the way out."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from keras_seg.data.checks import are_colored, classes_of_values, problems_of
from keras_seg.data.diagnosis import listed
from keras_seg.data.duplicates import repeated_images, similar_images
from keras_seg.data.folders import describe, open_source, with_val
from keras_seg.data.inspection import Facts, Problem, inspect_pair
from keras_seg.data.labels import label_table
from keras_seg.data.reading import parallel_map
from keras_seg.data.samples import Dataset
from keras_seg.data.suggestions import suggest_description
from keras_seg.errors import InputError
from keras_seg.palette import IGNORE

CLEAN, WARNED, FAILED = 0, 1, 2


@dataclass(frozen=True)
class Report:
    """What the doctor found.

    Attributes:
        root: the data folder.
        pairs: split name to the number of pairs.
        sizes: images per (width, height).
        formats: pairs per (image format, mask format).
        dataset: the data set as it would be trained on, or None where its classes are not clear.
        pixels: split name to pixels per class, int64 [C]; of readable pairs.
        images: split name to the number of images per class, int64 [C].
        ignored: split name to the number of ignored pixels.
        weights: median frequency weights of the classes in train (Eigen and Fergus, 2015,
            arXiv:1411.4734), None for a class that is not there; empty where there are no classes.
        errors, warnings: all problems.
        suggestion: content for dataset.json.
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

    @property
    def status(self) -> int:
        """0 clean, 1 warnings, 2 errors."""
        return FAILED if self.errors else WARNED if self.warnings else CLEAN


def examine(source, progress=iter) -> Report:
    """Reads everything once, with all cores.

    Args:
        source: a data folder or list file, as for `load_dataset`.
        progress: wraps the iterable of facts and is given its `total`, such as `tqdm.tqdm`.

    Raises:
        InputError: there is no data set to read there at all.
    """
    root, described, found = open_source(source)
    errors = [Problem("orphan", text) for _, orphans in found.values() for text in orphans]
    splits = {name: pairs for name, (pairs, _) in found.items() if pairs}
    if not splits:
        raise InputError(errors[0].text if errors else f"{root}: holds no pairs; add some.")
    warnings = []
    if "val" not in splits and len(splits.get("train", ())) > 1:
        splits = with_val(root, splits, 0.2, 0)
        count = len(splits["val"])
        warnings.append(
            Problem("split", f"{root}: has no val split; training sets {count} pairs of train aside.")
        )
    facts = _look(splits, described, progress)
    dataset = None
    try:
        dataset = describe(root, splits, described, scan=partial(_classes_of, facts))
    except InputError as error:
        errors.append(Problem("classes", str(error)))
        errors += [fact.problem for fact in _every(facts) if fact.problem]
    if dataset is not None:
        errors += problems_of(dataset, facts)
    good = {split: [fact for fact in found if fact.counts] for split, found in facts.items()}
    tables = _count(dataset, good)
    warnings += _class_warnings(dataset, root, described, good, tables)
    warnings += repeated_images(facts) + similar_images(facts)
    return Report(
        root=root,
        pairs={name: len(samples) for name, samples in splits.items()},
        sizes=Counter(fact.size[::-1] for fact in _every(facts) if fact.size),
        formats=Counter(fact.formats for fact in _every(facts) if fact.formats[0] != "array"),
        dataset=dataset,
        pixels={split: table[0] for split, table in tables.items()},
        images={split: table[1] for split, table in tables.items()},
        ignored={split: table[2] for split, table in tables.items()},
        weights=_weights(dataset, good, tables),
        errors=errors,
        warnings=warnings,
        suggestion=suggest_description(described, dataset, _every(facts)),
    )


def _look(splits, described, progress):
    masks = [sample.mask for samples in splits.values() for sample in samples]
    by_color = bool(described.mask_colors)
    if not by_color and described.mask_colors is None and described.colors:
        is_told = described.mask_values or described.reduce_zero_label
        by_color = not is_told and are_colored(masks)
    places = [(split, sample) for split, samples in splits.items() for sample in samples]
    look = partial(inspect_pair, by_color=by_color, with_print=True)
    facts = {split: [] for split in splits}
    seen = progress(parallel_map(look, [sample for _, sample in places]), total=len(places))
    for (split, _), fact in zip(places, seen, strict=True):
        facts[split].append(fact)
    return facts


def _every(facts):
    return [fact for found in facts.values() for fact in found]


def _classes_of(facts, root, masks, ignored, reduce_zero_label):
    """Does what `scan_classes` does, with what was read already; unreadable masks are told elsewhere."""
    counted = [set(fact.counts) for fact in _every(facts) if fact.counts]
    if not counted:
        raise InputError(f"{root}: no mask holds values that could be classes.")
    return classes_of_values(root, set().union(*counted), ignored, reduce_zero_label)


def _count(dataset, good: dict[str, list[Facts]]):
    """Returns, for each split, pixels and images per class, and ignored pixels."""
    if dataset is None:
        return {}
    table, tables = label_table(dataset), {}
    for split, found in good.items():
        pixels, images = np.zeros((2, dataset.num_classes), np.int64)
        ignored = 0
        for fact in found:
            ids = table[list(fact.counts)]
            counts = np.array(list(fact.counts.values()))
            is_class = ids < dataset.num_classes
            np.add.at(pixels, ids[is_class], counts[is_class])
            images[np.unique(ids[is_class])] += 1
            ignored += int(counts[ids == IGNORE].sum())
        tables[split] = (pixels, images, ignored)
    return tables


def _weights(dataset, good, tables):
    """Median frequency: of a class, its pixels by all pixels of the images that hold it."""
    if dataset is None or "train" not in tables:
        return []
    table = label_table(dataset)
    around = np.zeros(dataset.num_classes, np.int64)
    for fact in good["train"]:
        ids = np.unique(table[list(fact.counts)])
        around[ids[ids < dataset.num_classes]] += sum(fact.counts.values())
    pixels = tables["train"][0]
    frequencies = np.divide(pixels, around, where=around > 0, out=np.full(len(pixels), np.nan))
    median = np.nanmedian(frequencies) if (around > 0).any() else np.nan
    return [None if np.isnan(part) else round(float(median / part), 4) for part in frequencies]


def _class_warnings(dataset, root, described, good, tables):
    warnings = []
    for split, (pixels, _, _) in tables.items():
        absent = [name for name, count in zip(dataset.classes, pixels, strict=True) if not count]
        if absent:
            cure = "it cannot be learned" if split == "train" else "it has no IoU there"
            text = f"{root}: {split} holds no pixel of {listed(absent)}; {cure}: add images of it."
            if split == "train" and not described.classes and absent[0] == dataset.classes[0]:
                text += " Do the ids start at 1? Then --reduce-zero-label."
            warnings.append(Problem("absent", text))
    if dataset is not None:
        table = label_table(dataset)
        warnings += [
            Problem("void", f"{fact.mask}: every pixel is ignored; label it or leave the pair out.")
            for fact in _every(good)
            if (table[list(fact.counts)] == IGNORE).all()
        ]
    return warnings
