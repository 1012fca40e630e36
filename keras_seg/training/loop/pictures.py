"""Images of a run: `curves.png` and `samples.png`."""

import matplotlib.figure
import numpy as np

from keras_seg.data import eval_batches
from keras_seg.files import replacing
from keras_seg.inference import write_image
from keras_seg.palette import panel

# file's column prefix -> title of its axes
CURVES = {"loss": "loss", "mean_iou": "mean IoU"}


def draw_curves(rows, path):
    """Draws loss and mean IoU of training and validation over the epochs.

    Args:
        rows: Of `read_history`.
        path: PNG file to write.
    """
    figure = matplotlib.figure.Figure(figsize=(10, 4), layout="constrained")
    epochs = [row["epoch"] for row in rows]
    for axes, (column, title) in zip(figure.subplots(1, 2), CURVES.items(), strict=True):
        for prefix, label in (("", "training"), ("val_", "validation")):
            axes.plot(epochs, [row[prefix + column] for row in rows], marker=".", label=label)
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)


def draw_samples(predictor, dataset, path, count=6):
    """Draws validation images, their ground truth and the prediction side by side, with a legend.

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
    write_image(path, panel(rows, ("image", "truth", "prediction"), dataset.classes, dataset.colors))
