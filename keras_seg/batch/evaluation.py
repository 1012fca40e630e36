"""A run's counts on a data set, by several workers: the same metrics as from one process."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keras_seg.batch.cluster import Workers, connected, run_files
from keras_seg.batch.workers import load_predictor
from keras_seg.data import Dataset, read_sample
from keras_seg.data.batches.pipeline import eval_batch_sizes
from keras_seg.data.folders.index import headers_of
from keras_seg.evaluation.counts import ImageCounts, count_image
from keras_seg.inference import Prediction
from keras_seg.runs import Run


def counts_of_workers(
    run: Run, dataset: Dataset, split: str, options: Mapping[str, Any], workers: Workers
) -> Iterator[ImageCounts]:
    """Counts every image of a split, as the engine of `evaluate_run`.

    The files of the data set must be there for all workers under the same names.

    Args:
        run: `Run`.
        dataset: Dataset.
        split: Name of the split.
        options: Keyword arguments of `Predictor`.
        workers: `Workers`.

    Yields:
        `ImageCounts`, in the order of the split.

    Raises:
        InputError: As `connected`, or a mask holds an id that is no class.
    """
    files, samples = run_files(run), dataset.split(split)
    # The batches of one process, since a network's last digits may depend on what goes through it together.
    sizes = eval_batch_sizes(headers_of(samples, dataset))
    ends = list(itertools.accumulate(sizes))
    with connected(workers, run) as cluster:
        settings = {
            "run": cluster.share(files),
            "dataset": cluster.share((dataset, samples, list(zip([0, *ends], ends, strict=False)))),
            "options": {"memory": cluster.memory, **options},
        }
        for block in cluster.work(Counter, settings, list(range(len(sizes)))):
            yield from map(ImageCounts, block["matrix"], block["boundary"], block["calibration"])


class Counter:
    """Predicts samples and counts correct pixels.

    Args:
        run, cores, options: As for `load_predictor`.
        dataset: List of the reference to a Dataset, its samples, and the first and the end of each batch.
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
        found = []
        for number in block["item"]:
            pairs = [
                read_sample(each, self._dataset) for each in self._samples[slice(*self._batches[number])]
            ]
            images, masks = map(np.stack, zip(*pairs, strict=True))
            for truth, *prediction in zip(masks, *self._predictor.predict_batch(images), strict=True):
                found.append(count_image(truth, Prediction(*prediction), self._predictor.num_classes))
        return {name: np.stack([getattr(each, name) for each in found]) for name in ImageCounts._fields}
