"""Trains a network; without --data on the built-in shapes.

Leaves a run folder: best.keras, metrics.json, history.csv, curves.png, samples.png and export/1 for
TensorFlow Serving.
"""

from pathlib import Path

from keras_seg.cli.quiet import import_tensorflow
from keras_seg.cli.train_flags import add_flags, flag_of, given_settings
from keras_seg.errors import InputError
from keras_seg.texts import parse_json, read_text

WITH_RESUME = ("epochs", "checkpoint_every", "distribute")


def add_arguments(parser):
    """Adds the flags; those that are left out keep the defaults of `TrainConfig`."""
    add_flags(parser)
    group = parser.add_argument_group("an earlier run")
    group.add_argument("--resume", metavar="RUN", help="go on with this run, to --epochs in all")
    group.add_argument(
        "--config",
        metavar="FILE",
        help="train anew with the settings of a config.json; flags win over them",
    )


def run(arguments):
    """Trains."""
    settings = given_settings(arguments)
    if arguments.resume:
        if arguments.config:
            raise InputError("--config and --resume exclude each other: a run goes on with its own; drop one")
        surplus = ", ".join(sorted(flag_of(name) for name in settings.keys() - set(WITH_RESUME)))
        if surplus:
            raise InputError(
                f"{surplus}: --resume goes on with the run's own settings; only --epochs, "
                "--checkpoint-every and --distribute go with it"
            )
    import_tensorflow("training")
    from keras_seg.training import TrainConfig, train

    if arguments.resume:
        train(resume=arguments.resume, **settings)
    elif arguments.config:
        train(_replayed(Path(arguments.config), settings))
    else:
        train(TrainConfig(**settings))


def _replayed(path, changes):
    """The settings of a `config.json` but for the changes; the new run gets a folder of its own."""
    from keras_seg.training import TrainConfig

    recorded = parse_json(path, read_text(path))
    if not isinstance(recorded, dict):
        raise InputError(f"{path}: holds no settings; name the config.json of a run")
    return TrainConfig.from_dict({**recorded, "output": None}, **changes)
