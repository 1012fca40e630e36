"""A model on a data set: the metrics of FCN's `score.py` and more.

Long, Shelhamer and Darrell, 2015 (arXiv:1411.4038), section 5.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np

from keras_seg.data import Dataset, Sample, check_dataset, eval_batches
from keras_seg.errors import InputError
from keras_seg.evaluation.counts import Counts, calibration_error, count_image, intervals
from keras_seg.hints import PathLike, Progress
from keras_seg.inference import Prediction, Predictor
from keras_seg.metrics import boundary_scores, scores
from keras_seg.runs import Run

FIGURES = ("pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou", "mean_dice")
CLASS_FIGURES = ("iou", "accuracy", "dice", "boundary_iou")


def evaluate(
    source: Predictor | keras.Model,
    batches: Iterable[tuple[Any, Any]],
    classes: Sequence[str],
    progress: Progress = iter,
    watch: Callable[..., Any] | None = None,
) -> dict[str, Any]:
    """Measures a model on labeled images.

    Args:
        source: Predictor or `keras.Model`.
        batches: iterable of (RGB images [B, H, W, 3] in 0..255, integer class ids [B, H, W]), 255 ignored.
        classes: class names in id order.
        progress: wraps the images as they are predicted, such as `tqdm.tqdm`.
        watch: function that is given each image: its number, image [H, W, 3], truth and mask [H, W].

    Returns:
        dict of fractions `pixel_accuracy`, `mean_accuracy`, `mean_iou`, `frequency_weighted_iou`,
        `mean_dice`, `mean_boundary_iou` and `calibration_error`; `intervals`, as of
        `counts.intervals`; counts `num_images` and `num_pixels` (ignored ones left out); `classes`: a list of
        dicts with `name`, `iou`, `accuracy`, `dice`, `boundary_iou` and `pixels` (of the truth);
        `confusion`: pixels `[C][C]`, row = truth; and `calibration`: a list of dicts with the `pixels`, mean
        `confidence` and `accuracy` of each bin of the confidence. None where there is nothing to divide by:
        a class neither in the truth nor predicted has no IoU and no Dice, one that is not in the truth no
        accuracy, and the means leave it out.

    Raises:
        InputError: the model has another number of classes, or a mask holds an id that is none of them.
    """
    predictor = Predictor(source, classes) if isinstance(source, keras.Model) else source
    num_classes = predictor.num_classes
    if len(classes) != num_classes:
        raise InputError(f"{predictor.model.name}: predicts {num_classes} classes, not {len(classes)}")
    counts = Counts(num_classes)
    for image, truth, mask, confidence in progress(_predicted(predictor, batches)):
        if watch is not None:
            watch(len(counts.images), image, truth, mask)
        counts.add(count_image(truth, Prediction(mask, confidence), num_classes))
    return _metrics(counts, classes)


def _predicted(predictor, batches):
    """Yields each image, its truth, mask and confidence."""
    for images, masks in batches:
        images, masks = np.asarray(images), np.asarray(masks)
        yield from zip(images, masks, *predictor.predict_batch(images), strict=True)


def _metrics(counts, classes):
    found, boundary = scores(counts.matrix), boundary_scores(counts.boundary)
    pixels = counts.matrix.sum(axis=1).tolist()
    columns = {**{name: found[name] for name in CLASS_FIGURES[:-1]}, "boundary_iou": boundary["boundary_iou"]}
    return {
        **{name: _fraction(found[name]) for name in FIGURES},
        "mean_boundary_iou": _fraction(boundary["mean_boundary_iou"]),
        "calibration_error": _fraction(calibration_error(counts.calibration)),
        "intervals": intervals(counts.images),
        "num_images": len(counts.images),
        "num_pixels": sum(pixels),
        "classes": [
            {
                "name": name,
                **{title: _fraction(values[index]) for title, values in columns.items()},
                "pixels": pixels[index],
            }
            for index, name in enumerate(classes)
        ],
        "confusion": counts.matrix.tolist(),
        "calibration": _reliability(counts.calibration),
    }


def _reliability(calibration):
    """Mean confidence and accuracy of the bins that hold pixels."""
    return [
        {"pixels": int(pixels), "confidence": confidence / pixels, "accuracy": right / pixels}
        for pixels, confidence, right in calibration.tolist()
        if pixels
    ]


def _fraction(value):
    return None if np.isnan(value) else float(value)


def evaluate_run(
    run: Run,
    data: PathLike | Dataset | None = None,
    split: str = "val",
    ignore_label: int | None = None,
    progress: Progress | None = None,
    gallery: Any = None,
    *,
    mask_colors: str | None = None,
    reduce_zero_label: bool | None = None,
    strict: bool = False,
    report: Callable[[str], Any] | None = None,
    engine: Callable[..., Iterable[Any]] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Measures a run's best model on a split of a data set.

    Args:
        run: Run.
        data: data folder, "shapes" or a Dataset of `Run.dataset`; None for what the run was trained on.
        split: name of the split; only this one is looked at.
        ignore_label: a mask value that is ignored besides 255; None for what the run was trained with.
        progress: wraps the images and is given their `total`, such as `tqdm.tqdm`.
        gallery: a `report.Gallery` that is shown each image.
        mask_colors: what masks mean, as for `load_dataset`; where neither this nor the next is given, what
            they meant when the run was trained.
        reduce_zero_label: the same.
        strict: whether an image that is there twice is an error, as for `check_dataset`.
        report: function that is given each warning, a line.
        engine: function of the run, the Dataset, the split and `options` that yields the `ImageCounts` of
            each image in their order, such as `batch.counts_of_workers`; None: they are predicted here.
        **options: `averaging`, `crf` and `threshold` of `Predictor`.

    Returns:
        As `evaluate`.

    Raises:
        InputError: the data set is not right, has no such split, or has other classes than the run.
    """
    if not isinstance(data, Dataset):
        data = run.dataset(
            data,
            split=split,
            ignore_label=ignore_label,
            mask_colors=mask_colors,
            reduce_zero_label=reduce_zero_label,
        )
    dataset = data
    names = [sample_name(sample) for sample in dataset.split(split)]
    for line in check_dataset(dataset, splits=[split], strict=strict):
        if report:
            report(f"warning: {line}")
    if engine is not None:
        counts = Counts(len(run.classes))
        for image in (progress or _as_it_is)(engine(run, dataset, split, options), total=len(names)):
            counts.add(image)
        return _metrics(counts, run.classes)
    watch = gallery and (lambda number, *images: gallery.add(names[number], *images))
    progress = partial(progress, total=len(names)) if progress else iter
    predictor = Predictor(run, **options)
    return evaluate(predictor, eval_batches(dataset, split), run.classes, progress, watch)


def _as_it_is(images, total):
    return images


def sample_name(sample):
    """What an image of a data set is called."""
    return sample.image.name if isinstance(sample, Sample) else sample.name


def other_images(dataset: Dataset, first: Dataset, split: str) -> list[str]:
    """Returns the names of a split's images that are not in the same split of the first data set."""
    known = {_identity(sample) for sample in first.split(split)}
    return [sample_name(sample) for sample in dataset.split(split) if _identity(sample) not in known]


def _identity(sample):
    return sample.image.resolve() if isinstance(sample, Sample) else sample.name
