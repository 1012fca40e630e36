"""Layouts of data folders that need no dataset.json: plain folders, lists, Pascal VOC and Cityscapes.

Everingham et al., 2010 (Pascal VOC); Cordts et al., 2016 (Cityscapes, arXiv:1604.01685).
"""

import itertools
import os
from pathlib import Path

from keras_seg.classes import VOC_CLASSES
from keras_seg.data.folders.description import Description
from keras_seg.data.folders.pairs import (
    LIST_SUFFIXES,
    Found,
    match_folders,
    match_list,
    match_names,
    read_rows,
)
from keras_seg.data.samples import SPLITS, Sample
from keras_seg.errors import InputError

_KINDS = tuple(itertools.product(("images", "imgs"), ("masks", "labels", "annotations")))
# Images and masks of a split, relative to the data folder.
_FOLDERS = (
    *((f"{images}/{{split}}", f"{masks}/{{split}}") for images, masks in _KINDS),
    *((f"{{split}}/{images}", f"{{split}}/{masks}") for images, masks in _KINDS),
    ("{split}", "{split}annot"),
    ("{split}", "{split}_masks"),
    ("{split}", "{split}_labels"),
)
_UNSPLIT = (*_KINDS, ("JPEGImages", "SegmentationClass"))
_VOC_LISTS = "ImageSets/Segmentation"
CITYSCAPES_CLASSES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign"),
    *("vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train"),
    *("motorcycle", "bicycle"),
)
_EXPECTED = (
    "images/ and masks/ (with or without train/ and val/ in them), train/ and trainannot/, train.csv"
    " or train.txt, JPEGImages/ and SegmentationClass/, leftImg8bit/ gtFine/, or a dataset.json with"
    " `splits`"
)


def find_splits(root: Path, described: Description) -> tuple[dict[str, Found], Description]:
    """Finds the pairs of each split.

    Args:
        root: the data folder, or a list file (CSV or text of two columns).
        described: its dataset.json.

    Returns:
        The splits, and what the layout itself says about classes; dataset.json wins over it.

    Raises:
        InputError: nothing is found, or a list or folder is not right.
    """
    if root.is_file():
        return {"train": match_list(root, root.parent)}, Description()
    if described.splits:
        splits = {}
        for name, entry in described.splits.items():
            if isinstance(entry, str):
                splits[name] = match_list(root / entry, root)
            else:
                folders = (root / entry["images"], root / entry["masks"])
                splits[name] = match_folders(*folders, entry.get("mask_suffix"))
        return splits, Description()
    for find in (_lists, _folders, _voc, _cityscapes, _unsplit):
        if found := find(root):
            return found
    entries = sorted(path.name + "/" * path.is_dir() for path in root.iterdir())
    shown = ", ".join(entries[:6]) + (", ..." if len(entries) > 6 else "")
    raise InputError(f"{root}: {f'holds {shown}' if entries else 'is empty'}; expected {_EXPECTED}.")


def _lists(root):
    """Lists of pairs beside the images; they take precedence over folders, since they are explicit."""
    files = _list_files(root)
    if not files or any(len(row) < 2 for path in files.values() for _, row in read_rows(path)[:1]):
        return None
    return {name: match_list(path, root) for name, path in files.items()}, Description()


def _list_files(folder):
    return {
        name: path
        for name, spellings in SPLITS.items()
        for path in [folder / (spelling + suffix) for spelling in spellings for suffix in LIST_SUFFIXES]
        if os.path.lexists(path) and not path.is_dir()
    }


def _folders(root):
    for layout in _FOLDERS:
        found = {}
        for name, spellings in SPLITS.items():
            for spelling in spellings:
                folders = [root / part.format(split=spelling) for part in layout]
                if name not in found and all(folder.is_dir() for folder in folders):
                    found[name] = match_folders(*folders)
        if found:
            return found, Description()
    return None


def _unsplit(root):
    """One folder of images and one of masks; lists of names may divide them."""
    for folders in _UNSPLIT:
        images, masks = (root / folder for folder in folders)
        if images.is_dir() and masks.is_dir():
            if lists := _list_files(root):
                return {name: match_names(path, images, masks) for name, path in lists.items()}, Description()
            return {"train": match_folders(images, masks)}, Description()
    return None


def _voc(root):
    for folder in (root, *sorted(root.glob("VOC20*")), *sorted(root.glob("VOCdevkit/VOC20*"))):
        images, masks = folder / "JPEGImages", folder / "SegmentationClass"
        # The test masks of the challenge were never published.
        lists = {name: path for name, path in _list_files(folder / _VOC_LISTS).items() if name != "test"}
        if lists and images.is_dir() and masks.is_dir():
            splits = {name: match_names(path, images, masks) for name, path in lists.items()}
            is_original = folder.name.startswith("VOC20")
            return splits, Description(classes=VOC_CLASSES) if is_original else Description()
    return None


def _cityscapes(root):
    images, masks = root / "leftImg8bit", root / "gtFine"
    if not images.is_dir() or not masks.is_dir():
        return None
    splits = {}
    for name in ("train", "val"):
        pairs, orphans = [], []
        for image in sorted(images.glob(f"{name}/*/*_leftImg8bit.*")):
            start = image.stem.removesuffix("_leftImg8bit")
            mask = masks / name / image.parent.name / f"{start}_gtFine_labelTrainIds.png"
            if mask.is_file():
                pairs.append(Sample(image, mask))
            else:
                orphans.append(
                    f"{image}: has no mask {mask}; make it with createTrainIdLabelImgs of cityscapesScripts."
                )
        if pairs or orphans:
            splits[name] = Found(pairs, orphans)
    return (splits, Description(classes=CITYSCAPES_CLASSES)) if splits else None
