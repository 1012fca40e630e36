"""Exports a run for other runtimes or in other precisions, each file with its certificate."""

from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

from keras_seg.data.folders.dataset import dataset_of_settings
from keras_seg.data.formats.reading import read_image, read_pair
from keras_seg.data.samples import RGB
from keras_seg.errors import InputError
from keras_seg.files import make_folder
from keras_seg.inference import expand_inputs
from keras_seg.inference.bfloat16 import in_bfloat16
from keras_seg.inference.footprint import footprint
from keras_seg.logits import num_logits, threshold_of
from keras_seg.serving import litert_export, onnx_export
from keras_seg.serving.budget import find_limits
from keras_seg.serving.certificate import certify
from keras_seg.serving.export import export_saved_model
from keras_seg.serving.litert_export import PRECISIONS, litert_runner, write_litert
from keras_seg.serving.onnx_export import onnx_runner, write_onnx
from keras_seg.serving.optional import import_optional
from keras_seg.serving.signatures import build_network, served_network

CHECKED, CALIBRATION = 16, 64  # Images
LIMITS = ("memory", "max_pixels", "max_tiled_pixels", "tile")  # Options of `find_limits`.


def export_onnx(run, folder, images=None, threshold=None):
    """Writes `MODEL.onnx` and checks it with onnxruntime.

    Args:
        run: Run.
        folder: folder to write into.
        images: uint8 RGB images [H, W, 3] to check with; None: the run's validation images.
        threshold: probability from which a pixel is foreground, of one class; None for the run's.

    Returns:
        `[(path, Certificate)]`.

    Raises:
        InputError: the file exists or cannot be written, or a package or the images are missing.
    """
    (path,) = _free_paths(folder, [f"{run.config['model']}.onnx"])
    for package in onnx_export.PACKAGES:
        import_optional(package, onnx_export.EXTRA, path)
    model = run.load_model()
    images = images or run_images(run, "val", CHECKED)
    threshold = threshold_of(model, run.threshold if threshold is None else threshold)
    write_onnx(model, path, classes=run.classes, colors=run.colors, threshold=threshold)
    return [(path, certify(path, onnx_runner(path), _reference(model), images, threshold))]


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
    if "int8" in precisions and run.images.depth != "uint8":
        raise InputError(
            f"--precision int8 takes images of 8 bits, and {run.path} {run.images}; write float or dynamic"
        )
    size = tuple(size or run.config["image_size"])
    paths = _free_paths(folder, [f"{run.config['model']}-{precision}.tflite" for precision in precisions])
    import_optional(litert_export.INTERPRETER, litert_export.EXTRA, paths[0])
    model = run.load_model()
    checked = [_resized(image, size) for image in images or run_images(run, "val", CHECKED)]
    calibration = ()
    if "int8" in precisions:
        calibration = [_resized(image, size) for image in images or run_images(run, "train", CALIBRATION)]
    found = []
    for path, precision in zip(paths, precisions, strict=True):
        write_litert(model, path, size, precision, calibration)
        found.append((path, certify(path, litert_runner(path), _reference(model), checked, run.threshold)))
    return found


def export_bfloat16(run, folder, images=None, **options):
    """Writes a SavedModel that computes in bfloat16, and checks it with TensorFlow's own loader.

    Args:
        run: Run.
        folder: version folder to write.
        images: uint8 RGB images [H, W, 3] to check with; None: the run's validation images.
        **options: of `export_saved_model`.

    Returns:
        `[(path, Certificate)]`.

    Raises:
        InputError: as `export_saved_model`, or the images are missing or larger than a request may be.
    """
    images, size = images or run_images(run, "val", CHECKED), options.get("image_size")
    images = [_resized(image, tuple(size)) for image in images] if size else images
    model = run.load_model()
    limit = _limits(in_bfloat16(model), run.images, options).logits_pixels
    if max(image.shape[0] * image.shape[1] for image in images) > limit:
        raise InputError(f"the images to check with have more than {limit} pixels; name others with --images")
    options["threshold"] = threshold_of(model, options.get("threshold") or run.threshold)
    options |= {"classes": run.classes, "colors": run.colors, "depth": run.images.depth}
    export_saved_model(model, folder, precision="bfloat16", **options)
    runner, reference = saved_model_runner(folder), _reference(model)
    return [(folder, certify(folder, runner, reference, images, options["threshold"]))]


def _limits(model, kind, options):
    network = served_network(model)
    asked = {name: options[name] for name in LIMITS if name in options}
    return find_limits(footprint(model, network.python_function, kind), num_logits(model), **asked)


def saved_model_runner(folder):
    """Returns a function of uint8 images [N, H, W, 3] to logits that runs a SavedModel's `logits`."""
    model = tf.saved_model.load(str(folder))  # Kept by the function: it owns the weights.
    return lambda images: model.signatures["logits"](images=tf.constant(images))["logits"].numpy()


def run_images(run, split, count):
    """Reads the first images of a split of the data that a run was trained on.

    Returns:
        List of uint8 RGB [H, W, 3].

    Raises:
        InputError: the data is no longer there.
    """
    try:
        # Whose classes may have been given other names since.
        dataset = run.dataset() if "dataset" in run.objects else dataset_of_settings(run.config)
        samples = dataset.split(split)[:count]
    except InputError as error:
        raise InputError(f"{error} (the run's own data; name other images with --images)") from None
    return [read_pair(sample, dataset.mask_colors is not None, dataset.images)[0] for sample in samples]


def named_images(inputs, kind=RGB):
    """Reads images of a kind that are meant by files, folders and patterns; raises InputError."""
    return [read_image(path, kind) for path in expand_inputs(inputs)[:CALIBRATION]]


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
    # OpenCV averages areas of four channels at most, and drops a single one.
    parts = [image[..., first : first + 4] for first in range(0, image.shape[2], 4)]
    resized = [cv2.resize(part, size[::-1], interpolation=cv2.INTER_AREA) for part in parts]
    return np.concatenate([part.reshape(*size, -1) for part in resized], axis=-1)
