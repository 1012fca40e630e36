"""What a worker does: labels images and writes their masks, or counts what is right in a data set's.

A worker process imports this module and gets its arguments before it is prepared for TensorFlow, which reads
its settings once (`keras_seg.process`): nothing at the top imports that, and what the package itself defines
is shared instead of being an argument.
"""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from keras_seg.errors import InputError
from keras_seg.process import prepare

AHEAD = 16  # Images that are read and decoded at a time.
TOGETHER = 1 << 20  # Pixels that go through the network at once on a GPU, of images of one size.


def load_predictor(run, cores, options):
    """Builds the Predictor of a worker process.

    Args:
        run: `run_files`, as `Cluster.share` gives them.
        cores: Threads to compute with; None as TensorFlow chooses.
        options: Keyword arguments of `Predictor`, as `Cluster.share` gives them.
    """
    prepare("inference")
    import ray
    import tensorflow as tf

    if cores is not None:
        tf.config.threading.set_intra_op_parallelism_threads(cores)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    from keras_seg.inference import Predictor
    from keras_seg.runs import Run

    with tempfile.TemporaryDirectory() as folder:
        for name, contents in ray.get(run[0]).items():
            Path(folder, name).write_bytes(contents)
        return Predictor(Run.open(folder), **ray.get(options[0]))


class Labeler:
    """Labels images with one Predictor for the worker's lifetime.

    Args:
        run, cores, options: As for `load_predictor`.
        target: Address of the target folder.
        version: The model's, for the manifest.
        wanted: Which of `"confidence"` and `"overlay"` to write besides masks.
    """

    def __init__(self, run, cores, options, target, version, wanted):
        self._predictor = load_predictor(run, cores, options)
        import tensorflow as tf

        from keras_seg.batch.targets import Target

        # A CPU's kernels round otherwise for a batch, so a tie of two classes could be decided otherwise.
        self._together = TOGETHER if tf.config.list_physical_devices("GPU") else 1
        self._target, self._version, self._wanted = Target(target), version, wanted
        self._pool = ThreadPoolExecutor(max(2, cores or 0))

    def __call__(self, block):
        """Labels the images of a block.

        Args:
            block: {"item": array of addresses}.

        Returns:
            The same; what became of them is in the manifest.
        """
        from keras_seg.batch.manifest import write_part

        paths, rows = [str(path) for path in block["item"]], []
        for start in range(0, len(paths), AHEAD):
            rows += self._label(paths[start : start + AHEAD])
        write_part(self._target, rows)
        return block

    def _label(self, paths):
        started = time.perf_counter()
        images = list(self._pool.map(self._read, paths))
        rows = {path: _failed(path, image) for path, image in images if isinstance(image, str)}
        readable = [pair for pair in images if not isinstance(pair[1], str)]
        for group in _of_one_size(readable, self._together):
            rows.update(self._predict(group))
        share = (time.perf_counter() - started) / len(paths)
        return [{**rows[path], "model_version": self._version, "seconds": share} for path in paths]

    def _read(self, path):
        """Returns the path, and its image or the line that says what is wrong with it."""
        from keras_seg.batch.sources import read
        from keras_seg.data.formats.reading import decode_image_bytes, read_bytes

        try:
            contents = read(path) if "://" in path else read_bytes(path)
            return path, decode_image_bytes(path, contents, self._predictor.images)
        except InputError as error:
            return path, str(error)
        except Exception as error:  # Each store has exceptions of its own.
            return path, f"{path}: cannot be read ({str(error) or type(error).__name__})"

    def _predict(self, group):
        """Labels images of one size and writes their masks; yields a path and its row each."""
        import numpy as np

        try:
            found = self._predictor.predict_batch(np.stack([image for _, image in group]))
        except (InputError, ValueError) as error:
            if len(group) > 1:
                for pair in group:
                    yield from self._predict([pair])
                return
            path = group[0][0]
            yield path, _failed(path, f"{path}: {error}")
            return
        for (path, image), mask, confidence in zip(group, found.mask, found.confidence, strict=True):
            yield path, self._write(path, image, mask, confidence)

    def _write(self, path, image, mask, confidence):
        """Writes the requested outputs of an image, its mask last; returns its row."""
        import numpy as np

        from keras_seg.batch.manifest import DONE
        from keras_seg.batch.targets import target_name
        from keras_seg.palette import overlay

        name = target_name(path)
        if "confidence" in self._wanted:
            self._write_image(f"confidence/{name}.png", np.rint(confidence * 255).astype(np.uint8))
        if "overlay" in self._wanted:
            drawing = overlay(image, mask, self._predictor.colors, classes=self._predictor.classes)
            self._write_image(f"overlays/{name}.png", drawing)
        self._write_image(f"masks/{name}.png", mask)
        counts = np.bincount(mask.ravel(), minlength=self._predictor.num_classes)
        return {
            "path": path,
            "status": DONE,
            "error": None,
            "mask": f"masks/{name}.png",
            "height": mask.shape[0],
            "width": mask.shape[1],
            "pixels": counts.tolist(),
            "mean_confidence": float(confidence.mean()),
        }

    def _write_image(self, name, image):
        from keras_seg.inference.images import encode_png

        self._target.write(name, encode_png(image))


class Counter:
    """Predicts samples and counts correct pixels.

    Args:
        run, cores, options: As for `load_predictor`.
        dataset: A Dataset, its samples, and the first and the end of each batch, shared too.
    """

    def __init__(self, run, cores, options, dataset):
        import ray

        self._predictor = load_predictor(run, cores, options)
        self._dataset, self._samples, self._batches = ray.get(dataset[0])

    def __call__(self, block):
        """Counts some batches.

        Args:
            block: {"item": array of their numbers}.

        Returns:
            {name of a field of `ImageCounts`: array, the first axis over the samples}.
        """
        import numpy as np

        from keras_seg.data import read_sample
        from keras_seg.evaluation.counts import ImageCounts, count_image
        from keras_seg.inference import Prediction

        found = []
        for number in block["item"]:
            pairs = [
                read_sample(each, self._dataset) for each in self._samples[slice(*self._batches[number])]
            ]
            images, masks = map(np.stack, zip(*pairs, strict=True))
            for truth, *prediction in zip(masks, *self._predictor.predict_batch(images), strict=True):
                found.append(count_image(truth, Prediction(*prediction), self._predictor.num_classes))
        return {name: np.stack([getattr(each, name) for each in found]) for name in ImageCounts._fields}


def _failed(path, line):
    from keras_seg.batch.manifest import FAILED

    empty = dict.fromkeys(("mask", "height", "width", "pixels", "mean_confidence"))
    return {"path": path, "status": FAILED, "error": line, **empty}


def _of_one_size(pairs, most):
    """Yields lists of pairs whose images have one size, of at most `most` pixels or one image."""
    groups: dict[Any, list[Any]] = {}
    for path, image in pairs:
        group = groups.setdefault(image.shape, [])
        group.append((path, image))
        if (len(group) + 1) * image.shape[0] * image.shape[1] > most:
            yield groups.pop(image.shape)
    yield from groups.values()
