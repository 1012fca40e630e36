"""Every network by its name."""

import inspect
from collections.abc import Mapping
from typing import Any

import keras

from keras_seg import registry
from keras_seg.errors import nearest
from keras_seg.hints import Shape
from keras_seg.rows import MAX_CHANNELS

CHANNELS = range(1, MAX_CHANNELS + 1)


class _Builders(Mapping):
    """Builders by name, of the networks that are known at the moment."""

    def __getitem__(self, name):
        return _segmenting()[name].build

    def __iter__(self):
        return iter(_segmenting())

    def __len__(self):
        return len(_segmenting())


def _segmenting():
    return {name: row for name, row in registry.networks().items() if row.segments}


MODELS = _Builders()


def build_model(
    name: str, num_classes: int, input_shape: Shape = (None, None, 3), **options: Any
) -> keras.Model:
    """Builds a network with fresh weights.

    Args:
        name: A key of `MODELS`.
        num_classes: Number of classes, the channels of the logits. 1: one class against the background, by a
            single logit whose sigmoid is its probability (`keras_seg.logits`).
        input_shape: `(H, W, C)` of the images, None for any height or width; 1 to 16 channels.
        **options: Of that network's builder. Several have:
            `preprocessing`, what the first layer does to the pixels, a key of
            `keras_seg.layers.PREPROCESSINGS`, or `{"mean": [C], "deviation": [C]}` of the channels; by
            default what the encoder's weights were trained on.
            `encoder`, the name of an encoder, such as `resnet101` or `efficientnet_b0`; see
                docs/reference/networks.md.
            `output_stride`, pixels of the image for one of the encoder's last map: 8, 16 or 32.
            `dropout`, the fraction dropped after fc6 and fc7 of VGG16 and CaffeNet.
            `aux_head`, whether a second head reads the encoder's fourth stage; the model then returns a
            dict of logits, `out` and `aux`.

    Returns:
        A `keras.Model` called `name`, from pixels (RGB in 0..255, where there are three channels)
        `[B, H, W, C]` to float32 logits `[B, H, W, num_classes]`.

    Raises:
        ValueError: The name is unknown, an option is not the builder's, or a value is out of range.
    """
    if name not in MODELS:
        near = nearest(name, MODELS) or "."
        raise ValueError(f"model must be one of {', '.join(MODELS)}, received {name!r}{near}")
    if num_classes < 1:
        raise ValueError(f"num_classes must be 1 or more, received {num_classes}.")
    if len(input_shape) != 3 or input_shape[-1] not in CHANNELS:
        raise ValueError(
            f"input_shape must be (H, W, C), with C from {CHANNELS[0]} to {CHANNELS[-1]}, received "
            f"{input_shape}."
        )
    builder = MODELS[name]
    known = [key for key in inspect.signature(builder).parameters if key != "name"]
    for option in options:
        if option not in known:
            near = nearest(option, known[2:]) or "."
            raise ValueError(f"{name} has no option {option!r}; it has {', '.join(known[2:])}{near}")
    return builder(num_classes, input_shape, name=name, **options)
