"""TensorBoard logs: scalars, the graph, sample predictions and the confusion matrix."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_seg.data import eval_batches
from keras_seg.inference import Predictor
from keras_seg.metrics import ConfusionMatrixMetric
from keras_seg.training.loop.pictures import comparison_sheet

FOLDER = "tensorboard"
# More numbers than this squared would not be readable in an image of this size.
MOST_NUMBERED_CLASSES = 12


def tensorboard_callbacks(run_path, dataset, sample_count=4, threshold=None):
    """Returns the callbacks that write `RUN/tensorboard`; needs the package tensorboard.

    Args:
        run_path: Folder of the run.
        dataset: A `Dataset` with a validation split.
        sample_count: Validation images whose prediction is drawn after each epoch.
        threshold: Probability from which a pixel is foreground, of one class.

    Returns:
        List of `keras.callbacks.Callback`: Keras's own for scalars and the graph, and one for the images.
    """
    folder = Path(run_path) / FOLDER
    images = EpochPictures(folder / "pictures", dataset, sample_count, threshold)
    return [keras.callbacks.TensorBoard(folder), images]


class EpochPictures(keras.callbacks.Callback):
    """Draws validation images with their prediction, and the confusion matrix, after each epoch.

    The matrix is that of the model's `ConfusionMatrixMetric` over the validation set; without such a metric
    there is none.

    Args:
        folder: Of the event files.
        dataset: A `Dataset` with a validation split.
        sample_count: Images to draw.
        threshold: Probability from which a pixel is foreground, of one class.
    """

    def __init__(self, folder, dataset, sample_count, threshold=None):
        super().__init__()
        self.folder = folder
        self.dataset = dataset
        self.sample_count = sample_count
        self.threshold = threshold
        self._writer = None

    def on_epoch_end(self, epoch, logs=None):
        self._open()
        images = {"samples": self._draw_samples()}
        if any(name.startswith("val_") for name in logs or ()) and (metric := _confusion(self.model)):
            matrix = keras.ops.convert_to_numpy(metric.matrix)
            images["confusion_matrix"] = draw_confusion(matrix, self.dataset.classes)
        with self._writer.as_default(step=epoch):
            for name, image in images.items():
                tf.summary.image(name, image[None])
        self._writer.flush()

    def on_train_end(self, logs=None):
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self):
        """Not at the start of a training: one that is resumed may begin with the end of an epoch."""
        if self._writer is not None:
            return
        self._writer = tf.summary.create_file_writer(str(self.folder))
        self._predictor = Predictor(
            self.model, self.dataset.classes, self.dataset.colors, threshold=self.threshold
        )
        self._samples = [
            pair
            for images, masks in eval_batches(self.dataset, "val", limit=self.sample_count)
            for pair in zip(np.asarray(images), np.asarray(masks, "uint8"), strict=True)
        ]

    def _draw_samples(self):
        rows = [(image, mask, self._predictor.predict(image).mask) for image, mask in self._samples]
        return comparison_sheet(rows, self.dataset.classes, self.dataset.colors)


def draw_confusion(matrix, classes):
    """Draws a confusion matrix, each row as shares of its class's pixels.

    Args:
        matrix: Pixel counts `[C, C]`, row = truth, column = prediction.
        classes: Class names in id order.

    Returns:
        RGB uint8 `[H, W, 3]`.
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.add_subplot(xlabel="prediction", ylabel="truth")
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, label="share of the class's pixels")
    axes.set_xticks(range(len(classes)), classes, rotation=90)
    axes.set_yticks(range(len(classes)), classes)
    if len(classes) <= MOST_NUMBERED_CLASSES:
        for (row, column), share in np.ndenumerate(shares):
            color = "white" if share > 0.5 else "black"
            axes.text(column, row, f"{share:.2f}", ha="center", va="center", color=color)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def _confusion(model):
    """The first confusion matrix among a model's metrics, which Keras holds in a metric of its own."""
    metrics = [each for metric in model.metrics for each in (metric, *getattr(metric, "metrics", ()))]
    return next((each for each in metrics if isinstance(each, ConfusionMatrixMetric)), None)
