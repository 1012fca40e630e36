"""Trains a network; without --data on the built-in shapes.

Leaves a run folder: best.keras, metrics.json, history.csv, curves.png, samples.png and export/1 for
TensorFlow Serving.
"""

import argparse
from pathlib import Path

from keras_seg.cli.quiet import import_tensorflow
from keras_seg.cli.train_flags import add_flags, given_settings
from keras_seg.errors import InputError
from keras_seg.run_config import check_config
from keras_seg.texts import parse_json, read_text

EXAMPLES = (
    "python -m keras_seg train --model unet --data photographs --image-size 256 256 --epochs 50",
    "python -m keras_seg train --resume runs/unet-photographs --epochs 100",
)


def add_arguments(parser):
    """Adds the flags; those that are left out keep the defaults of `TrainConfig`."""
    add_flags(parser)
    group = parser.add_argument_group("an earlier run")
    group.add_argument(
        "--resume", metavar="RUN", default=argparse.SUPPRESS, help="resume this run, up to --epochs in total"
    )
    group.add_argument(
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="train anew with the settings of a config.json; flags win over them",
    )


def run(arguments):
    """Trains."""
    settings = given_settings(arguments)
    resume, config = (vars(arguments).get(name) for name in ("resume", "config"))
    if resume and config:
        raise InputError(
            "--config and --resume exclude each other: a run resumes with its own settings; drop one"
        )
    import_tensorflow("training")
    from keras_seg.training import TrainConfig, train

    if resume:
        train(resume=resume, **settings)
    elif config:
        train(_replayed(Path(config), settings))
    else:
        train(TrainConfig(**settings))


def _replayed(path, changes):
    """The settings of a `config.json` but for the changes; the new run gets a folder of its own."""
    from keras_seg.training import TrainConfig

    recorded = parse_json(path, read_text(path))
    check_config(path, recorded)
    return TrainConfig.from_dict({**recorded, "output": None}, **changes)
