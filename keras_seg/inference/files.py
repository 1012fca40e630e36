"""Finds image files and writes a mask for each."""

import glob
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from keras_seg.data.folders.dataset import IMAGE_SUFFIXES
from keras_seg.data.formats.headers import has_alpha
from keras_seg.data.formats.reading import read_image
from keras_seg.errors import InputError
from keras_seg.files import check_beside, check_targets, regular_file
from keras_seg.hints import PathLike, Progress
from keras_seg.inference.outputs import Outputs, Wanted
from keras_seg.inference.predictor import Prediction
from keras_seg.logits import most_probable
from keras_seg.texts import readable


class Summary(NamedTuple):
    """The outcome of a prediction of many images.

    Attributes:
        done: number of images whose mask was written.
        failed: one line per image that failed: its name, what is wrong and the way out.
        transparent: how many PNG images have alpha, which was dropped.
    """

    done: int
    failed: list[str]
    transparent: int = 0


def expand_inputs(inputs: Iterable[PathLike], suffixes: Collection[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Expands files, folders and patterns to image files.

    Args:
        inputs: names or paths: a file is taken as it is; a folder gives the images right in it; a pattern
            such as `photos/**/*.jpg` gives the images that match.
        suffixes: how the names of images end, or of what else is looked for.

    Returns:
        Paths without repetition, in the order of `inputs` and by name within each.

    Raises:
        InputError: one of them gives nothing.
    """
    found: dict[Path, Path] = {}
    for item in inputs:
        for path in _expand(item, suffixes):
            found.setdefault(path.resolve(), path)
    if not found:
        raise InputError("no input; name images, folders or glob patterns")
    return list(found.values())


def _expand(item, suffixes):
    path = Path(item)
    with readable(path):
        if path.is_file():
            return [path]
        if path.is_dir():
            candidates = list(path.iterdir())
        elif any(sign in str(item) for sign in "*?["):
            # Path.glob takes no absolute pattern.
            candidates = [Path(match) for match in glob.glob(str(item), recursive=True)]  # noqa: PTH207
        else:
            if path.exists():
                regular_file(path)
            raise InputError(f"{item}: no such file or folder; check the name")
        paths = sorted(path for path in candidates if _is_meant(path, suffixes))
    if not paths:
        what = "no file in this folder" if path.is_dir() else "no file that matches"
        raise InputError(f"{item}: {what} ends in {', '.join(sorted(suffixes))}")
    return paths


def _is_meant(path, suffixes):
    return path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()


def predict_files(
    predictor: Any, paths: Sequence[PathLike], output: PathLike, *, progress: Progress = iter, **wanted: Any
) -> Summary:
    """Predicts image files one by one and writes a mask for each.

    An image that cannot be read or predicted is left out and told at the end; the rest are done. An output
    that cannot be written ends it.

    Args:
        predictor: Predictor.
        paths: paths of images, as from `expand_inputs`.
        output: folder for the masks, `STEM.png` of class ids at the image's size; made if missing.
        progress: wraps the list of images that is gone through, such as `tqdm.tqdm`.
        **wanted: what to write in it too: `overlay`, `confidence`, `probabilities`, `polygons`,
            `annotations`, `annotation_shapes`, `image_prefix` and `classes` of `Wanted`.

    Returns:
        Summary.

    Raises:
        InputError: two images would have one mask, something would replace an image or a mask that lies
            beside it, there is no such class, or the output cannot be written.
    """
    paths = [Path(path) for path in paths]
    outputs = Outputs(output, Wanted(**wanted), predictor.classes, predictor.colors, predictor.model.name)
    check_targets({path: outputs.targets(path) for path in paths})
    check_beside(paths, outputs.folder)
    outputs.make_folders()
    failed, transparent = [], 0
    for path in progress(paths):
        try:
            image = read_image(path, predictor.images)
            found = _predict(predictor, path, image, outputs.wanted.probabilities is not None)
        except InputError as error:
            failed.append(str(error))
            continue
        if predictor.images.is_rgb:
            with path.open("rb") as file:
                transparent += has_alpha(file.read(26))
        outputs.write(path, image, *found)
    outputs.finish()
    return Summary(len(paths) - len(failed), failed, transparent)


def _predict(predictor, path, image, with_probabilities):
    """Returns a Prediction and the probabilities, None where they are not asked for."""
    try:
        if not with_probabilities:
            return predictor.predict(image), None
        probabilities = predictor.probabilities(image)
        return Prediction(*most_probable(probabilities, predictor.threshold)), probabilities
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
