"""One confusion matrix over a whole data set, and the figures of FCN's `score.py` from it.

Long, Shelhamer and Darrell, 2015 (arXiv:1411.4038), section 5.
"""

from pathlib import Path

import keras
import numpy as np

from keras_seg.data import check_dataset, eval_batches, load_dataset
from keras_seg.data.description import read_description
from keras_seg.errors import InputError
from keras_seg.inference import Predictor
from keras_seg.metrics import scores
from keras_seg.palette import IGNORE

FIGURES = ("pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou")


def evaluate(source, batches, classes, progress=iter):
    """Measures a model on labeled pictures.

    Args:
        source: Predictor or `keras.Model`.
        batches: iterable of (RGB images [B, H, W, 3] in 0..255, integer class ids [B, H, W]), 255 ignored.
        classes: class names in id order.
        progress: wraps the batches, such as `tqdm.tqdm`.

    Returns:
        dict of fractions `pixel_accuracy`, `mean_accuracy`, `mean_iou`, `frequency_weighted_iou`, counts
        `num_images` and `num_pixels` (ignored ones left out), and `classes`: a list of dicts with `name`,
        `iou`, `accuracy` and `pixels` (of the truth). None where there is nothing to divide by: a class
        neither in the truth nor predicted has no IoU, one that is not in the truth no accuracy, and the
        means leave it out.

    Raises:
        InputError: the model has another number of classes, or a mask holds an id that is none of them.
    """
    predictor = Predictor(source, classes) if isinstance(source, keras.Model) else source
    num_classes = predictor.num_classes
    if len(classes) != num_classes:
        raise InputError(f"{predictor.model.name}: predicts {num_classes} classes, not {len(classes)}")
    matrix, num_images = np.zeros((num_classes, num_classes), np.int64), 0
    for images, masks in progress(batches):
        masks = np.asarray(masks)
        matrix += confusion(masks, predictor.predict_batch(np.asarray(images)).mask, num_classes)
        num_images += len(masks)
    return _metrics(matrix, num_images, classes)


def confusion(truth, predicted, num_classes):
    """Counts pixels by their class and the class they were given.

    Args:
        truth: integer class ids of any shape, 255 ignored.
        predicted: class ids of the same shape.
        num_classes: number of classes C.

    Returns:
        int64 [C, C], row = truth, column = prediction.

    Raises:
        InputError: the truth holds an id that is no class.
    """
    counted = truth != IGNORE
    truth = truth[counted].astype(np.int64)
    wrong = truth[(truth < 0) | (truth >= num_classes)]
    if wrong.size:
        raise InputError(
            f"a mask holds the value {wrong[0]}, which is no class of 0 to {num_classes - 1}; correct "
            f"the mask, or ignore the value with --ignore-label {wrong[0]}"
        )
    cells = np.bincount(truth * num_classes + predicted[counted], minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes)


def _metrics(matrix, num_images, classes):
    found, pixels = scores(matrix), matrix.sum(axis=1)
    table = zip(classes, found["iou"], found["accuracy"], pixels.tolist(), strict=True)
    return {
        **{name: _fraction(found[name]) for name in FIGURES},
        "num_images": num_images,
        "num_pixels": int(pixels.sum()),
        "classes": [
            {"name": name, "iou": _fraction(iou), "accuracy": _fraction(accuracy), "pixels": count}
            for name, iou, accuracy, count in table
        ],
    }


def _fraction(value):
    return None if np.isnan(value) else float(value)


def evaluate_run(run, data=None, split="val", ignore_label=None, progress=iter):
    """Measures a run's best model on a split of a data set.

    Args:
        run: Run.
        data: data folder, or "shapes"; None for what the run was trained on.
        split: name of the split.
        ignore_label: a mask value that is ignored besides 255; None for what the run was trained with.
        progress: wraps the batches, such as `tqdm.tqdm`.

    Returns:
        As `evaluate`.

    Raises:
        InputError: the data set is not right, has no such split, or has other classes than the run.
    """
    dataset = _dataset_for(run, data, ignore_label)
    dataset.split(split)
    check_dataset(dataset)
    return evaluate(Predictor(run), eval_batches(dataset, split), run.classes, progress)


def _dataset_for(run, data, ignore_label):
    source = run.config.get("data") if data is None else data
    options = {
        "seed": run.config.get("seed", 0),
        "ignore_label": run.config.get("ignore_label") if ignore_label is None else ignore_label,
        "mask_colors": run.config.get("mask_colors"),
        "reduce_zero_label": run.config.get("reduce_zero_label") or None,
    }
    dataset = load_dataset(source, **options)
    is_named = dataset.root is None or read_description(Path(source)).classes is not None
    # Masks alone do not name a class that is in none of them.
    if not is_named and dataset.mask_values is None and dataset.num_classes < len(run.classes):
        dataset = load_dataset(source, **options, classes=run.classes)
    if dataset.num_classes != len(run.classes) or (is_named and tuple(dataset.classes) != run.classes):
        raise InputError(
            f"{source or dataset.name}: has the classes {', '.join(dataset.classes)}, but {run.path} was "
            f"trained on {', '.join(run.classes)}; evaluate on the same classes in the same order"
        )
    return dataset
