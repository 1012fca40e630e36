"""The output of every encoder, and how encoders are recognized in a network."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import keras

from keras_seg.errors import InputError
from keras_seg.hints import Tensor
from keras_seg.layers import Preprocessing

PAD_LAYER = "pad1"  # Puts pixels around the image: 100 in the original FCNs.


class Pyramid(NamedTuple):
    """Feature maps of an encoder's five stages, finest first.

    They count stages, not strides: with dilation, several stages share a stride.

    Attributes:
        c1, c2, c3, c4, c5: The output of each stage; `c1` is None of an encoder without a map at stride 2.
        before_pools: The five maps before the pools that end the stages, twice as fine; empty for an encoder
            whose stages do not end so.
    """

    c1: Any
    c2: Any
    c3: Any
    c4: Any
    c5: Any
    before_pools: tuple = ()

    @property
    def stages(self) -> tuple[Tensor, ...]:
        """The maps that there are, without those before the pools."""
        return tuple(x for x in self[:5] if x is not None)


def mark_encoder(image: Tensor, maps: Iterable[Tensor]) -> None:
    """Records in a network's first layer which of its layers are the encoder, so that files keep it.

    Args:
        image: The network's input, which a layer `Preprocessing` reads.
        maps: Where the encoder's stages end, finest first: outputs of layers.

    Raises:
        ValueError: One is the output of an operation such as `x + y`, which a file does not name.
    """
    encoder = keras.Model(image, list(maps))
    if not set(encoder.output_names) <= {layer.name for layer in encoder.layers}:
        raise ValueError("a stage must end in a layer, such as Add, not in an operation, such as x + y.")
    _preprocessing(encoder).stage_ends = tuple(encoder.output_names)


def encoder_layers(network: keras.Model, stages: int | None = None) -> list[str]:
    """Lists the layers of a network's encoder.

    Args:
        network: A network of `build_model`, new or loaded.
        stages: How many of its stages, from the image on; None: all.

    Returns:
        Their names.

    Raises:
        InputError: The network does not record which they are, or has fewer stages.
    """
    first, ends = _preprocessing(network), _stage_ends(network)
    if stages is not None and not 1 <= stages <= len(ends):
        raise InputError(f"{network.name} has {len(ends)} encoder stages, received {stages}")
    outputs = [network.get_layer(name).output for name in ends[:stages]]
    inputs = {layer.name for layer in network.layers if isinstance(layer, keras.layers.InputLayer)}
    own = inputs | {first.name}
    return [layer.name for layer in keras.Model(network.input, outputs).layers if layer.name not in own]


def encoder_model(network: keras.Model) -> keras.Model:
    """Makes a model of a network's encoder, with the same variables.

    Args:
        network: A network of `build_model`, new or loaded.

    Returns:
        `keras.Model` from the network's input to the coarsest map, [B, h, w, D].

    Raises:
        InputError: The network does not say which of its layers are the encoder.
    """
    return keras.Model(network.input, network.get_layer(_stage_ends(network)[-1]).output)


def _stage_ends(network):
    """Names of the layers that end the encoder's stages; raises InputError where the network tells none."""
    first = _preprocessing(network)
    names = {layer.name for layer in network.layers}
    # A network that uses no coarse map has no coarse stages.
    ends = [name for name in first.stage_ends if name in names] if first else []
    if not ends:
        raise InputError(
            f"{network.name} does not say which of its layers are the encoder: its builder has to call "
            "keras_seg.encoders.mark_encoder, and a file has to be written after it did"
        )
    return ends


def _preprocessing(model):
    return next((layer for layer in model.layers if isinstance(layer, Preprocessing)), None)


def freeze_encoder(model: keras.Model, frozen: bool = True, *, stages: int | None = None) -> list[str]:
    """Freezes or unfreezes a network's encoder, its batch statistics included.

    Args:
        model: A network of `build_model`.
        frozen: False to unfreeze it.
        stages: How many of its stages, from the image on; None: all.

    Returns:
        The names of the layers that were changed.

    Raises:
        InputError: See `encoder_layers`.
    """
    names = encoder_layers(model, stages)
    freeze_layers(model, names, frozen)
    return names


def freeze_layers(model: keras.Model, names: Iterable[str], frozen: bool = True) -> None:
    """Freezes or unfreezes the layers of these names, also of an accelerated network."""
    names = set(names)
    for layer in model.layers:
        if layer.name in names:
            layer.trainable = not frozen
