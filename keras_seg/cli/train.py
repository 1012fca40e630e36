"""Trains a network; without --data on the built-in shapes.

Leaves a run folder: best.keras, metrics.json, history.csv, curves.png, samples.png and export/1 for
TensorFlow Serving.
"""

from keras_seg.cli.quiet import import_tensorflow
from keras_seg.cli.train_flags import PAIRS, add_flags
from keras_seg.errors import InputError

WITH_RESUME = ("resume", "epochs", "checkpoint_every", "distribute")


def add_arguments(parser):
    """Adds the flags; those that are left out keep the defaults of `TrainConfig`."""
    add_flags(parser)


def run(arguments):
    """Trains."""
    import_tensorflow("training")
    from keras_seg.training import TrainConfig, train

    settings = {key: value for key, value in vars(arguments).items() if key != "run"}
    if "resume" in settings:
        surplus = settings.keys() - set(WITH_RESUME)
        if surplus:
            flags = ", ".join(sorted(f"--{name.replace('_', '-')}" for name in surplus))
            raise InputError(
                f"{flags}: --resume goes on with the run's own settings; only --epochs, "
                "--checkpoint-every and --distribute go with it"
            )
        train(**settings)
        return
    for name in PAIRS:
        if name in settings:
            settings[name] = tuple(settings[name])
    if "model_options" in settings:
        settings["model_options"] = dict(settings["model_options"])
    train(TrainConfig(**settings))
