"""Networks of folds: each learns from all training images but one part, which it then judges unseen."""

import dataclasses
import hashlib
import json
import os
from typing import NamedTuple

from keras_seg.errors import InputError
from keras_seg.files import make_folder, replacing
from keras_seg.runs import CONFIG, Run
from keras_seg.settings import settings_of
from keras_seg.texts import parse_json, read_text
from keras_seg.training import train
from keras_seg.training.settings.config import ResolvedConfig
from keras_seg.training.settings.subjects import DataSettings

_OF_THE_DATASET = {name: None for name in settings_of(DataSettings) if name not in ("binary", "threshold")}


class Fold(NamedTuple):
    """A network and the training images that it did not learn from.

    Attributes:
        run: Run.
        held_out: samples.
    """

    run: Run
    held_out: list


def train_folds(run, dataset, count, folder, report=print):
    """Trains a network for each fold, with the run's settings; validation images stay what they are.

    Args:
        run: Run whose settings are taken.
        dataset: Dataset with a train and a val split.
        count: number of folds, 2 or more.
        folder: where the networks go, `fold-1` and so on; those that are there already are taken.
        report: function that is given each line for the reader.

    Returns:
        list of Fold.

    Raises:
        InputError: there are too few images, the run was trained with objects given in Python, or the folder
            holds networks of other folds.
    """
    samples = dataset.split("train")
    if not 2 <= count <= len(samples):
        raise InputError(f"--folds must be from 2 to the {len(samples)} training images, received {count}")
    if given := [name for name in run.objects if name != "dataset"]:
        raise InputError(
            f"{run.path}: was trained with {' and '.join(given)} given in Python, so that the networks of "
            "folds cannot be trained alike; leave out --folds"
        )
    # By a hash of the name, as validation images are set aside: neighbors may be alike.
    ranked = sorted(samples, key=lambda sample: hashlib.sha256(os.fsencode(sample.name)).digest())
    return [
        _train_fold(run, dataset, ranked[number::count], folder / f"fold-{number + 1}", report)
        for number in range(count)
    ]


def _train_fold(run, dataset, held_out, folder, report):
    names, members = sorted(sample.name for sample in held_out), folder / "held_out.json"
    if members.is_file() and parse_json(members, read_text(members)) != names:
        raise InputError(f"{folder}: is of other folds; remove it, or name another --output")
    make_folder(folder.parent)
    if (folder / "metrics.json").is_file() and members.is_file():
        report(f"{folder}: was trained before; remove it to train it on changed masks")
        return Fold(Run.open(folder), held_out)
    left_out = set(map(id, held_out))
    learned = [sample for sample in dataset.split("train") if id(sample) not in left_out]
    part = dataclasses.replace(dataset, splits={"train": learned, "val": dataset.split("val")})
    if (folder / CONFIG).is_file():
        found = train(resume=folder, dataset=part, report=report)
    else:
        config = ResolvedConfig.from_dict(run.config)
        found = train(config.replace(**_OF_THE_DATASET, output=str(folder)), dataset=part, report=report)
    with replacing(members) as temporary:
        temporary.write_text(json.dumps(names), encoding="utf-8")
    return Fold(found, held_out)
