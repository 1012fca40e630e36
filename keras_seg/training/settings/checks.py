"""Checks of settings and of their combinations; each message names the flag."""

import importlib.util
import json
import math

from keras_seg.augmentation import Augmentation
from keras_seg.errors import InputError, nearest
from keras_seg.losses import parse_loss
from keras_seg.models import MODELS
from keras_seg.settings import settings_of
from keras_seg.training.settings.values import parse_class_weights, parse_interval

AUGMENTATION = tuple(settings_of(Augmentation))
# Settings that only some others give an effect: their names, when they have one, and when not.
EFFECTS = (
    (("momentum",), lambda used: used["optimizer"] == "sgd", "without --optimizer sgd"),
    (("power",), lambda used: used["schedule"] == "poly", "without --schedule poly"),
    (
        ("drop_epochs", "drop_factor"),
        lambda used: used["schedule"] in ("step", "plateau"),
        "without --schedule step or plateau",
    ),
    (("decay_all",), lambda used: used["weight_decay"] > 0, "without --weight-decay"),
    (
        ("aux_rate", "aux_weight"),
        lambda used: used["model_options"].get("aux_head"),
        "without an auxiliary head (--model-option aux_head=true, for the networks that have one)",
    ),
    (
        ("color_factors",),
        lambda used: used.get("channels", 3) == 3,
        "for images of other channels than three",
    ),
    (("freeze_epochs",), lambda used: not used["freeze_encoder"], "beside --freeze-encoder"),
)


def check_settings(settings):
    """Checks what the range of a setting does not say, and those that exclude each other.

    Args:
        settings: `{name: value}` of a `TrainConfig`, those that are None left out.

    Raises:
        InputError: One is not right.
    """
    _check_values(settings)
    _check_together(settings)


def check_effects(asked, used):
    """Refuses a setting that was given and would have no effect.

    Args:
        asked: `{name: value}` of those that were given.
        used: The same, and those that were left out as they are taken.

    Raises:
        InputError: There is one.
    """
    for names, has_effect, where in EFFECTS:
        for name in names:
            if asked.get(name, False) is not False and not has_effect(used):
                raise InputError(f"--{name.replace('_', '-')} does nothing {where}; drop it, or change that")


def check_updates(config, steps_per_epoch):
    """Refuses a training that ends before its first update."""
    batches = config.epochs * steps_per_epoch
    if config.accumulate > batches:
        raise InputError(
            f"--accumulate {config.accumulate}: the training has {batches} batches in all, so no update "
            "would be made; lower it, or ask for more --epochs"
        )


def _check_values(settings):
    if settings.get("model") not in (None, *MODELS):
        near = nearest(settings["model"], MODELS)
        raise InputError(f"--model must be one of {', '.join(MODELS)}; received {settings['model']!r}{near}")
    if settings.get("tensorboard") and importlib.util.find_spec("tensorboard") is None:
        raise InputError("--tensorboard needs the package tensorboard: pip install tensorboard")
    try:
        json.dumps(settings.get("model_options"))
    except (TypeError, ValueError) as error:
        raise InputError(f"--model-option: config.json cannot hold one of them ({error})") from None
    parse_class_weights(settings.get("class_weights"))
    parse_interval(settings.get("checkpoint_every"))
    try:
        parse_loss(settings.get("loss", "ce"))
    except ValueError as error:
        raise InputError(f"--loss: {error}") from None
    try:
        Augmentation(**{name: settings[name] for name in AUGMENTATION if name in settings})
    except InputError as error:
        name, rest = str(error).split(" ", 1)
        raise InputError(f"--{name.replace('_', '-')} {rest}") from None


def _check_together(settings):
    """Refuses a flag that would be ignored."""
    random = [name for name in AUGMENTATION if name in settings]
    if settings.get("augment") is False and random:
        raise InputError(f"--no-augment and --{random[0].replace('_', '-')} exclude each other; drop one")
    if settings.get("init_from") and settings.get("weights", "none") != "none":
        raise InputError(
            f"--weights {settings['weights']} and --init-from exclude each other, both are the weights "
            "that the training starts from; drop one"
        )
    if settings.get("schedule") == "plateau" and settings.get("warmup_epochs"):
        raise InputError(
            "--schedule plateau takes no --warmup-epochs; drop them, or take fixed, poly, cosine or step"
        )
    if settings.get("distribute", "none") != "none":
        _check_distributed(settings)
    if settings.get("warmup_epochs", 0) >= settings.get("epochs", math.inf):
        raise InputError(
            f"--warmup-epochs must be below --epochs, received {settings['warmup_epochs']} "
            f"of {settings['epochs']}"
        )


def _check_distributed(settings):
    """Refuses what Keras does on each replica separately, or what only the chief would do."""
    distribute = settings["distribute"]
    if settings.get("accumulate", 1) > 1:
        raise InputError(
            f"--distribute {distribute} and --accumulate {settings['accumulate']} exclude each other; more "
            "devices take a larger --batch-size"
        )
    if distribute == "multiworker" and settings.get("tensorboard"):
        raise InputError("--distribute multiworker and --tensorboard exclude each other; drop one")
