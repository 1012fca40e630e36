"""A run's counts on a data set, by several workers: the same metrics as from one process."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from keras_seg.batch.cluster import Workers, connected, run_files
from keras_seg.batch.workers import Counter
from keras_seg.data import Dataset
from keras_seg.data.batches.pipeline import eval_batch_sizes
from keras_seg.data.folders.index import headers_of
from keras_seg.evaluation.counts import ImageCounts
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
            "options": cluster.share({"memory": cluster.memory, **options}),
        }
        for block in cluster.work(Counter, settings, list(range(len(sizes)))):
            yield from map(ImageCounts, block["matrix"], block["boundary"], block["calibration"])
