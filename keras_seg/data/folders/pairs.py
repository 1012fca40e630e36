"""Pairs of images and masks: by the names in two folders, or by the lines of a list."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

from keras_seg.data.samples import Sample
from keras_seg.errors import InputError
from keras_seg.texts import is_text, read_text

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".npy"})
LIST_SUFFIXES = (".csv", ".txt")
# What names end in beside what a pair has in common; the empty one first, since it wins where both fit.
_IMAGE_TAGS = ("", "_leftImg8bit", "_sat", "_image", "_img")
_MASK_TAGS = ("", "_mask", "_masks", "_label", "_labels", "_gt", "_GT", "_seg", "_segmentation", "_L", "_lab")
# Kaggle has lists of run lengths that are called as a list of pairs is.
_NO_LIST = ", or move the file to another folder if it is no list of images and masks"


class Found(NamedTuple):
    """The pairs of one split, and one line for each file or list entry that has no partner."""

    pairs: list[Sample]
    orphans: list[str]


def match_folders(images: Path, masks: Path, mask_suffix: str | None = None) -> Found:
    """Pairs the images of two folders (which may be one) by name up to the suffix.

    Names may differ by a common ending such as Carvana's `_mask`: `mask_suffix`, or the known ending that
    makes the most pairs.

    Raises:
        InputError: a folder is missing or holds two images of one name, or there is nothing in it.
    """
    for folder in (images, masks):
        if not folder.is_dir():
            raise InputError(
                f"{folder}: does not exist; correct `splits` in dataset.json or make the folder."
            )
    if images == masks and mask_suffix == "":
        raise InputError(
            f"{images}: holds images and masks, and their `mask_suffix` in dataset.json is empty; write what"
            " the names of the masks end in."
        )
    image_files, mask_files = _by_stem(images), _by_stem(masks)
    if not image_files and not mask_files:
        inside = next((path.name for path in sorted(images.iterdir()) if path.is_dir()), None)
        cure = f"put .jpg or .png files in it, with masks in {masks}"
        if inside:
            cure = f"name its folder {inside} under `splits` in dataset.json, or {cure}"
        raise InputError(f"{images}: holds no images; {cure}.")
    image_tag, mask_tag = _tags(image_files, mask_files, mask_suffix, images == masks)
    if images == masks:
        image_files = {stem: path for stem, path in image_files.items() if not stem.endswith(mask_tag)}
        mask_files = {stem: path for stem, path in mask_files.items() if stem.endswith(mask_tag)}
    image_files, mask_files = _stripped(image_files, image_tag), _stripped(mask_files, mask_tag)
    pairs = [Sample(path, mask_files[stem]) for stem, path in image_files.items() if stem in mask_files]
    orphans = [
        f"{path}: has no mask {stem}{mask_tag}.png in {masks}; add the mask or take the image out."
        for stem, path in image_files.items()
        if stem not in mask_files
    ]
    orphans += [
        f"{path}: has no image {stem}{image_tag}.jpg or .png in {images}; add the image or take the mask out."
        for stem, path in mask_files.items()
        if stem not in image_files
    ]
    return Found(pairs, orphans)


def match_names(names: Path, images: Path, masks: Path) -> Found:
    """Pairs the images whose names, without suffix, are the lines of a file (Pascal VOC's ImageSets)."""
    image_files, mask_files = _by_stem(images), _by_stem(masks)
    pairs, orphans = [], []
    for number, row in read_rows(names):
        if len(row) != 1:
            raise InputError(f"{names}: line {number} holds {len(row)} columns; it must hold one name.")
        name = Path(row[0]).stem if Path(row[0]).suffix.lower() in IMAGE_SUFFIXES else row[0]
        if name in image_files and name in mask_files:
            pairs.append(Sample(image_files[name], mask_files[name]))
        else:
            thing, folder = ("mask", masks) if name in image_files else ("image", images)
            orphans.append(
                f"{names}: line {number} names {name}, which has no {thing} in {folder};"
                f" add the {thing} or take the line out."
            )
    return Found(pairs, orphans)


def match_list(path: Path, root: Path) -> Found:
    """Reads the pairs of a list: lines of an image and a mask (CamVid and SegNet), or CSV of two columns.

    A path counts from the data folder or from the list's; of a path from another machine, such as
    `/SegNet/CamVid/train/0001TP_006690.png`, the end that exists in the data folder is taken.

    Raises:
        InputError: a line does not hold two columns.
    """
    pairs, orphans = [], []
    for number, row in read_rows(path):
        if len(row) != 2:
            raise InputError(
                f"{path}: line {number} holds {len(row)} columns; it must hold an image and its mask,"
                f" separated by a comma, or by a tab where names contain blanks{_NO_LIST}."
            )
        files = [_locate(text, path, root) for text in row]
        image, mask = files
        if image and mask:
            pairs.append(Sample(image, mask))
        elif not (number == 1 and not any(Path(text).suffix for text in row)):  # else it is a heading
            missing = row[0] if files[0] is None else row[1]
            orphans.append(
                f"{path}: line {number} names {missing}, which does not exist in {root};"
                f" correct the line{_NO_LIST}."
            )
    return Found(pairs, orphans)


def read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """Returns (line number, columns) of the lines that hold something.

    Columns stand apart by commas, semicolons, tabs or, if the line has none of them, by white space.
    """
    rows = []
    for number, line in enumerate(read_text(path, " as a list").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            try:
                rows.append((number, _columns(line)))
            except csv.Error as error:
                raise InputError(f"{path}: line {number} is no CSV: {error}; correct the line.") from None
    return rows


def _columns(line):
    mark = next((mark for mark in "\t,;" if mark in line), None)
    columns = next(csv.reader([line], delimiter=mark, strict=True)) if mark else line.split()
    return [column.strip() for column in columns]


def list_line(image: Path, mask: Path) -> str:
    """Returns the line of an image and its mask for a list that `match_list` reads.

    Raises:
        InputError: a line cannot hold their names.
    """
    row, text = [image.as_posix(), mask.as_posix()], io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(row)
    line = text.getvalue()
    if (
        not is_text(line)
        or len(line.splitlines()) > 1
        or "\\" in line
        or "\t" in line
        or _columns(line) != row
    ):
        raise InputError(
            f"{image}: has a path that a list of pairs cannot hold; rename it, without tabs, line breaks and"
            " backslashes, in UTF-8."
        )
    return line


def _locate(text: str, listed: Path, root: Path) -> Path | None:
    path = Path(text.replace("\\", "/"))
    tails = (root.joinpath(*path.parts[start:]) for start in range(1, len(path.parts)))
    candidates = (root / path, listed.parent / path, *tails)
    try:
        return next((path for path in candidates if path.exists() and not path.is_dir()), None)
    except OSError:  # A name that no file system takes
        return None


def _by_stem(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in files:
            raise InputError(
                f"{path}: has the same name up to the suffix as {files[path.stem].name}; keep one of them."
            )
        files[path.stem] = path
    return files


def _tags(image_files, mask_files, mask_suffix, is_one_folder):
    mask_tags = _MASK_TAGS if mask_suffix is None else (mask_suffix,)
    if is_one_folder:
        mask_tags = [tag for tag in mask_tags if tag]
    choices = [(image_tag, mask_tag) for image_tag in _IMAGE_TAGS for mask_tag in mask_tags]
    masks_of = {tag: _without(mask_files, tag).keys() for tag in mask_tags}
    return max(choices, key=lambda tags: len(_without(image_files, tags[0]).keys() & masks_of[tags[1]]))


def _stripped(files, tag):
    names = {}
    for stem, path in files.items():
        other = names.setdefault(stem.removesuffix(tag), path)
        if other != path:
            raise InputError(f"{path}: may belong to the same pair as {other.name}; keep one of them.")
    return names


def _without(files, tag):
    """Returns the files with the tag at the end of the stem taken off; those without it as they are."""
    return {stem.removesuffix(tag): path for stem, path in files.items()}
