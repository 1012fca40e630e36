"""The flags of `train.py`, by what they are about."""

import argparse
import json


def option(text):
    """Reads `stride=16` as `("stride", 16)`; what is no JSON is a word."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, received {text!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def word(metavar, text):
    return {"metavar": metavar, "help": text}


def number(text, metavar="N"):
    return {"metavar": metavar, "type": int, "help": text}


def real(text, metavar="X"):
    return {"metavar": metavar, "type": float, "help": text}


def pair(metavar, kind, text):
    return {"metavar": metavar, "nargs": 2, "type": kind, "help": text}


def switch(text):
    return {"action": "store_true", "help": text}


def choice(text):
    return {"action": argparse.BooleanOptionalAction, "help": text}


GROUPS = {
    "network and data": {
        "--model": word("NAME", "network, see `python -m keras_seg models` (default: fcn8)"),
        "--data": word("FOLDER", "images and masks, see docs/data.md (default: shapes)"),
        "--weights": word(
            "auto|imagenet|none|FILE|NAME",
            "pretrained weights: auto takes what can be had, imagenet insists, the name of a published "
            "network takes it whole (default: auto)",
        ),
        "--init-from": word("RUN", "start from the layers of a run's best model that have the same names"),
        "--model-option": {
            "metavar": "NAME=VALUE",
            "action": "append",
            "dest": "model_options",
            "type": option,
            "help": "of the builder, as preprocessing=torch or aux_head=true; may be repeated",
        },
        "--ignore-label": number("mask value that is ignored besides 255", "VALUE"),
        "--mask-colors": word("FILE", "color of each class, for masks in colors"),
        "--reduce-zero-label": switch("mask value 0 is ignored and 1 is the first class"),
        "--binary": choice(
            "one class against the background: masks of 0 and 1, or of 0 and 255; one logit and its sigmoid"
        ),
        "--channels": number(
            "channels of the images, which are taken as they are stored (default: RGB of 8 bits)"
        ),
        "--threshold": real("probability from which a pixel is foreground, of one class (default: 0.5)"),
    },
    "recipe (docs/training.md)": {
        "--recipe": word(
            "fcn-paper|torchvision|seed-carvana", "settings of that source; other flags win over them"
        ),
        "--image-size": pair(
            ("H", "W"), int, "crops to train on, in pixels (default: 256 256, on shapes 64 64)"
        ),
        "--batch-size": number("images a step (default: 8)"),
        "--accumulate": number("batches whose mean gradient makes one update (default: 1)"),
        "--epochs": number("passes over the training images (default: 30, on shapes 3)"),
        "--val-images": number("validation images that each epoch is measured on (default: all)"),
        "--early-stopping": number(
            "end after N epochs without a better validation mean IoU (default: 0, never)"
        ),
        "--loss": word("TERMS", "as ce+0.5*dice, see docs/losses.md (default: ce)"),
        "--loss-reduction": word("mean|sum", "over the pixels of a batch (default: mean)"),
        "--class-weights": word(
            "balanced|W,W,...", "of the classes in the loss; balanced: by the masks (default: 1 each)"
        ),
        "--aux-weight": real("of the auxiliary head's loss (default: 0.5)"),
    },
    "optimizer": {
        "--optimizer": word("adam|adamw|sgd", "(default: adam)"),
        "--learning-rate": real(
            "the highest of the schedule (default: the network's, see `python -m keras_seg models`)", "RATE"
        ),
        "--momentum": real("of sgd (default: 0.9)"),
        "--weight-decay": real("of kernels (default: 0)"),
        "--decay-all": choice("decay biases and normalizations too (default: no)"),
        "--head-rate": real("times the learning rate, for all but the encoder (default: 1)"),
        "--aux-rate": real("times the learning rate, for the auxiliary head (default: 1)"),
        "--bias-rate": real("times the rate of their layer, for biases (default: 1)"),
        "--clip-norm": real("cut the norm of all gradients together to X (default: 0, never)"),
        "--average": real(
            "momentum of a moving average of the weights that is validated and kept (default: 0, none)"
        ),
        "--freeze-encoder": {
            "metavar": "STAGES",
            "nargs": "?",
            "const": True,
            "type": int,
            "help": "keep the encoder and its batch statistics as they are, or its first STAGES",
        },
        "--freeze-epochs": number("keep them so for the first N epochs (default: 0)"),
    },
    "schedule": {
        "--schedule": word("poly|cosine|step|fixed|plateau", "of the learning rate (default: poly)"),
        "--power": real("of poly (default: 0.9)"),
        "--warmup-epochs": number("in which the rate rises from zero (default: 0)"),
        "--drop-epochs": number(
            "epochs before a drop: step: a third of all, plateau: 5 without a better validation mean IoU"
        ),
        "--drop-factor": real("of a drop (default: 0.1)"),
    },
    "augmentation": {
        "--augment": choice("change training images at random (default: on, on shapes off)"),
        "--flip": choice("mirror left and right (default: yes)"),
        "--scales": pair(("LEAST", "MOST"), float, "factor of the size (default: 0.5 2)"),
        "--color-factors": pair(
            ("LEAST", "MOST"), float, "of brightness, contrast and saturation (default: 0.75 1.25)"
        ),
        "--rotation": real("most degrees to turn (default: 0)", "DEGREES"),
        "--blur": real("most standard deviation of the blur (default: 0)", "PIXELS"),
        "--elastic": real("standard deviation of an elastic deformation (default: 0; U-Net: 10)", "PIXELS"),
        "--max-class-share": real("most that one class should fill of a crop (default: 1)", "FRACTION"),
    },
    "run": {
        "--output": word("RUN", "run folder to write (default: runs/MODEL-DATA)"),
        "--resume": word("RUN", "go on with this run, to --epochs in all"),
        "--checkpoint-every": word(
            "N|SECONDSs", "steps, or seconds as 30s (default: at most a twentieth of the time)"
        ),
        "--precision": word(
            "auto|float32|mixed_bfloat16|mixed_float16", "of the arithmetic (default: float32)"
        ),
        "--distribute": word(
            "none|mirrored|multiworker",
            "all GPUs of this machine, or the machines of TF_CONFIG, see docs/distributed.md (default: none)",
        ),
        "--deterministic": choice("the same bits each time (default: on a CPU yes, on a GPU no)"),
        "--seed": number("of weights, order and augmentation (default: 0)"),
        "--tensorboard": switch("write TensorBoard logs to RUN/tensorboard"),
    },
}


PAIRS = ("image_size", "scales", "color_factors")  # argparse makes lists of them.
MASK_FLAGS = ("--ignore-label", "--mask-colors", "--reduce-zero-label", "--binary", "--channels")


def add_mask_flags(parser, flags=MASK_FLAGS):
    """Adds the flags that say what masks mean, or some of them."""
    for flag in flags:
        parser.add_argument(flag, default=argparse.SUPPRESS, **GROUPS["network and data"][flag])


def mask_options(arguments):
    """Returns those of them that were given, as settings."""
    names = {flag.removeprefix("--").replace("-", "_") for flag in MASK_FLAGS}
    return {name: value for name, value in vars(arguments).items() if name in names}


def add_flags(parser):
    """Adds them all; those that are left out are not in the answer."""
    for title, flags in GROUPS.items():
        group = parser.add_argument_group(title)
        for flag, options in flags.items():
            group.add_argument(flag, default=argparse.SUPPRESS, **options)
