"""Every setting of a training, checked before anything costs time."""

from dataclasses import InitVar, asdict, dataclass, field, fields, replace
from pathlib import Path

from keras_seg.data import Augmentation
from keras_seg.registry import networks
from keras_seg.training.settings.checks import check_effects, check_settings
from keras_seg.training.settings.kinds import check_kinds
from keras_seg.training.settings.recipes import recipe_settings

# What a setting is where it is left out: on a folder, and on the built-in shapes, which are to be learnt
# from scratch by two cores in minutes and are drawn in every position, size and color already.
DEFAULTS = {"image_size": (256, 256), "epochs": 30, "augment": True}
SHAPES_DEFAULTS = {"image_size": (64, 64), "epochs": 3, "augment": False}
COMMON_DEFAULTS = {
    "weights": "auto",
    "batch_size": 8,
    "optimizer": "adam",
    "momentum": 0.9,
    "weight_decay": 0.0,
    "decay_all": False,
    "head_rate": 1.0,
    "aux_rate": 1.0,
    "bias_rate": 1.0,
    "clip_norm": 0.0,
    "accumulate": 1,
    "average": 0.0,
    "schedule": "poly",
    "power": 0.9,
    "warmup_epochs": 0,
    "drop_factor": 0.1,
    "loss": "ce",
    "loss_reduction": "mean",
    "aux_weight": 0.5,
    "freeze_epochs": 0,
    "early_stopping": 0,
    "precision": "float32",
}
AUGMENTATION = tuple(each.name for each in fields(Augmentation))
PAIRS = ("image_size", "scales", "color_factors")
PLATEAU_EPOCHS = 5


@dataclass(frozen=True)
class TrainConfig:
    """What `train` needs to know.

    Settings that are left out (None) are set when it is made: by the recipe, or else as said here.

    Attributes:
        model: Name of a network, a key of `keras_seg.MODELS`.
        data: Data folder; None for the built-in `shapes`.
        recipe: `"fcn-paper"`, `"torchvision"` or `"seed-carvana"`: the settings of that source.
        weights: `"auto"`, `"imagenet"`, `"none"`, a weights file, or the network published whole by its name,
            such as `"fcn_resnet50_coco"`.
        init_from: Run folder whose best model gives the layers that have the same names, as FCN's authors
            train 32s, 16s and 8s one from the other; instead of `weights`.
        model_options: Of the network's builder, such as `{"freeze_upsampling": True}`.
        image_size: Height and width in pixels of the crops that are trained on; 256 x 256, on `shapes`
            64 x 64.
        batch_size: Images a step; 8.
        epochs: Passes over the training images; 30, on `shapes` 3.
        optimizer: `"adam"`, `"adamw"` or `"sgd"`; adam.
        learning_rate: The highest of the schedule; that of the network's row.
        momentum: Of SGD; 0.9.
        weight_decay: Added to the gradient (L2) by sgd and adam, taken off the weights by adamw; 0.
        decay_all: Whether biases and normalizations decay too; no.
        head_rate: Times the learning rate, for all but the encoder; 1.
        aux_rate: Times the learning rate, for the auxiliary head; 1.
        bias_rate: Times the layer's rate, for biases; 1.
        clip_norm: Norm of all gradients together to which they are cut; 0: never.
        accumulate: Batches whose mean gradient makes one update; 1.
        average: Momentum of the moving average of the weights that is validated and kept; 0: none.
        schedule: `"poly"`, `"cosine"`, `"step"`, `"fixed"` or `"plateau"`; poly.
        power: Of poly; 0.9.
        warmup_epochs: In which the rate rises to the learning rate; 0.
        drop_epochs: Epochs after which the rate drops: with step each third of them, with plateau 5
            without a better validation mean IoU.
        drop_factor: Of a drop; 0.1.
        loss: Terms such as `"ce+0.5*dice"`; ce.
        loss_reduction: `"mean"` or `"sum"` over the pixels of a batch; mean.
        class_weights: `"balanced"`, or numbers such as `"0.5,1,2"`, of the classes in the loss; None: 1 each.
        aux_weight: Of the auxiliary head's loss, where the network has one (`aux_head`); 0.5.
        val_images: Validation images that each epoch is measured on, spread evenly over them; None: all. The
            figures at the end are of all.
        early_stopping: Epochs without a better validation mean IoU before the training ends; 0: never.
        precision: `"auto"`, `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`; float32.
        augment: Whether images are changed at random, as the next settings say; yes, on `shapes` no.
        flip, scales, color_factors, rotation, blur, elastic, max_class_share: Of
            `keras_seg.data.Augmentation`.
        freeze_encoder: Whether the encoder and its batch statistics stay as they are, or how many of its
            stages do, from the image on.
        freeze_epochs: Epochs for which they do; 0.
        ignore_label: A mask value that is ignored besides 255; None for the data set's own.
        mask_colors: File with the RGB color of each class, for masks that are pictures in colors.
        reduce_zero_label: Whether mask value 0 is ignored and 1 is the first class.
        binary: Whether one class is told from the background by a single logit and its sigmoid; None: where
            dataset.json lists one class.
        threshold: Probability from which a pixel is foreground, of one class; 0.5.
        channels: Of the images, 1 to 16, which are then taken as they are stored; None: they become RGB of 8
            bits.
        seed: Of weights, shuffling, augmentation and dropout.
        deterministic: Whether each operation gives the same bits each time; on a CPU yes, on a GPU, where
            it costs time and some networks cannot, no.
        distribute: `"none"`, `"mirrored"`: all GPUs of this machine, or `"multiworker"`: the machines of
            `TF_CONFIG`; none. The batch is divided among them.
        checkpoint_every: `"200"` steps or `"30s"`; None: at most a twentieth of the time.
        output: Run folder; None for `runs/MODEL-DATA`, numbered if that is taken.
        tensorboard: Whether to write TensorBoard logs into the run folder.
        recorded: Whether these are all settings of a run, so that none of them was asked for by itself.

    Raises:
        InputError: A value is of another kind, out of range, or has no effect beside the others.
    """

    model: str = "fcn8"
    data: str | None = None
    recipe: str | None = None
    weights: str | None = None
    init_from: str | None = None
    model_options: dict = field(default_factory=dict)
    image_size: tuple[int, int] | None = None
    batch_size: int | None = None
    epochs: int | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    decay_all: bool | None = None
    head_rate: float | None = None
    aux_rate: float | None = None
    bias_rate: float | None = None
    clip_norm: float | None = None
    accumulate: int | None = None
    average: float | None = None
    schedule: str | None = None
    power: float | None = None
    warmup_epochs: int | None = None
    drop_epochs: int | None = None
    drop_factor: float | None = None
    loss: str | None = None
    loss_reduction: str | None = None
    class_weights: str | None = None
    aux_weight: float | None = None
    val_images: int | None = None
    early_stopping: int | None = None
    precision: str | None = None
    augment: bool | None = None
    flip: bool | None = None
    scales: tuple[float, float] | None = None
    color_factors: tuple[float, float] | None = None
    rotation: float | None = None
    blur: float | None = None
    elastic: float | None = None
    max_class_share: float | None = None
    freeze_encoder: bool | int = False
    freeze_epochs: int | None = None
    ignore_label: int | None = None
    mask_colors: str | None = None
    reduce_zero_label: bool = False
    binary: bool | None = None
    threshold: float | None = None
    channels: int | None = None
    seed: int = 0
    deterministic: bool | None = None
    distribute: str = "none"
    checkpoint_every: str | int | None = None
    output: str | None = None
    tensorboard: bool = False
    recorded: InitVar[bool] = False

    def __post_init__(self, recorded):
        asked = self.given()
        check_kinds(vars(self), {each.name: each.type for each in fields(self)})
        check_settings(asked)
        for name, value in self._left_out().items():
            object.__setattr__(self, name, value)
        check_settings(self.given())
        if not recorded:
            check_effects(asked, self.given())

    def _left_out(self):
        """What each setting is that was not given; a recipe's options are added to those given."""
        given = self.given()
        settings = {**COMMON_DEFAULTS, **(SHAPES_DEFAULTS if self.is_shapes else DEFAULTS)}
        recipe = recipe_settings(self.recipe, self.model) if self.recipe else {}
        settings["learning_rate"] = self._starting_rate(given.get("optimizer", recipe.get("optimizer")))
        settings.update(recipe)
        if self.init_from is not None:
            settings["weights"] = "none"
        if given.keys() & set(AUGMENTATION):
            settings["augment"] = True
        settings = {**settings, **given}
        if settings["augment"]:
            settings = {**asdict(Augmentation()), **settings}
        else:
            settings = {name: value for name, value in settings.items() if name not in AUGMENTATION}
        if settings["schedule"] == "step":
            settings.setdefault("drop_epochs", max(1, settings["epochs"] // 3))
        elif settings["schedule"] == "plateau":
            settings.setdefault("drop_epochs", PLATEAU_EPOCHS)
        settings["model_options"] = {**recipe.get("model_options", {}), **self.model_options}
        return settings

    def _starting_rate(self, optimizer):
        """The learning rate that the network starts well with."""
        rates = networks()[self.model].learning_rate
        if optimizer == "sgd":
            return rates.sgd
        return rates.shapes if self.is_shapes else rates.adam

    def given(self):
        """The settings that are not None, by name."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_dict(cls, settings):
        """The settings that `config.json` holds; what it says beside them is left aside."""
        known = {each.name for each in fields(cls)}
        settings = {key: value for key, value in settings.items() if key in known}
        for name in PAIRS:
            if isinstance(settings.get(name), list):
                settings[name] = tuple(settings[name])
        return cls(**settings, recorded=True)

    def to_dict(self):
        """The settings as JSON can hold them."""
        return asdict(self)

    def replace(self, **settings):
        """The same settings but for these."""
        return replace(self, **settings, recorded=True)

    @property
    def augmentation(self):
        """The `keras_seg.data.Augmentation`, or False."""
        return self.augment and Augmentation(**{name: getattr(self, name) for name in AUGMENTATION})

    @property
    def is_shapes(self):
        """Whether the built-in data set is trained on."""
        return self.data in (None, "shapes")

    def run_name(self):
        """`fcn8-shapes`, `fcn8-camvid`."""
        return f"{self.model}-{'shapes' if self.is_shapes else Path(self.data).resolve().name}"
