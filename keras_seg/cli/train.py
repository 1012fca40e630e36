"""Trains a network; without --data on the built-in shapes.

Leaves a run folder: best.keras, metrics.json, history.csv, curves.png, samples.png and export/1 for
TensorFlow Serving.
"""

import argparse
import json

from keras_seg.cli.quiet import import_tensorflow
from keras_seg.errors import InputError


def option(text):
    """Reads `stride=16` as `("stride", 16)`; what is no JSON is a word."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, received {text!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


FLAGS = (
    ("--model", {"metavar": "NAME", "help": "network, see `python -m keras_seg models` (default: fcn8)"}),
    ("--data", {"metavar": "FOLDER", "help": "images and masks, see docs/data.md (default: shapes)"}),
    (
        "--weights",
        {
            "metavar": "auto|imagenet|none|FILE",
            "help": "pretrained weights: auto takes what can be had, imagenet insists (default: auto)",
        },
    ),
    (
        "--model-option",
        {
            "metavar": "NAME=VALUE",
            "action": "append",
            "dest": "model_options",
            "type": option,
            "help": "of the builder, as preprocessing=torch or freeze_upsampling=true; may be repeated",
        },
    ),
    (
        "--image-size",
        {
            "metavar": ("H", "W"),
            "nargs": 2,
            "type": int,
            "help": "crops to train on, in pixels (default: 256 256, on shapes 64 64)",
        },
    ),
    ("--batch-size", {"metavar": "N", "type": int, "help": "images a step (default: 8)"}),
    (
        "--epochs",
        {"metavar": "N", "type": int, "help": "passes over the training images (default: 30, on shapes 4)"},
    ),
    ("--optimizer", {"metavar": "adam|adamw|sgd", "help": "(default: adam)"}),
    (
        "--learning-rate",
        {
            "metavar": "RATE",
            "type": float,
            "help": "of the first step (default: 1e-4, on shapes 2e-4, with sgd 1e-3)",
        },
    ),
    (
        "--schedule",
        {"metavar": "poly|constant", "help": "poly falls to zero with power 0.9 (default: poly)"},
    ),
    (
        "--loss",
        {"metavar": "TERMS", "help": "ce, dice, focal, jaccard, or a sum as ce+0.5*dice (default: ce)"},
    ),
    (
        "--early-stopping",
        {
            "metavar": "N",
            "type": int,
            "help": "end after N epochs without a better validation mean IoU (default: 0, never)",
        },
    ),
    (
        "--precision",
        {"metavar": "float32|mixed_bfloat16|mixed_float16", "help": "of the arithmetic (default: float32)"},
    ),
    (
        "--augment",
        {
            "action": argparse.BooleanOptionalAction,
            "help": "flip, scale, crop and color training images at random (default: on, on shapes off)",
        },
    ),
    (
        "--freeze-encoder",
        {"action": "store_true", "help": "keep the encoder and its batch statistics as they are"},
    ),
    (
        "--ignore-label",
        {"metavar": "VALUE", "type": int, "help": "mask value that is ignored besides 255"},
    ),
    ("--mask-colors", {"metavar": "FILE", "help": "color of each class, for masks in colors"}),
    (
        "--reduce-zero-label",
        {"action": "store_true", "help": "mask value 0 is ignored and 1 is the first class"},
    ),
    (
        "--seed",
        {"metavar": "N", "type": int, "help": "of weights, order and augmentation (default: 0)"},
    ),
    ("--output", {"metavar": "RUN", "help": "run folder to write (default: runs/MODEL-DATA)"}),
    ("--resume", {"metavar": "RUN", "help": "go on with this run, to --epochs in all"}),
    ("--tensorboard", {"action": "store_true", "help": "write TensorBoard logs to RUN/tensorboard"}),
)


def add_arguments(parser):
    """Adds the flags; those that are left out keep the defaults of `TrainConfig`."""
    for flag, options in FLAGS:
        parser.add_argument(flag, default=argparse.SUPPRESS, **options)


def run(arguments):
    """Trains."""
    import_tensorflow()
    from keras_seg.training import TrainConfig, train

    settings = {key: value for key, value in vars(arguments).items() if key != "run"}
    if "resume" in settings:
        surplus = settings.keys() - {"resume", "epochs"}
        if surplus:
            flags = ", ".join(sorted(f"--{name.replace('_', '-')}" for name in surplus))
            raise InputError(
                f"{flags}: --resume goes on with the run's own settings; only --epochs goes with it"
            )
        train(**settings)
        return
    if "image_size" in settings:
        settings["image_size"] = tuple(settings["image_size"])
    if "model_options" in settings:
        settings["model_options"] = dict(settings["model_options"])
    train(TrainConfig(**settings))
