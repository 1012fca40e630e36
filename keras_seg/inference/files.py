"""Many pictures in files: which ones are meant, and a mask written for each."""

import glob
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_seg import palette
from keras_seg.data.folders import IMAGE_SUFFIXES
from keras_seg.errors import InputError
from keras_seg.files import make_folder
from keras_seg.inference.images import read_image, write_image, write_mask

OVERLAYS, CONFIDENCES = "overlays", "confidence"


class Summary(NamedTuple):
    """What became of many pictures.

    Attributes:
        done: number of pictures whose mask was written.
        failed: one line per picture that failed: its name, what is wrong and the way out.
    """

    done: int
    failed: list[str]


def expand_inputs(inputs):
    """Finds the pictures that are meant by files, folders and patterns.

    Args:
        inputs: names or paths: a file is taken as it is; a folder gives the pictures right in it; a pattern
            such as `photos/**/*.jpg` gives the pictures that match.

    Returns:
        Paths without repetition, in the order of `inputs` and by name within each.

    Raises:
        InputError: one of them gives nothing.
    """
    found = {}
    for item in inputs:
        for path in _expand(item):
            found.setdefault(path.resolve(), path)
    if not found:
        raise InputError("no input; name pictures, folders or patterns")
    return list(found.values())


def _expand(item):
    path = Path(item)
    if path.is_file():
        return [path]
    if path.is_dir():
        candidates = list(path.iterdir())
    elif any(sign in str(item) for sign in "*?["):
        # Path.glob takes no absolute pattern.
        candidates = [Path(match) for match in glob.glob(str(item), recursive=True)]  # noqa: PTH207
    else:
        raise InputError(f"{item}: no such file or folder; check the name")
    paths = sorted(p for p in candidates if _is_picture(p))
    if not paths:
        what = "no picture in this folder" if path.is_dir() else "no picture matches"
        raise InputError(f"{item}: {what}; pictures end in {', '.join(sorted(IMAGE_SUFFIXES))}")
    return paths


def _is_picture(path):
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def predict_files(predictor, paths, output, overlay=False, confidence=False, progress=iter):
    """Predicts picture files one by one and writes a mask for each.

    A picture that cannot be read or predicted is left out and told at the end; the rest are done. An output
    that cannot be written ends it.

    Args:
        predictor: Predictor.
        paths: paths of pictures, as from `expand_inputs`.
        output: folder for the masks, `STEM.png` of class ids at the picture's size; made if missing.
        overlay: whether to write `overlays/STEM.jpg` in it too: the colors over the picture, with a legend.
        confidence: whether to write `confidence/STEM.png` in it too: grey, 255 is certain.
        progress: wraps the list of pictures that is gone through, such as `tqdm.tqdm`.

    Returns:
        Summary.

    Raises:
        InputError: two pictures would have one mask, a mask would replace a picture, or the output cannot
            be written.
    """
    output = Path(output)
    masks = _mask_paths([Path(path) for path in paths], output)
    make_folder(output)
    for folder in [OVERLAYS] * overlay + [CONFIDENCES] * confidence:
        make_folder(output / folder)
    failed = []
    for path, mask in progress(list(masks.items())):
        try:
            image = read_image(path)
            prediction = _predict(predictor, path, image)
        except InputError as error:
            failed.append(str(error))
            continue
        if overlay:
            _write_overlay(output / OVERLAYS / f"{path.stem}.jpg", image, prediction.mask, predictor)
        if confidence:
            grey = np.rint(prediction.confidence * 255).astype(np.uint8)
            write_image(output / CONFIDENCES / f"{path.stem}.png", grey)
        write_mask(mask, prediction.mask)
    return Summary(len(masks) - len(failed), failed)


def _mask_paths(paths, output):
    """Returns {picture: its mask}, having made sure that nothing is overwritten in silence."""
    pictures = {path.resolve() for path in paths}
    masks, owners = {}, {}
    for path in paths:
        mask = output / f"{path.stem}.png"
        if mask.resolve() in pictures:
            raise InputError(f"{mask}: is an input, and a mask would replace it; name another --output")
        if mask in owners:
            raise InputError(
                f"{owners[mask]} and {path}: both masks would be {mask}; predict them into two folders"
            )
        masks[path] = mask
        owners[mask] = path
    return masks


def _predict(predictor, path, image):
    try:
        return predictor.predict(image)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def _write_overlay(path, image, mask, predictor):
    picture = palette.overlay(image, mask, predictor.colors)
    write_image(path, palette.with_legend(picture, predictor.classes, predictor.colors, mask))
