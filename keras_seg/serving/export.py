"""A trained model as a version folder for TensorFlow Serving."""

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_seg.data.samples import ImageKind
from keras_seg.errors import InputError
from keras_seg.files import make_folder
from keras_seg.hints import Colors, PathLike, Size
from keras_seg.inference.bfloat16 import in_bfloat16
from keras_seg.inference.footprint import footprint
from keras_seg.inference.images import MAX_JPEG_SIDE
from keras_seg.logits import num_classes, num_logits, threshold_of
from keras_seg.palette import IGNORE
from keras_seg.serving.budget import find_limits
from keras_seg.serving.configs import write_configs
from keras_seg.serving.signatures import build_signatures, served_network
from keras_seg.serving.warmup import MAX_RECORDS, warmup_requests, write_warmup

LABELS, LIMITS = "labels.json", "limits.json"  # In the SavedModel's `assets`.
PRECISIONS = ("float32", "bfloat16")


def export_saved_model(
    model: keras.Model,
    folder: PathLike,
    *,
    classes: Sequence[str],
    colors: Colors,
    name: str | None = None,
    warm_up: Sequence[Size] = (),
    image_size: Size | None = None,
    threshold: float | None = None,
    depth: str = "uint8",
    precision: str = "float32",
    **limits: Any,
) -> Path:
    """Writes a SavedModel with every signature (docs/reference/signatures.md), and the server's settings.

    It is written beside `folder` and renamed, since a running server loads a version as soon as it is there.

    Args:
        model: `keras.Model` from images, such as RGB [B, H, W, 3] in 0..255, to logits [B, H, W, C].
        folder: version folder to write, for instance `RUN/export/1`.
        classes: class names in id order.
        colors: RGB per class, [C, 3].
        name: of the model at the server; the network's by default.
        warm_up: (height, width) pairs: the server tries every signature at these sizes before it serves.
        image_size: (height, width) that the endpoints of arrays are held to, as batching needs; None: any.
        threshold: probability from which a pixel is foreground, for a network with a single logit; None for
            0.5.
        depth: of the samples of the images that it was trained on, "uint8", "uint16" or "float32"; arrays are
            float32 beyond 8 bits.
        precision: of `PRECISIONS`; "bfloat16" halves the file, and is faster only on processors that have
            instructions for it.
        **limits: of `find_limits`: `memory`, `max_pixels`, `max_tiled_pixels` and `tile`.

    Returns:
        Path of the folder.

    Raises:
        ValueError: `precision` is none of `PRECISIONS`.
        InputError: the folder exists or cannot be written, there are more than 255 classes, their number is
            not the model's, the memory is too little, a size has more pixels than a request may, or Keras
            runs on another backend than TensorFlow.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {PRECISIONS}, received {precision!r}.")
    folder, name = Path(folder), name or model.name
    _check(model, folder, classes, colors)
    threshold = threshold_of(model, threshold)
    kind = ImageKind(model.inputs[0].shape[-1], depth)
    model = in_bfloat16(model) if precision == "bfloat16" else model
    network = served_network(model)
    bounds = find_limits(footprint(model, network.python_function, kind), num_logits(model), **limits)
    _check_sizes(warm_up, image_size, bounds)
    requests = warmup_requests(warm_up, 1, image_size, bounds.logits_pixels, kind) if warm_up else []
    if len(requests) > MAX_RECORDS:
        raise InputError(f"{len(warm_up)} warm-up sizes make more than {MAX_RECORDS} requests; name fewer")
    make_folder(folder.parent)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        options = {"image_size": image_size, "threshold": threshold, "kind": kind}
        signatures = build_signatures(network, bounds, classes, colors, **options)
        labels = {"classes": list(classes), "colors": [[int(c) for c in color] for color in colors]}
        if threshold is not None:
            labels["threshold"] = threshold
        _write(temporary, signatures, {LABELS: labels, LIMITS: bounds.content()})
        if requests:
            write_warmup(temporary, name, requests)
        temporary.rename(folder)
        write_configs(folder.parent, name, image_size)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{folder}: cannot be written ({reason}); name another --output") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def next_version(folder: PathLike) -> Path:
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
    found = num_classes(model)
    if found > IGNORE:
        raise InputError(f"{model.name}: {found} classes do not fit into a uint8 mask; 255 is the most")
    if not len(classes) == len(colors) == found:
        raise InputError(
            f"{model.name}: predicts {found} classes, but there are {len(classes)} names and "
            f"{len(colors)} colors; name every class once"
        )


def _check_sizes(warm_up, image_size, limits):
    """A server loads no version whose own warm-up it refuses."""
    padding = limits.tiling.padding
    sizes = [("--warm-up", size, limits.max_pixels, padding) for size in warm_up]
    sizes += [("--warm-up", size, limits.max_tiled_pixels, (0, 0)) for size in warm_up]
    if image_size:
        sizes.append(("--fixed-size", image_size, limits.max_pixels, padding))
    for flag, (height, width), most, (rows, columns) in sizes:
        if (height + rows) * (width + columns) > most:
            raise InputError(f"{flag} {height} {width}: a request may have {most} pixels; see --max-pixels")
    for height, width in warm_up:
        if max(height, width) > MAX_JPEG_SIDE:
            raise InputError(f"--warm-up {height} {width}: a JPEG's side has {MAX_JPEG_SIDE} pixels at most")


def read_limits(folder):
    """Returns what `Limits.content` says of an export."""
    return json.loads(Path(folder, "assets", LIMITS).read_text(encoding="utf-8"))


def _write(folder, signatures, assets):
    """Saves with TensorFlow itself, as Keras's own archive traces every function twice."""
    module = tf.Module()
    variables = {id(v): v for function in signatures.values() for v in function.variables}
    module.weights = list(variables.values())
    with tempfile.TemporaryDirectory() as scratch:
        module.assets = []
        for name, content in assets.items():
            path = Path(scratch, name)
            path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            module.assets.append(tf.saved_model.Asset(str(path)))
        tf.saved_model.save(module, str(folder), signatures=signatures)
