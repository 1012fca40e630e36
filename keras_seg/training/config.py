"""Every setting of a training, checked before anything costs time."""

import importlib.util
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from keras_seg.errors import InputError
from keras_seg.losses import parse_loss
from keras_seg.models import MODELS

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("poly", "constant")
# What a setting is where it is left out: on a folder, and on the built-in shapes, which are to be learnt
# from scratch by two cores in minutes and are drawn in every position, size and color already.
DEFAULTS = {"image_size": (256, 256), "epochs": 30, "augment": True, "learning_rate": 1e-4}
SHAPES_DEFAULTS = {"image_size": (64, 64), "epochs": 4, "augment": False, "learning_rate": 2e-4}
SGD_LEARNING_RATE = 1e-3
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True)
class TrainConfig:
    """What `train` needs to know.

    Settings that are left out (None) are set when it is made.

    Attributes:
        model: Name of a network, a key of `keras_seg.MODELS`.
        data: Data folder; None for the built-in `shapes`.
        weights: `"auto"`, `"imagenet"`, `"none"` or a weights file.
        model_options: Of the network's builder, such as `{"freeze_upsampling": True}`.
        image_size: Height and width in pixels of the crops that are trained on; 256 x 256, on `shapes`
            64 x 64.
        batch_size: Images a step.
        epochs: Passes over the training images; 30, on `shapes` 4.
        optimizer: `"adam"`, `"adamw"` or `"sgd"` (momentum 0.9).
        learning_rate: At the first step; 1e-4, on `shapes` 2e-4, with SGD 1e-3.
        schedule: `"poly"` (down to zero with power 0.9) or `"constant"`.
        loss: Terms such as `"ce+0.5*dice"`.
        early_stopping: Epochs without a better validation mean IoU before the training ends; 0: never.
        precision: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`.
        augment: Whether images are flipped, scaled, cropped and colored at random; yes, on `shapes` no.
        freeze_encoder: Whether the encoder and its batch statistics stay as they are.
        ignore_label: A mask value that is ignored besides 255; None for the data set's own.
        mask_colors: File with the RGB color of each class, for masks that are pictures in colors.
        reduce_zero_label: Whether mask value 0 is ignored and 1 is the first class.
        seed: Of weights, shuffling, augmentation and dropout.
        output: Run folder; None for `runs/MODEL-DATA`, numbered if that is taken.
        tensorboard: Whether to write TensorBoard logs into the run folder.

    Raises:
        InputError: A value is out of range.
    """

    model: str = "fcn8"
    data: str | None = None
    weights: str = "auto"
    model_options: dict = field(default_factory=dict)
    image_size: tuple[int, int] | None = None
    batch_size: int = 8
    epochs: int | None = None
    optimizer: str = "adam"
    learning_rate: float | None = None
    schedule: str = "poly"
    loss: str = "ce"
    early_stopping: int = 0
    precision: str = "float32"
    augment: bool | None = None
    freeze_encoder: bool = False
    ignore_label: int | None = None
    mask_colors: str | None = None
    reduce_zero_label: bool = False
    seed: int = 0
    output: str | None = None
    tensorboard: bool = False

    def __post_init__(self):
        defaults = dict(SHAPES_DEFAULTS if self.is_shapes else DEFAULTS)
        if self.optimizer == "sgd":
            defaults["learning_rate"] = SGD_LEARNING_RATE
        for name, value in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        _one_of("--model", self.model, MODELS)
        if self.model_options.get("aux_head"):
            raise InputError(
                "--model-option aux_head: an auxiliary head has no loss to train it; leave it out"
            )
        _one_of("--optimizer", self.optimizer, OPTIMIZERS)
        _one_of("--schedule", self.schedule, SCHEDULES)
        _one_of("--precision", self.precision, PRECISIONS)
        _at_least("--batch-size", self.batch_size, 1)
        _at_least("--epochs", self.epochs, 1)
        _at_least("--early-stopping", self.early_stopping, 0)
        _at_least("--seed", self.seed, 0)
        if not 0 < self.learning_rate < float("inf"):
            raise InputError(f"--learning-rate must be a positive number, received {self.learning_rate}")
        if self.ignore_label is not None and not 0 <= self.ignore_label <= 255:
            raise InputError(
                f"--ignore-label must be a mask value from 0 to 255, received {self.ignore_label}"
            )
        if self.tensorboard and importlib.util.find_spec("tensorboard") is None:
            raise InputError("--tensorboard needs the package tensorboard: pip install tensorboard")
        if len(self.image_size) != 2 or min(self.image_size) < 1:
            raise InputError(
                f"--image-size takes a height and a width of 1 or more, received {self.image_size}"
            )
        try:
            parse_loss(self.loss)
        except ValueError as error:
            raise InputError(f"--loss: {error}") from None

    @classmethod
    def from_dict(cls, settings):
        """The settings that `config.json` holds; what it says beside them is left aside."""
        known = {each.name for each in fields(cls)}
        settings = {key: value for key, value in settings.items() if key in known}
        if settings.get("image_size") is not None:
            settings["image_size"] = tuple(settings["image_size"])
        return cls(**settings)

    def to_dict(self):
        """The settings as JSON can hold them."""
        return asdict(self)

    @property
    def is_shapes(self):
        """Whether the built-in data set is trained on."""
        return self.data in (None, "shapes")

    def run_name(self):
        """`fcn8-shapes`, `fcn8-camvid`."""
        return f"{self.model}-{'shapes' if self.is_shapes else Path(self.data).resolve().name}"


def _one_of(flag, value, choices):
    if value not in choices:
        raise InputError(f"{flag} must be one of {', '.join(choices)}; received {value!r}")


def _at_least(flag, value, lowest):
    if value < lowest:
        raise InputError(f"{flag} must be {lowest} or more, received {value}")
