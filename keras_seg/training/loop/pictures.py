"""What a run shows: `curves.png` and `samples.png`."""

import matplotlib.figure
import numpy as np

from keras_seg.data import eval_batches
from keras_seg.data.streams import has_streams
from keras_seg.evaluation.counts import confusion
from keras_seg.evaluation.evaluate import sample_name
from keras_seg.files import replacing
from keras_seg.inference import write_image
from keras_seg.metrics import scores
from keras_seg.palette import IGNORE, default_colors
from keras_seg.sheets import Errors, contact_sheet
from keras_seg.training.run_state.history import best_row

# file's column prefix -> title of its axes
CURVES = {"loss": "loss", "mean_iou": "mean IoU"}
_TITLES = ("image", "ground truth", "prediction", "errors in red")
# Blue and vermilion, which differ in brightness too; solid and dashed, for paper without colors.
_BLUE, _VERMILION = (default_colors(5)[index] / 255 for index in (4, 1))
_STYLES = {"training": {"color": _BLUE, "linestyle": "--"}, "validation": {"color": _VERMILION}}


def draw_curves(rows, path):
    """Draws loss, mean IoU and learning rate over the epochs, one below the other, and marks the best epoch.

    Args:
        rows: Of `read_history`.
        path: PNG file to write.
    """
    with replacing(path) as temporary:
        curves(rows).savefig(temporary, dpi=120)


def curves(rows):
    """Returns the figure of `draw_curves`."""
    figure = matplotlib.figure.Figure(figsize=(7.5, 8), layout="constrained")
    loss, score, rate = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1.2))
    epochs, best = [row["epoch"] for row in rows], best_row(rows)
    for axes, (column, title) in zip((loss, score), CURVES.items(), strict=True):
        for prefix, label in (("", "training"), ("val_", "validation")):
            values = [row[prefix + column] for row in rows]
            axes.plot(epochs, values, linewidth=2, marker=".", label=label, **_STYLES[label])
        axes.set_ylabel(title)
    if best:
        epoch, mean_iou = best["epoch"], best["val_mean_iou"]
        for axes in (loss, score):
            axes.axvline(epoch, color="0.4", linewidth=1, linestyle=":")
        score.plot(
            *(epoch, mean_iou),
            **{"marker": "*", "markersize": 16, "color": _VERMILION, "markeredgecolor": "black"},
            **{"linestyle": "", "label": f"best: {mean_iou:.3f} in epoch {epoch:.0f}"},
        )
    rates = [(row["epoch"], row["learning_rate"]) for row in rows if "learning_rate" in row]
    rate.plot(*zip(*rates, strict=True) if rates else ([], []), color="0.25", linewidth=2, marker=".")
    rate.set(ylabel="learning rate", xlabel="epoch")
    rate.set_ylim(bottom=0)
    rate.ticklabel_format(axis="y", scilimits=(-2, 3))
    rate.xaxis.get_major_locator().set_params(integer=True)
    for axes in (loss, score, rate):
        axes.grid(alpha=0.3)
        axes.tick_params(labelsize=12)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_fontsize(14)
    loss.legend(fontsize=13)
    score.legend(fontsize=13, loc="lower right")
    return figure


def draw_samples(predictor, dataset, path, count=6):
    """Draws validation images, their ground truth, the prediction and its errors side by side.

    Args:
        predictor: A `Predictor`.
        dataset: A `Dataset` with a validation split.
        path: PNG file to write.
        count: Images at most.
    """
    rows = [
        (image, mask, predictor.predict(image).mask)
        for images, masks in eval_batches(dataset, "val", limit=count)
        for image, mask in zip(np.asarray(images), np.asarray(masks, "uint8"), strict=True)
    ]
    names = None  # Those of streams have none.
    if not has_streams(dataset):
        names = [sample_name(sample) for sample in dataset.split("val")[: len(rows)]]
    write_image(path, comparison_sheet(rows, dataset.classes, dataset.colors, names))


def comparison_sheet(rows, classes, colors, names=None):
    """Draws predictions beside their ground truth, with the errors and the IoU of each.

    Args:
        rows: List of (image [H, W, C], ground truth [H, W], predicted class ids [H, W]).
        classes: Class names in id order.
        colors: RGB per class, [C, 3].
        names: What the images are called; None for nothing.

    Returns:
        RGB uint8 [H, W, 3].
    """
    cells = [(image, truth, mask, Errors(image, truth, mask)) for image, truth, mask in rows]
    captions = [_caption(truth, mask, len(classes)) for _, truth, mask in rows]
    if names is not None:
        captions = [f"{name}: {text}" for name, text in zip(names, captions, strict=True)]
    return contact_sheet(cells, _TITLES, classes, colors, captions)


def _caption(truth, mask, num_classes):
    truth = np.asarray(truth)
    if not np.any(truth != IGNORE):
        return "no pixel is labeled"
    found = scores(confusion(truth, mask, num_classes))
    return f"mean IoU {found['mean_iou']:.2f}, {found['pixel_accuracy']:.0%} of the pixels right"
