"""Every setting of a training, by subject: kind, default, range and help, defined here alone.

The command line's flags, the checks of `TrainConfig` and docs/reference/settings.md are made of these.
Nothing heavy is imported here. All are None where they are left out.
"""

from dataclasses import dataclass

from keras_seg.augmentation import Augmentation
from keras_seg.precision import PRECISIONS
from keras_seg.rows import MAX_CHANNELS
from keras_seg.settings import left_out, optional

RECIPES = ("fcn-paper", "torchvision", "seed-carvana")
OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("poly", "cosine", "step", "fixed", "plateau")
REDUCTIONS = ("mean", "sum")
DISTRIBUTIONS = ("none", "mirrored", "multiworker")
SEEDS = 1 << 32  # NumPy's
MASK_VALUES = 1 << 16
PLATEAU_EPOCHS = 5  # Of `drop_epochs`, and with the schedule `step` each third of all.


def positional(default, **facts):
    """A setting that may be given without its name."""
    found = optional(default, **facts)
    found.kw_only = False
    return found


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The network and the weights it starts with."""

    model: str | None = positional("fcn8", unit="NAME", help="network, see `python -m keras_seg models`")
    weights: str | None = optional(
        "auto",
        unit="auto|imagenet|none|FILE|NAME",
        help="pretrained weights: auto takes what can be had, imagenet insists, the name of a published "
        "network such as fcn_resnet50_coco takes it whole",
    )
    init_from: str | None = optional(
        unit="RUN",
        help="start from the layers of a run's best model that have the same names, as FCN's authors train "
        "32s, 16s and 8s one from the other; instead of weights",
    )
    model_options: dict | None = optional(
        unit="NAME=VALUE",
        help="option of the network's builder, as preprocessing=torch or aux_head=true; may be repeated",
    )
    freeze_encoder: bool | int | None = optional(
        False,
        unit="STAGES",
        least=0,
        help="keep the encoder and its batch statistics as they are, or its first STAGES, from the image on",
    )
    freeze_epochs: int | None = optional(0, least=0, help="keep them so for the first N epochs")


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """The images, and what their masks mean."""

    data: str | None = positional(
        None,
        default_text="the built-in shapes",
        unit="FOLDER",
        help="images and masks: docs/reference/formats.md",
    )
    val_fraction: float | None = optional(
        0.2,
        above=0,
        below=1,
        help="part of the training images that is set aside where there is no val split",
    )
    val_seed: int | None = optional(
        least=0,
        below=SEEDS,
        default_text="the training's seed",
        help="of the images that are set aside; the same for trainings that are to be compared",
    )
    strict: bool | None = optional(
        False,
        is_switch=True,
        help="refuse data in which an image is there twice, in one split or two, instead of a warning",
    )
    ignore_label: int | None = optional(
        unit="VALUE",
        least=0,
        most=MASK_VALUES - 1,
        default_text="the data set's own",
        help="mask value that is ignored besides 255",
    )
    mask_colors: str | None = optional(unit="FILE", help="color of each class, for masks in colors")
    reduce_zero_label: bool | None = optional(
        False, is_switch=True, help="mask value 0 is ignored and 1 is the first class"
    )
    binary: bool | None = optional(
        default_text="where dataset.json lists one class",
        help="one class against the background: masks of 0 and 1, or of 0 and 255; one logit and its sigmoid",
    )
    channels: int | None = optional(
        least=1,
        most=MAX_CHANNELS,
        default_text="RGB of 8 bits",
        help="channels of the images, which are taken as they are stored",
    )
    threshold: float | None = optional(
        above=0,
        below=1,
        default_text="0.5",
        help="probability from which a pixel is foreground, of one class",
    )


@dataclass(frozen=True, kw_only=True)
class RecipeSettings:
    """How much is trained on, and the loss."""

    recipe: str | None = optional(
        choices=RECIPES,
        help="settings of that source, see docs/reference/training.md; all others win over it",
    )
    image_size: tuple[int, int] | None = optional(
        (256, 256),
        on_shapes=(64, 64),
        least=1,
        unit=("H", "W"),
        help="height and width in pixels of the crops that are trained on; shapes is drawn at this size",
    )
    batch_size: int | None = optional(8, least=1, help="images a step")
    accumulate: int | None = optional(1, least=1, help="batches whose mean gradient makes one update")
    epochs: int | None = optional(30, on_shapes=3, least=1, help="passes over the training images")
    val_images: int | None = optional(
        least=1,
        default_text="all",
        help="validation images that each epoch is measured on, spread evenly; the last metrics are of all",
    )
    early_stopping: int | None = optional(
        0, least=0, default_text="0, never", help="end after N epochs without a better validation mean IoU"
    )
    loss: str | None = optional(
        "ce", unit="TERMS", help="sum of losses as ce+0.5*dice: docs/reference/losses.md"
    )
    loss_reduction: str | None = optional("mean", choices=REDUCTIONS, help="over the pixels of a batch")
    class_weights: str | None = optional(
        unit="balanced|W,W,...",
        default_text="1 each",
        help="weight of each class in the loss, by number, or balanced by the masks",
    )
    aux_weight: float | None = optional(0.5, least=0, help="of the auxiliary head's loss, where there is one")


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """The optimizer, and the rates of groups of weights."""

    optimizer: str | None = optional("adam", choices=OPTIMIZERS, help="of the weights")
    learning_rate: float | None = optional(
        above=0,
        unit="RATE",
        default_text="the network's, see `python -m keras_seg models`",
        help="the highest of the schedule",
    )
    momentum: float | None = optional(0.9, least=0, below=1, help="of sgd")
    weight_decay: float | None = optional(
        0.0, least=0, help="of kernels: added to the gradient (L2), with adamw taken off the weights"
    )
    decay_all: bool | None = optional(False, help="decay biases and normalizations too")
    head_rate: float | None = optional(1.0, above=0, help="learning-rate multiplier of all but the encoder")
    aux_rate: float | None = optional(1.0, above=0, help="learning-rate multiplier of the auxiliary head")
    bias_rate: float | None = optional(
        1.0, above=0, help="learning-rate multiplier of biases, beside their layer's"
    )
    clip_norm: float | None = optional(
        0.0,
        least=0,
        default_text="0, never",
        help="norm of all gradients together that they are scaled down to",
    )
    average: float | None = optional(
        0.0,
        least=0,
        below=1,
        default_text="0, none",
        help="momentum of a moving average of the weights that is validated and kept",
    )


@dataclass(frozen=True, kw_only=True)
class ScheduleSettings:
    """The learning rate over the training."""

    schedule: str | None = optional("poly", choices=SCHEDULES, help="of the learning rate")
    power: float | None = optional(0.9, least=0, help="of poly")
    warmup_epochs: int | None = optional(0, least=0, help="epochs in which the rate rises from zero")
    drop_epochs: int | None = optional(
        least=1,
        default_text=f"with step a third of all, with plateau {PLATEAU_EPOCHS}",
        help="epochs before the rate drops: with step in any case, with plateau without a better mean IoU",
    )
    drop_factor: float | None = optional(0.1, above=0, help="of a drop")


@dataclass(frozen=True, kw_only=True)
class AugmentationSettings:
    """What is done to training images at random; `keras_seg.data.Augmentation` has the same settings."""

    augment: bool | None = optional(True, on_shapes=False, help="change training images at random")
    flip: bool | None = left_out(Augmentation, "flip")
    scales: tuple[float, float] | None = left_out(Augmentation, "scales")
    color_factors: tuple[float, float] | None = left_out(Augmentation, "color_factors")
    rotation: float | None = left_out(Augmentation, "rotation")
    blur: float | None = left_out(Augmentation, "blur")
    elastic: float | None = left_out(Augmentation, "elastic")
    max_class_share: float | None = left_out(Augmentation, "max_class_share")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The run folder, and how it is computed."""

    output: str | None = optional(
        unit="RUN", default_text="runs/MODEL-DATA, numbered if that is taken", help="run folder to write"
    )
    checkpoint_every: str | int | None = optional(
        unit="N|SECONDSs",
        default_text="at most a twentieth of the time",
        help="steps, or seconds as 30s, from one checkpoint to the next",
    )
    precision: str | None = optional("float32", choices=PRECISIONS["training"], help="of the arithmetic")
    distribute: str | None = optional(
        "none",
        choices=DISTRIBUTIONS,
        help="all GPUs of this machine, or the machines of TF_CONFIG, among which the batch is divided, see "
        "docs/guides/distribute.md",
    )
    deterministic: bool | None = optional(
        default_text="on a CPU yes, on a GPU, where it costs time, no", help="the same bits each time"
    )
    seed: int | None = optional(0, least=0, below=SEEDS, help="of weights, order, augmentation and dropout")
    tensorboard: bool | None = optional(False, help="write TensorBoard logs to RUN/tensorboard")


SUBJECTS = {
    "network": NetworkSettings,
    "data": DataSettings,
    "recipe and loss": RecipeSettings,
    "optimizer": OptimizerSettings,
    "schedule": ScheduleSettings,
    "augmentation": AugmentationSettings,
    "run": RunSettings,
}
