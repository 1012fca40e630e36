"""What is known of a network and of an encoder: one row each, in the file of its builder."""

import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from keras_seg.errors import InputError

MAX_CHANNELS = 16  # Of images.
NAME = re.compile(r"[A-Za-z][\w.-]*")  # Run folders and layers are called so.


@dataclass(frozen=True)
class Published:
    """A published file of weights.

    Attributes:
        url: Its address; its name is the address's last part.
        algorithm: Of the checksum, a name that hashlib knows; None where none is published.
        digest: The checksum, or its first digits as PyTorch publishes them in the name.
        preprocessing: What it was trained on, a key of `keras_seg.layers.PREPROCESSINGS`.
        options: Of the builder of the network that it fits, such as `{"aux_head": True}`.
        pretrained: What `load_pretrained` calls the whole network with these weights.
        classes: Names of that network's classes, in id order.
        note: What the page of weights adds to its name, such as its size.
    """

    url: str
    algorithm: str | None = None
    digest: str | None = None
    preprocessing: str = "caffe"
    options: dict = field(default_factory=dict)
    pretrained: str = ""
    classes: tuple[str, ...] = ()
    note: str = ""

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]


class LearningRate(NamedTuple):
    """Learning rates that a network starts well with: the highest of the schedule, for 8 images a step.

    Attributes:
        adam: With Adam and AdamW, on a data folder.
        sgd: With SGD.
        shapes: With Adam and AdamW, on the built-in shapes, which are learned from scratch in minutes.
    """

    adam: float = 1e-4
    sgd: float = 1e-3
    shapes: float = 3e-4


class _Row:
    """What networks and encoders share: a name, a builder and its fixed options."""

    name: str
    builder: Callable[..., Any]
    options: dict[str, Any]

    @property
    def build(self):
        """The builder with the row's options."""
        return partial(self.builder, **self.options) if self.options else self.builder

    def default(self, option):
        """The default of an option; None if the builder has no such option."""
        parameter = inspect.signature(self.build).parameters.get(option)
        return None if parameter is None or parameter.default is parameter.empty else parameter.default

    def check(self, *arguments, **options):
        """Refuses a row whose name or builder cannot be used.

        Args:
            *arguments, **options: What its builder must take.

        Raises:
            InputError: The message says what the row must have.
        """
        kind = type(self).__name__
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise InputError(
                f"{kind} {self.name!r}: a name begins with a letter and has letters, digits, _, - and ."
            )
        try:
            inspect.signature(self.build).bind(*arguments, **options)
        except (TypeError, ValueError) as error:
            raise InputError(f"{kind} {self.name}: its builder cannot be called that way ({error})") from None


@dataclass(frozen=True)
class Encoder(_Row):
    """An encoder: from a preprocessed image to the feature maps of its stages.

    Attributes:
        name: What `encoder=` takes.
        builder: Function of `(x, *, output_stride)`, the preprocessed image `[B, H, W, C]` and the pixels of
            the image for one of the last map, that returns a `keras_seg.encoders.Pyramid`.
        options: Fixed ones of the builder.
        title: What tables call it.
        channels: Of the stages, finest first.
        strides: Pixels of the image for one of each stage; a `Pyramid` without `c1` has four, from 4 on.
        output_strides: Those that the builder takes; none if only networks of its own are built on it.
        preprocessing: What its weights expect, a key of `keras_seg.layers.PREPROCESSINGS`.
        weights: `Published` files, the best of each preprocessing first.
        sources: Whose files of it can be loaded.
        read: Function of the path of such a file to `{layer name: {variable name: array}}`, for files that
            `keras_seg.pretrained` does not know.
    """

    name: str
    builder: Callable
    options: dict = field(default_factory=dict)
    title: str = ""
    channels: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    output_strides: tuple[int, ...] = ()
    preprocessing: str = "none"
    weights: tuple[Published, ...] = ()
    sources: str = ""
    read: Callable | None = None

    def __post_init__(self):
        self.check(None, **({"output_stride": 32} if self.output_strides else {}))

    @property
    def finest_stride(self) -> int:
        """Pixels of the image for one of the finest map; 2 where the row does not say the strides."""
        return self.strides[0] if self.strides else 2


@dataclass(frozen=True)
class Network(_Row):
    """A network: all that is known of it.

    Attributes:
        name: What `build_model` and `--model` take.
        builder: Function of `(num_classes, input_shape, *, name, ...)` that returns a `keras.Model`, as
            `build_model` does.
        options: Fixed ones of the builder.
        paper: Its number on arXiv.
        encoder: Name of the encoder of a builder without an option `encoder`; None if it has its own.
        preprocessing: What that own one expects, where the builder's option has no default.
        output_stride: Of the encoder's last map, for a builder without an option `output_stride`.
        finest_stride: Of the finest map that it reads of an encoder by name, as its builder tells `encode`.
        parameters: Trainable ones as published, or counted in the reference or by hand.
        counted: What they were counted with: `num_classes` and options, as far as they are not 21 and the
            row's.
        reference: What `tests/parity` compares it with.
        fixture: What that comparison is called; the network's name by default.
        weights: `Published` files of the whole network.
        sources: What tables call these.
        torch_names: Rules for the keys of PyTorch's state dicts, see `keras_seg.pretrained.torch_names`.
        caffe_preprocessing: What its Caffe files were trained on.
        segments: Whether it is a segmentation network; else an image classifier, not a key of `MODELS`.
        learning_rate: Those that a training takes where none is asked for.
        from_scratch: Options of the builder that a training from random weights takes, unless others are
            given, for a network whose own are right for the maps of pretrained weights.
    """

    name: str
    builder: Callable
    options: dict = field(default_factory=dict)
    paper: str = ""
    encoder: str | None = None
    preprocessing: str | None = None
    output_stride: int | None = None
    finest_stride: int = 4
    parameters: int | None = None
    counted: dict[str, Any] = field(default_factory=dict)
    reference: str = ""
    fixture: str = ""
    weights: tuple[Published, ...] = ()
    sources: str = ""
    torch_names: tuple[tuple[str, str], ...] = ()
    caffe_preprocessing: str = "caffe"
    segments: bool = True
    learning_rate: LearningRate = field(default_factory=LearningRate)
    from_scratch: dict = field(default_factory=dict)

    def __post_init__(self):
        self.check(2, (None, None, 3), name=self.name, **self.from_scratch)
        rates = self.learning_rate
        if not (isinstance(rates, LearningRate) and all(0 < rate < math.inf for rate in rates)):
            raise InputError(
                f"Network {self.name}: learning_rate must be a keras_seg.LearningRate of positive numbers, "
                f"received {rates!r}"
            )

    @property
    def default_encoder(self) -> str | None:
        """Name of the encoder that it is built on where none is asked for; None if it has its own."""
        return self.default("encoder") or self.encoder
