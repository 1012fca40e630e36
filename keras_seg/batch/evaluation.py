"""A run's counts on a data set, by several workers: the same figures as by one process."""

import numpy as np

from keras_seg.batch.cluster import connected, run_files
from keras_seg.batch.workers import load_predictor
from keras_seg.data import read_sample
from keras_seg.evaluation.counts import ImageCounts, count_image


def counts_of_workers(run, dataset, split, options, workers):
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
    files = run_files(run)
    with connected(workers, run) as cluster:
        settings = {
            "run": cluster.share(files),
            "dataset": cluster.share((dataset, split)),
            "options": {"memory": cluster.memory, **options},
        }
        for block in cluster.work(Counter, settings, list(range(len(dataset.split(split))))):
            yield from map(ImageCounts, block["matrix"], block["boundary"], block["calibration"])


class Counter:
    """Predicts samples and counts what is right.

    Args:
        run, cores, options: As for `load_predictor`.
        dataset: List of the reference to a Dataset and the name of a split.
    """

    def __init__(self, run, cores, options, dataset):
        import ray

        self._predictor = load_predictor(run, cores, options)
        self._dataset, split = ray.get(dataset[0])
        self._samples = self._dataset.split(split)

    def __call__(self, block):
        """Counts some samples.

        Args:
            block: {"item": array of their numbers}.

        Returns:
            {name of a field of `ImageCounts`: array, the first axis over the samples}.
        """
        found = []
        for number in block["item"]:
            image, truth = read_sample(self._samples[number], self._dataset)
            found.append(count_image(truth, self._predictor.predict(image), self._predictor.num_classes))
        return {name: np.stack([getattr(each, name) for each in found]) for name in ImageCounts._fields}
