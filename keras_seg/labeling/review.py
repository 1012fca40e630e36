"""Ranks images and regions by how surely a network contradicts their masks."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from keras_seg.data import read_sample
from keras_seg.data.folders.index import facts_of_splits
from keras_seg.data.samples import ArraySample, Sample
from keras_seg.errors import InputError
from keras_seg.inference import Predictor
from keras_seg.labeling.doubts import Doubt, Thresholds, contradictions, doubt_score, doubtful_regions
from keras_seg.palette import IGNORE

TRAINED, HELD_OUT, UNKNOWN = "yes", "no", "unknown"


class Judged(NamedTuple):
    """An image of a review.

    Attributes:
        sample: Sample or ArraySample.
        split: "train", "val" or "test".
        network: "run", or "fold-1" and so on.
        trained_on: whether that network learned from this mask: "yes", "no" or "unknown".
        score: nats a pixel, see `doubt_score`.
    """

    sample: Sample | ArraySample
    split: str
    network: str
    trained_on: str
    score: float

    @property
    def name(self):
        """The image's path, or its name where it was drawn."""
        return str(self.sample.image) if isinstance(self.sample, Sample) else self.sample.name


class Finding(NamedTuple):
    """What is shown of an image.

    Attributes:
        judged: Judged.
        doubts: list of Doubt, the gravest first.
        image: [H, W, C].
        mask: class ids [H, W], 255 ignored.
        other: class ids [H, W] of what the network takes doubted pixels for, 255 where the label stands.
        confidence: probability of the class in `suggested`, float32 [H, W].
    """

    judged: Judged
    doubts: list[Doubt]
    image: np.ndarray
    mask: np.ndarray
    other: np.ndarray
    confidence: np.ndarray

    @property
    def suggested(self):
        """The mask as it would be if the network were right wherever it contradicts, class ids [H, W]."""
        return np.where(self.other == IGNORE, self.mask, self.other)


class Review:
    """Judges every mask of some splits, by networks that have not learned from it where there are such.

    Args:
        run: Run.
        dataset: Dataset of `Run.dataset`.
        splits: names of the splits to judge.
        folds: None, or the `Fold`s of `train_folds`, which judge the train split.
        options: keyword arguments of `Predictor`.
        progress: wraps an iterable and is given its `total`, such as `tqdm.tqdm`.

    Attributes:
        judged: list of Judged, the most doubtful first: of these that no network has learned from, then of
            the others.
    """

    def __init__(self, run, dataset, splits, *, folds=None, options=None, progress=None):
        self._run, self._dataset, self._options = run, dataset, options or {}
        self._networks, self._predictors, self._thresholds = {}, {}, {}
        self.judged = []
        progress = progress or (lambda items, total: items)
        work = list(self._work(splits, folds or ()))
        for sample, split, network, trained_on in progress(work, total=len(work)):
            mask, probabilities = self._read(sample, network)[1:]
            self._thresholds[network].add(mask, probabilities)
            score = doubt_score(mask, probabilities)
            self.judged.append(Judged(sample, split, network, trained_on, score))
        self.judged.sort(key=lambda each: (each.trained_on == TRAINED, -each.score))

    def findings(self, limit: int) -> Iterable[Finding]:
        """Yields what there is to show of the first images, which are read and predicted once more.

        Args:
            limit: images at most.
        """
        for judged in self.judged[:limit]:
            image, mask, probabilities = self._read(judged.sample, judged.network)
            thresholds = self._thresholds[judged.network].values()
            other = contradictions(mask, probabilities, thresholds)
            doubts = doubtful_regions(mask, probabilities, thresholds)
            chosen = np.where(other == IGNORE, np.minimum(mask, len(thresholds) - 1), other)
            confidence = np.take_along_axis(probabilities, chosen[..., None].astype(int), axis=-1)[..., 0]
            yield Finding(judged, doubts, image, mask, other, confidence)

    def _work(self, splits, folds):
        """Yields (sample, split, name of the network, whether it was trained on it)."""
        self._add_network("run", self._run)
        learned = None
        facts_of = facts_of_splits(self._dataset, splits)
        for split in splits:
            if split == "train" and folds:
                for fold in folds:
                    name = fold.run.path.name
                    self._add_network(name, fold.run)
                    yield from ((sample, split, name, HELD_OUT) for sample in fold.held_out)
                continue
            learned = _learned(self._run) if learned is None else learned
            for sample, facts in zip(self._dataset.split(split), facts_of[split], strict=True):
                known = UNKNOWN if learned is UNKNOWN else TRAINED if facts.digest in learned else HELD_OUT
                yield sample, split, "run", known

    def _add_network(self, name, run):
        self._networks[name] = run
        self._thresholds[name] = Thresholds(len(self._run.classes))

    def _read(self, sample, network):
        """Returns a sample's image, class ids and probabilities."""
        if network not in self._predictors:
            self._predictors[network] = Predictor(self._networks[network], **self._options)
        image, mask = read_sample(sample, self._dataset)
        return image, mask, self._predictors[network].probabilities(image)


def _learned(run):
    """Digests of the images that a run has trained on; UNKNOWN where they are not there any more."""
    try:
        dataset = run.dataset(split="train")
        return {facts.digest for facts in facts_of_splits(dataset, ["train"])["train"]}
    except InputError:
        return UNKNOWN
