"""A trained model as a function from one image to its mask."""

import math
from collections.abc import Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import keras
import numpy as np
from keras import ops

from keras_seg.acceleration import accelerate
from keras_seg.classes import BINARY_CLASSES
from keras_seg.data.samples import ImageKind
from keras_seg.errors import InputError
from keras_seg.hints import Colors, PathLike
from keras_seg.inference.arrays import as_image, warn_of_fractions
from keras_seg.inference.averaging import Averaging, averaged_probabilities, logits_in_bands
from keras_seg.inference.bfloat16 import in_bfloat16
from keras_seg.inference.images import write_mask
from keras_seg.logits import (
    classify,
    mask_dtype,
    most_probable,
    num_classes,
    num_logits,
    threshold_of,
)
from keras_seg.notebook import image_html
from keras_seg.palette import colorize, default_colors, overlay
from keras_seg.pretrained import load_model
from keras_seg.runs import CONFIG, Run

LEAST_PIXELS = 1 << 16  # As many have to go through at once anyway.
_FLOAT = 4  # Bytes


class _MaskAndConfidence(NamedTuple):
    mask: np.ndarray
    confidence: np.ndarray


class Prediction(_MaskAndConfidence):
    """What a model predicts for an image: `mask, confidence = predictor.predict(image)`.

    Attributes:
        mask: class ids [H, W], uint8 for up to 255 classes, else uint16.
        confidence: the probability of that class, float32 [H, W] in 0..1.
        image: the image, [H, W, C]; None where several were predicted at once.
        classes: class names in id order, or None.
        colors: RGB per class, [C, 3], or None.
    """

    image = classes = colors = None

    def seen(
        self, image: np.ndarray, classes: Sequence[str] | None, colors: np.ndarray | None
    ) -> "Prediction":
        """Returns itself, with the image, class names and colors that it is drawn with."""
        self.image, self.classes, self.colors = image, classes, colors
        return self

    def overlay(self) -> np.ndarray:
        """The image with the classes drawn over it, RGB uint8 [H, W, 3]; the classes alone without one."""
        colors = default_colors(int(self.mask.max()) + 1) if self.colors is None else self.colors
        if self.image is None:
            return colorize(self.mask, colors)
        return overlay(self.image, self.mask, colors, classes=self.classes)

    def save(self, path: PathLike) -> None:
        """Writes the mask as a PNG whose pixel value is the class id; raises InputError."""
        write_mask(path, self.mask)

    def _repr_html_(self):
        if self.mask.ndim != 2:
            return None
        found = np.unique(self.mask).tolist()
        names = [self.classes[index] if self.classes else f"class {index}" for index in found]
        return image_html(self.overlay(), f"{', '.join(names)}; mean confidence {self.confidence.mean():.2f}")


class Predictor:
    """Predicts masks at the image's own size, with a run's best model or any model of this library.

    Args:
        source: a run folder, a `Run`, a `.keras` file, or a `keras.Model` from RGB [B, H, W, 3] in 0..255 to
            logits [B, H, W, C] (or a dict that holds them as `"out"`).
        classes: class names in id order; the run's by default, else `class 0`, `class 1`, ...
        colors: RGB per class, [C, 3]; the run's by default, else `palette.default_colors`.
        averaging: `Averaging`: sliding windows, several scales, mirrored images; by default an image goes
            through once, whole.
        crf: `CRF` that refines the class probabilities along the image's edges; None for none.
        threshold: probability from which a pixel is foreground, for a network with a single logit; None for
            the run's, else 0.5.
        memory: bytes that an image may take, with the program and the weights; a larger one goes through the
            network in tiles (docs/reference/prediction.md). None: 8 GB, as an export's default.
            TensorFlow alone.
        precision: `"float32"` or `"bfloat16"`, in which weights are rounded and all is computed but the first
            and the last layers: for processors that have instructions for it.

    Attributes:
        model: the `keras.Model`.
        num_classes: number of classes.
        classes: tuple of class names.
        colors: uint8 [C, 3].
        images: `ImageKind` of what it takes.
        threshold: probability from which a pixel is foreground; None where the most probable class wins.

    Raises:
        InputError: the folder is no run, its model does not fit its classes, or has no threshold.
        ValueError: `precision` is another.
    """

    def __init__(
        self,
        source: PathLike | Run | keras.Model,
        classes: Sequence[str] | None = None,
        colors: Colors | None = None,
        *,
        averaging: Averaging | None = None,
        crf: Any = None,
        threshold: float | None = None,
        memory: int | None = None,
        precision: str = "float32",
    ) -> None:
        if precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision must be float32 or bfloat16, received {precision!r}.")
        run = _opened(source)
        if isinstance(run, keras.Model):
            self.model = run
        else:
            self.model = run.load_model()
            classes, colors = classes or run.classes, run.colors if colors is None else colors
            threshold = run.threshold if threshold is None else threshold
        if precision == "bfloat16":
            self.model = in_bfloat16(self.model)
        self.num_classes = num_classes(self.model)
        channels = self.model.inputs[0].shape[-1]
        self.images = ImageKind(channels) if isinstance(run, keras.Model) else run.images
        if self.images.channels != channels:
            raise InputError(
                f"{run.path}: its config.json says {self.images.channels} channels, and its model takes "
                f"{channels}; correct 'channels' there"
            )
        self.threshold = threshold_of(self.model, threshold)
        unnamed = (f"class {i}" for i in range(self.num_classes))
        self.classes = tuple(classes or (unnamed if self.threshold is None else BINARY_CLASSES))
        self.colors = np.asarray(default_colors(self.num_classes) if colors is None else colors, np.uint8)
        if not len(self.classes) == len(self.colors) == self.num_classes:
            raise InputError(
                f"{self.model.name}: predicts {self.num_classes} classes, but there are {len(self.classes)} "
                f"names and {len(self.colors)} colors; name every class once"
            )
        self.averaging = averaging or Averaging()
        self.crf = crf
        self.memory = memory
        if crf is not None and not self.images.is_rgb:
            raise InputError(
                f"--crf goes by the colors of RGB of 8 bits, and these images are {self.images}; drop it"
            )

    def predict(self, image: np.ndarray | PathLike | bytes) -> Prediction:
        """Predicts one image.

        Args:
            image: RGB [H, W, 3] or grey [H, W] or [H, W, 1] in 0..255, uint8 or float; or the path of a
                file, or a file's content as bytes.

        Returns:
            Prediction.

        Raises:
            ValueError: the array has another shape.
            InputError: the file is no image, or the image does not fit into memory.
        """
        pixels = as_image(image, self.images)
        mask, confidence = self.predict_batch(pixels[None])
        return Prediction(mask[0], confidence[0]).seen(pixels, self.classes, self.colors)

    def probabilities(self, image: np.ndarray | PathLike | bytes) -> np.ndarray:
        """Predicts how probable each class is at each pixel of an image.

        Args:
            image: as for `predict`.

        Returns:
            float32 [H, W, C], the sums over C are 1.

        Raises:
            ValueError: the array has another shape.
            InputError: as for `predict`.
        """
        pixels = as_image(image, self.images)
        self._check_shape(pixels[None].shape)
        warn_of_fractions(pixels, self.images)
        with _memory_errors_explained(pixels.shape):
            tiling = self._tiling(pixels.shape[0] * pixels.shape[1], self._bytes_of_probabilities)
            found = averaged_probabilities(partial(self._logits, tiling), pixels, self.averaging)
            if self.crf is None:
                return found
            # Imported here since SciPy takes its time and few ask for it.
            from keras_seg.inference.crf import refine

            return refine(found, pixels, self.crf)

    def predict_batch(self, images: np.ndarray) -> Prediction:
        """Predicts images of one size at once.

        Args:
            images: RGB [B, H, W, 3] in 0..255, uint8 or float.

        Returns:
            Prediction with arrays [B, H, W].

        Raises:
            ValueError: the array has another shape.
            InputError: the batch does not fit into memory.
        """
        images = np.asarray(images)
        self._check_shape(images.shape)
        warn_of_fractions(images, self.images)
        if self.crf is not None or self.averaging.scales != (1.0,):
            found = (self.probabilities(image) for image in images)
            return _joined(most_probable(each, self.threshold) for each in found)
        with _memory_errors_explained(images.shape[1:]):
            if self.averaging.window is not None:
                return _joined(self._in_bands(image, self.averaging.window) for image in images)
            mask = np.empty(images.shape[:3], mask_dtype(self.num_classes))
            confidence = np.empty(images.shape[:3], np.float32)
            tiling = self._tiling(math.prod(images.shape[:3]))
            for place, found in _parts(self._classify, images, tiling):
                mask[place], confidence[place] = found[..., 0], found[..., 1]
            return Prediction(mask, confidence)

    def _in_bands(self, image, window):
        """Classifies rows as soon as they are done, so that the logits of a whole image never exist."""
        height, width = image.shape[:2]
        mask = np.empty((height, width), mask_dtype(self.num_classes))
        confidence = np.empty((height, width), np.float32)
        rows_of_logits = min(window[0], height) / height * _FLOAT * self.num_classes
        tiling = self._tiling(height * width, rows_of_logits)
        for top, logits in logits_in_bands(partial(self._logits, tiling), image, self.averaging):
            rows = slice(top, top + len(logits))
            found = classify(logits, self.threshold)
            mask[rows], confidence[rows] = map(ops.convert_to_numpy, found)
        return Prediction(mask, confidence)

    def _check_shape(self, shape):
        channels = self.images.channels
        if len(shape) != 4 or shape[-1] != channels or 0 in shape:
            raise ValueError(
                f"image must be [H, W, {channels}] with H and W of 1 or more, received {list(shape[1:])}."
            )
        sizes = zip(self.averaging.window or shape[1:3], self.model.inputs[0].shape[1:3], strict=True)
        for have, want in sizes:
            if want not in (None, have):
                raise ValueError(f"{self.model.name} takes one size of image only, received {shape[1:3]}.")

    @cached_property
    def _network(self):
        """Function of float images to logits."""
        model = accelerate(self.model, "inference")

        def network(images):
            logits = model(images, training=False)
            return logits["out"] if isinstance(logits, dict) else logits

        return network

    @cached_property
    def _classify(self):
        def finish(logits):
            mask, confidence = classify(logits, self.threshold)
            return ops.stack([ops.cast(mask, "float32"), confidence], axis=-1)

        return self._compiled(finish)

    @cached_property
    def _logits_at_once(self):
        return self._compiled(lambda logits: ops.cast(logits, "float32"))

    def _logits(self, tiling, images):
        if tiling is None or tiling.holds(*images.shape[:3]):
            return self._logits_at_once(images)
        logits = np.empty((*images.shape[:3], num_logits(self.model)), np.float32)
        for place, found in _parts(self._logits_at_once, images, tiling):
            logits[place] = found
        return logits

    def _compiled(self, finish):
        """Returns a function of images [N, H, W, C] to an array: what `finish` makes of their logits."""
        network = self._averaging_network()
        function = _compiled(lambda images: finish(network(images)), (None, *self.model.inputs[0].shape[1:]))
        return lambda images: ops.convert_to_numpy(function(images.astype(np.float32)))

    def _averaging_network(self):
        """Function of float images to logits, their mean with the mirror images' where that is wanted."""
        network = self._network  # Built here, as that reads weights; in a graph it could not.
        if not self.averaging.flip:
            return network
        return lambda images: (network(images) + ops.flip(network(ops.flip(images, axis=2)), axis=2)) / 2

    def _tiling(self, pixels, more_bytes=0):
        """Returns the `Tiling` of images, None where they go through whole; raises InputError as it does.

        Args:
            pixels: Of all that are predicted at once.
            more_bytes: For each of them, that are held beside the images.
        """
        if keras.backend.backend() != "tensorflow" or pixels <= LEAST_PIXELS:
            return None
        # Imported here for the other backends' sake.
        from keras_seg.inference.footprint import DEFAULT_MEMORY

        found = self._footprint._replace(image_bytes=self._footprint.image_bytes + more_bytes)
        memory = self.memory or DEFAULT_MEMORY
        return found.tiling(memory, max(pixels, found.image_pixels(memory)))

    @cached_property
    def _footprint(self):
        # As above.
        from keras_seg.inference.footprint import footprint

        found = footprint(self.model, self._network, self.images)
        # The logits of an image are kept while those of its mirror image are computed.
        kept = 2 * _FLOAT * num_logits(self.model) if self.averaging.flip else 0
        return found._replace(per_pixel=found.per_pixel + kept)

    @property
    def _bytes_of_probabilities(self):
        """For each pixel: logits and probabilities at the largest scale, and the sum of all scales."""
        copies = 2 * max(self.averaging.scales) ** 2 + 1
        values = _FLOAT * self.num_classes * copies
        return values if self.crf is None else max(values, self.crf.bytes_a_pixel(self.num_classes))


def _opened(source):
    """A `Run`, or a model."""
    if not isinstance(source, (str, Path)):
        return source
    path = Path(source)
    if path.suffix != ".keras" or path.is_dir():
        return Run.open(path)
    is_a_runs = path.name == "best.keras" and (path.parent / CONFIG).is_file()
    return Run.open(path.parent) if is_a_runs else load_model(path)


def _parts(function, images, tiling):
    """Yields `(place, function of what is there)` of images [N, H, W, C]: at once, or tile by tile."""
    if tiling is None or tiling.holds(*images.shape[:3]):
        yield np.s_[:], function(images)
        return
    # As above.
    from keras_seg.inference.tiles import places

    for tile, kept, middle in places(tiling, *images.shape[1:3]):
        for index, image in enumerate(images):
            yield (index, *kept), function(image[tile][None])[0][middle]


def _compiled(function, shape):
    """Returns a function of images of a shape, compiled once for all sizes."""
    if keras.backend.backend() != "tensorflow":
        return function
    # Keras's own predict function would be traced anew for the first few sizes, each trace with roundings
    # of its own. This one is the graph of the exported model.
    # Imported here for the other backends' sake.
    import tensorflow as tf

    return tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False)


def _joined(predictions):
    return Prediction(*map(np.stack, zip(*predictions, strict=True)))


@contextmanager
def _memory_errors_explained(shape):
    try:
        yield
    except Exception as error:
        if _is_out_of_memory(error):
            raise InputError(
                f"{shape[1]} x {shape[0]} pixels do not fit into memory; predict in windows (--sliding 512 "
                "512), or make the image smaller"
            ) from None
        raise


def _is_out_of_memory(error):
    """Each backend has its own exception for it."""
    names = ("MemoryError", "ResourceExhaustedError", "OutOfMemoryError")
    is_opencvs = isinstance(error, cv2.error) and getattr(error, "code", None) == cv2.Error.StsNoMem
    return is_opencvs or type(error).__name__ in names or "RESOURCE_EXHAUSTED" in str(error)
