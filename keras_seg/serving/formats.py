"""Exports a run for other runtimes than TensorFlow Serving, each file with its certificate."""

from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

from keras_seg.data import load_dataset, read_image
from keras_seg.errors import InputError
from keras_seg.files import make_folder
from keras_seg.inference import expand_inputs
from keras_seg.serving.certificate import certify
from keras_seg.serving.litert_export import PRECISIONS, litert_runner, write_litert
from keras_seg.serving.onnx_export import onnx_runner, write_onnx
from keras_seg.serving.signatures import build_network

CHECKED, CALIBRATION = 16, 64  # Images


def export_onnx(run, folder, images=None):
    """Writes `MODEL.onnx` and checks it with onnxruntime.

    Args:
        run: Run.
        folder: folder to write into.
        images: uint8 RGB images [H, W, 3] to check with; None: the run's validation images.

    Returns:
        `[(path, Certificate)]`.

    Raises:
        InputError: the file exists or cannot be written, or a package or the images are missing.
    """
    model = run.load_model()
    (path,) = _free_paths(folder, [f"{run.config['model']}.onnx"])
    images = images or run_images(run, "val", CHECKED)
    write_onnx(model, path, classes=run.classes, colors=run.colors)
    return [(path, certify(path, onnx_runner(path), _reference(model), images))]


def export_litert(run, folder, size=None, precisions=PRECISIONS, images=None):
    """Writes `MODEL-PRECISION.tflite` files and checks them with LiteRT's interpreter.

    Args:
        run: Run.
        folder: folder to write into.
        size: (height, width) of the images; None: the run's.
        precisions: of `litert_export.PRECISIONS`.
        images: uint8 RGB images to check and calibrate with, resized; None: the run's.

    Returns:
        `[(path, Certificate)]`.

    Raises:
        InputError: a file exists or cannot be written, or a package or the images are missing.
    """
    size = tuple(size or run.config["image_size"])
    model = run.load_model()
    paths = _free_paths(folder, [f"{run.config['model']}-{precision}.tflite" for precision in precisions])
    checked = [_resized(image, size) for image in images or run_images(run, "val", CHECKED)]
    calibration = ()
    if "int8" in precisions:
        calibration = [_resized(image, size) for image in images or run_images(run, "train", CALIBRATION)]
    found = []
    for path, precision in zip(paths, precisions, strict=True):
        write_litert(model, path, size, precision, calibration)
        found.append((path, certify(path, litert_runner(path), _reference(model), checked)))
    return found


def run_images(run, split, count):
    """Reads the first images of a split of the data that a run was trained on.

    Returns:
        List of uint8 RGB [H, W, 3].

    Raises:
        InputError: the data is not there any more.
    """
    try:
        dataset = load_dataset(
            run.config.get("data"),
            seed=run.config.get("seed", 0),
            ignore_label=run.config.get("ignore_label"),
            mask_colors=run.config.get("mask_colors"),
        )
        samples = dataset.split(split)[:count]
    except InputError as error:
        raise InputError(f"{error} (the run's own data; name other pictures with --images)") from None
    return [
        sample.image if hasattr(sample.image, "shape") else read_image(sample.image) for sample in samples
    ]


def named_images(inputs):
    """Reads pictures that are meant by files, folders and patterns; raises InputError."""
    return [read_image(path) for path in expand_inputs(inputs)[:CALIBRATION]]


def _reference(model):
    network = build_network(model, [None, *model.inputs[0].shape[1:]])
    return lambda images: network(tf.cast(images, tf.float32)).numpy()


def _free_paths(folder, names):
    folder = make_folder(Path(folder))
    paths = [folder / name for name in names]
    for path in paths:
        if path.exists():
            raise InputError(f"{path}: exists, and an export is never overwritten; name another --output")
    return paths


def _resized(image, size):
    return np.ascontiguousarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA))
