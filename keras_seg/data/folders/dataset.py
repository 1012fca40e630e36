"""Loads a data folder: its pairs, by its dataset.json or a known layout, and what its masks mean."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_seg.classes import BINARY_CLASSES, MAX_CLASSES
from keras_seg.data.folders.binary import binary_values, with_background
from keras_seg.data.folders.color_tables import read_color_table
from keras_seg.data.folders.description import Description, read_description
from keras_seg.data.folders.index import facts_of_bands
from keras_seg.data.folders.inspection import Facts
from keras_seg.data.folders.layouts import find_splits
from keras_seg.data.folders.pairs import IMAGE_SUFFIXES, LIST_SUFFIXES
from keras_seg.data.folders.values import are_colored, classes_of_values, scan_masks
from keras_seg.data.formats.bands import other_kind_text
from keras_seg.data.samples import RGB, ArraySample, Dataset, ImageKind, default_names
from keras_seg.data.shapes import SIZE, draw_shapes
from keras_seg.errors import InputError
from keras_seg.hints import PathLike, Size
from keras_seg.palette import default_colors
from keras_seg.rows import MAX_CHANNELS
from keras_seg.texts import readable

__all__ = ["IMAGE_SUFFIXES", "describe", "load_dataset", "open_source", "with_options", "with_val"]


def load_dataset(
    source: PathLike | None = None,
    *,
    seed: int = 0,
    val_fraction: float = 0.2,
    ignore_label: int | None = None,
    num_classes: int | None = None,
    classes: Sequence[str] | None = None,
    mask_colors: str | None = None,
    reduce_zero_label: bool | None = None,
    binary: bool | None = None,
    channels: int | None = None,
    val_seed: int | None = None,
    split: str | None = None,
    drawn_size: Size | None = None,
) -> Dataset:
    """Finds a data set; reads no image, except all masks where only they can say what they mean.

    A folder is described by its `dataset.json` or has one of the layouts of `docs/reference/formats.md`. An
    image and its mask have the same name up to the suffix, or up to a common ending such as `_mask`.
    Without a val split, a part of train is set aside by the names and the seed.

    Args:
        source: a folder, or a list file of two columns (.csv, .txt); None or "shapes" for the data set that
            the program draws.
        seed: of the drawing.
        val_fraction: the part of train that becomes val where there is none.
        ignore_label: a mask value to ignore besides 255; wins over dataset.json.
        num_classes: number of classes; wins over dataset.json. 1: as `binary`.
        classes: class names in id order; wins over dataset.json.
        mask_colors: a file with the color of each class in the masks (see `read_color_table`), or a list of
            RGB colors in id order; wins over dataset.json.
        reduce_zero_label: whether the mask value 0 is ignored and k is class k - 1; wins over dataset.json.
        binary: whether one class is told from the background by a single logit: masks hold 0 and 1, or 0 and
            255 alone; None: where `classes` lists one. Wins over dataset.json.
        channels: of the images, 1 to 16, which are then read as they are stored; None: they become RGB of 8
            bits. Wins over dataset.json.
        val_seed: of the part of train that becomes val; None: `seed`.
        split: the one that is needed, "train", "val" or "test": what is wrong with the pairs of others is
            left aside. None: all.
        drawn_size: (height, width) in pixels of the images that the program draws; by default 64 x 64.

    Returns:
        Dataset.

    Raises:
        InputError: where the folder, its dataset.json or its pairs are not right.
    """
    if source is None or str(source) == "shapes":
        dataset = draw_shapes(seed=seed, size=drawn_size or SIZE)
        if binary:
            with_background(Description(dataset.classes, binary=True))
        if channels is not None:
            image_kind(Description(channels=channels), dataset.splits)
        return dataset
    root, described, found = open_source(source)
    needed = "train" if split == "val" and "val" not in found else split
    for name, (pairs, orphans) in found.items():
        if needed not in (None, name):
            continue
        if orphans:
            others = f" ({len(orphans) - 1} more like it)" if len(orphans) > 1 else ""
            raise InputError(orphans[0] + others)
        if not pairs:
            raise InputError(f"{root}: the {name} split holds no pairs; add some or take it out.")
    splits = {name: pairs for name, (pairs, _) in found.items() if pairs}
    splits = with_val(root, splits, val_fraction, seed if val_seed is None else val_seed)
    if classes:
        described, num_classes = described._replace(classes=tuple(classes)), None
    if num_classes == 1:
        binary, num_classes = True, None
    described = with_options(described, ignore_label, mask_colors, reduce_zero_label, binary, channels)
    try:
        return describe(root, splits, described, num_classes)
    except InputError:
        if split not in splits:
            raise
    # What the masks mean is told by all of them, unless one of another split is in the way.
    masks = [sample.mask for sample in splits[split]]
    return describe(root, splits, described, num_classes, lambda root, _: scan_masks(root, masks))


# Settings of a training that say what the masks and images of its data set mean.
MEANINGS = ("val_seed", "ignore_label", "mask_colors", "reduce_zero_label", "binary", "channels")


def dataset_of_settings(settings, source=None, **changed):
    """Finds the data set of a training, and reads no image.

    Args:
        settings: `{name: value}`, those of a `TrainConfig` or of a run's config.json.
        source: another one, which means the same; None for the training's own.
        **changed: of `load_dataset`, in the place of settings.

    Returns:
        Dataset.

    Raises:
        InputError: as `load_dataset`.
    """
    options = {name: settings.get(name) for name in MEANINGS}
    options["seed"] = settings.get("seed", 0)
    options["val_fraction"] = settings.get("val_fraction", 0.2)
    options["drawn_size"] = settings.get("image_size")
    options["reduce_zero_label"] = options["reduce_zero_label"] or None  # False leaves it to dataset.json.
    return load_dataset(settings.get("data") if source is None else source, **{**options, **changed})


def open_source(source):
    """Returns (data folder or list file, its Description with what its layout adds, splits as Found)."""
    with readable(source):
        return _open(Path(source))


def _open(root):
    if not root.is_dir() and not (root.is_file() and root.suffix.lower() in LIST_SUFFIXES):
        reason = "is neither a folder nor a list" if root.exists() else "does not exist"
        raise InputError(
            f"{root}: {reason}; name a data folder, a list of pairs ({', '.join(LIST_SUFFIXES)}) or shapes,"
            " which the program draws."
        )
    described = read_description(root if root.is_dir() else root.parent)
    found, defaults = find_splits(root, described)
    if described.classes is None and not (described.mask_values or described.mask_colors):
        described = described._replace(classes=defaults.classes)
    return root, described, found


def with_val(root, splits, fraction, seed):
    """Returns the splits with a val split, set aside from train where there is none."""
    if "val" in splits or "train" not in splits:
        return splits
    if not 0 < fraction < 1:
        raise InputError(
            f"{root}: has no val split and val_fraction is {fraction}; it must be between 0 and 1."
        )
    train = splits["train"]
    if len(train) < 2:
        raise InputError(f"{root}: has {len(train)} pair and no val split; at least two pairs are needed.")
    # By a hash of the name, so that most samples stay where they are when some are added.
    ranked = sorted(train, key=lambda sample: hashlib.sha256(os.fsencode(f"{seed} {sample.name}")).digest())
    size = min(max(round(len(train) * fraction), 1), len(train) - 1)
    chosen = {sample.image for sample in ranked[:size]}
    parts = {
        "train": [sample for sample in train if sample.image not in chosen],
        "val": [sample for sample in train if sample.image in chosen],
    }
    return {**splits, **parts}


def with_options(
    described: Description,
    ignore_label: int | None = None,
    mask_colors: str | None = None,
    reduce_zero_label: bool | None = None,
    binary: bool | None = None,
    channels: int | None = None,
) -> Description:
    """Puts what the caller says over what dataset.json says, and the background before one class."""
    if ignore_label is not None and not 0 <= ignore_label <= 65535:
        raise InputError(f"--ignore-label must be a mask value between 0 and 65535, received {ignore_label}.")
    if mask_colors and reduce_zero_label:
        raise InputError("--mask-colors and --reduce-zero-label contradict each other; keep one of them.")
    if ignore_label is not None:
        described = described._replace(ignore_label=ignore_label)
    if reduce_zero_label is not None:
        described = described._replace(reduce_zero_label=reduce_zero_label)
        if reduce_zero_label:
            described = described._replace(mask_values=None, mask_colors=None)
    if mask_colors:
        names, colors, ignored = None, mask_colors, ()
        if isinstance(mask_colors, (str, os.PathLike)):
            names, colors, ignored = read_color_table(mask_colors)
        described = described._replace(
            classes=names or described.classes,
            mask_colors=tuple((int(red), int(green), int(blue)) for red, green, blue in colors),
            mask_values=None,
            reduce_zero_label=False,
            ignore_labels=(*(described.ignore_labels or ()), *ignored),
        )
    if channels is not None:
        described = described._replace(channels=channels)
    return with_background(described if binary is None else described._replace(binary=binary))


def describe(
    root: Path,
    splits: Any,
    described: Description,
    num_classes: int | None = None,
    scan: Callable[..., list[Facts]] = scan_masks,
) -> Dataset:
    """Makes the Dataset of a folder's splits and Description.

    Args:
        root: the data folder.
        splits: split name to samples.
        described: what dataset.json, the layout and the caller say, as of `with_options`.
        num_classes: as for `load_dataset`.
        scan: reads the masks, as `scan_masks` does, where nothing names the classes.
    """
    masks = [sample.mask for split in splits.values() for sample in split]
    ignored = described.ignore_labels or ()
    if described.reduce_zero_label:
        ignored = (*ignored, 0)
    mask_colors, values = mask_colors_of(described, masks), described.mask_values
    _check_ignored(root, (described.ignore_label, *ignored), mask_colors, described.mask_values)
    names = _names(described, num_classes, values or mask_colors)
    skipped = {label for label in (described.ignore_label, *ignored) if isinstance(label, int)}
    if described.binary and not (values or mask_colors):
        values = binary_values(root, scan(root, masks), skipped)
    elif names is None:
        number, values = classes_of_values(
            root, scan(root, masks), skipped, bool(described.reduce_zero_label)
        )
        names = default_names(number)
    elif described.reduce_zero_label:
        values = tuple(range(1, len(names) + 1))
    for key, meaning in (("mask_values", values), ("mask_colors", mask_colors)):
        if meaning is not None and len(meaning) != len(names):
            raise InputError(
                f"{root}: has {len(names)} classes and {len(meaning)} {key.replace('_', ' ')};"
                f" correct `classes` or `{key}` in dataset.json."
            )
    colors = described.colors if described.colors and len(described.colors) == len(names) else mask_colors
    if colors is None:
        colors = tuple(tuple(color) for color in default_colors(names).tolist())
    return Dataset(
        name=root.resolve().name,
        classes=tuple(names),
        colors=colors,
        ignore_label=described.ignore_label,
        splits=splits,
        mask_values=values,
        root=root,
        ignore_labels=ignored,
        mask_colors=mask_colors,
        is_binary=bool(described.binary),
        images=image_kind(described, splits),
    )


def image_kind(described: Description, splits: Any) -> ImageKind:
    """Returns what the images of a data set are, by the first where channels are told; raises InputError."""
    if described.channels is None:
        return RGB
    if not 1 <= described.channels <= MAX_CHANNELS:
        raise InputError(f"--channels must be from 1 to {MAX_CHANNELS}, received {described.channels}.")
    first = next(sample for split in splits.values() for sample in split)
    if isinstance(first, ArraySample):
        if described.channels != RGB.channels:
            raise InputError(f"--channels {described.channels}: shapes is drawn in RGB; name a data folder.")
        return RGB
    facts = facts_of_bands(first.image)
    if facts.problem:
        raise InputError(f"{first.image}: {facts.problem.text}")
    kind = ImageKind(described.channels, facts.kind.depth)
    if facts.kind != kind:
        raise InputError(other_kind_text(first.image, facts.kind, kind))
    return kind


def _check_ignored(root, ignored, mask_colors, mask_values):
    """Refuses labels that are a class and ignored as well, or that no mask in color can hold."""
    ignored = {label for label in ignored if label is not None}
    if mask_colors:
        ignored = {(label,) * 3 if isinstance(label, int) else label for label in ignored}
        if ignored and max(map(max, ignored)) > 255:
            raise InputError(
                f"{root}: the value {max(map(max, ignored))} is ignored, but masks in color hold 0 to 255;"
                " correct `ignore_label` or --ignore-label."
            )
    elif colors := [label for label in ignored if not isinstance(label, int)]:
        raise InputError(
            f"{root}: the color {list(min(colors))} is ignored, but the masks hold values; write the value to"
            " ignore into `ignore_labels`, or the colors of the classes into `mask_colors`."
        )
    both = ignored & set(mask_colors or mask_values or ())
    if both:
        raise InputError(
            f"{root}: {min(both)} is a class and ignored as well; correct `ignore_label` or the classes."
        )


def mask_colors_of(described, masks):
    """Returns the color of each class in the masks, or None where these hold values."""
    if described.mask_colors is True:
        return described.colors
    if described.mask_colors is None and described.colors:
        # `colors` are for images of the classes, but masks that are in color can mean nothing else.
        may_be = not described.mask_values and not described.reduce_zero_label
        return described.colors if may_be and are_colored(masks) else None
    return described.mask_colors or None


def _names(described, num_classes, meanings):
    """Returns the class names that are known without a look at the masks, or None."""
    if num_classes is not None:
        if not 1 <= num_classes <= MAX_CLASSES:
            raise InputError(
                f"The number of classes must be between 1 and {MAX_CLASSES}, received {num_classes}."
            )
        names = described.classes or ()
        return names if len(names) == num_classes else default_names(num_classes)
    if described.binary:
        return described.classes or BINARY_CLASSES
    return described.classes or (default_names(len(meanings)) if meanings else None)
