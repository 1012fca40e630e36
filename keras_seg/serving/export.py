"""A trained model as a version folder for TensorFlow Serving."""

import json
import os
import shutil
from pathlib import Path

import keras

from keras_seg.errors import InputError
from keras_seg.files import make_folder
from keras_seg.palette import IGNORE
from keras_seg.serving.signatures import bytes_signature, mask_signature

# TensorFlow Serving leaves this folder alone and keeps it with the model.
LABELS = Path("assets.extra", "labels.json")


def export_saved_model(model, folder, *, classes, colors):
    """Writes a SavedModel with the signatures `serving_default` (arrays) and `bytes` (encoded pictures).

    It is written beside `folder` and renamed, since a running server loads a version as soon as it is there.

    Args:
        model: `keras.Model` from RGB [B, H, W, 3] in 0..255 to logits [B, H, W, C].
        folder: version folder to write, for instance `RUN/export/1`.
        classes: class names in id order.
        colors: RGB per class, [C, 3].

    Returns:
        Path of the folder.

    Raises:
        InputError: the folder exists or cannot be written, there are more than 255 classes, their number is
            not the model's, or Keras runs on another backend than TensorFlow.
    """
    folder = Path(folder)
    _check(model, folder, classes, colors)
    make_folder(folder.parent)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        _write(model, temporary)
        labels = temporary / LABELS
        labels.parent.mkdir()
        content = {"classes": list(classes), "colors": [[int(c) for c in color] for color in colors]}
        labels.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        temporary.rename(folder)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{folder}: cannot be written ({reason}); name another --output") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def next_version(folder):
    """Returns the first version folder that is free in `folder`: `folder/1`, or one more than the last."""
    folder = Path(folder)
    numbers = [int(path.name) for path in folder.glob("*") if path.name.isdecimal()]
    return folder / str(max(numbers, default=0) + 1)


def _check(model, folder, classes, colors):
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"{folder}: a SavedModel is exported from the TensorFlow backend, not from "
            f"{keras.backend.backend()}; set KERAS_BACKEND=tensorflow"
        )
    if folder.exists():
        raise InputError(f"{folder}: exists, and a version is never overwritten; name another --output")
    output = model.output
    num_classes = (output["out"] if isinstance(output, dict) else output).shape[-1]
    if num_classes > IGNORE:
        raise InputError(f"{model.name}: {num_classes} classes do not fit into a uint8 mask; 255 is the most")
    if not len(classes) == len(colors) == num_classes:
        raise InputError(
            f"{model.name}: predicts {num_classes} classes, but there are {len(classes)} names and "
            f"{len(colors)} colors; name every class once"
        )


def _write(model, folder):
    archive = keras.export.ExportArchive()
    archive.track(model)
    # The first endpoint is the one that a request without a signature name gets.
    for name, build in (("serving_default", mask_signature), ("bytes", bytes_signature)):
        function, signature = build(model)
        archive.add_endpoint(name, function, signature)
    archive.write_out(folder, verbose=False)
