"""What every encoder returns, and how it is told apart from the rest of a network."""

import re
from typing import Any, NamedTuple

PAD_LAYER = "pad1"  # Puts pixels around the image: 100 in the original FCNs.
# Encoders name their layers so, and nothing else does.
ENCODER_LAYER = re.compile(r"(block\d_|conv\d|bn\d|stem_|down\d_|layer\d_\d)")


class Pyramid(NamedTuple):
    """Feature maps of an encoder's five stages, finest first.

    They count stages, not strides: with dilation several stages share a stride.
    """

    c1: Any
    c2: Any
    c3: Any
    c4: Any
    c5: Any


def freeze_encoder(model, frozen=True):
    """Stops (or lets go on) the training of a network's encoder, its batch statistics included.

    Args:
        model: A network of `build_model`.
        frozen: False to let the encoder learn again.

    Returns:
        The names of the layers that were changed.
    """
    encoder = [layer for layer in model.layers if ENCODER_LAYER.match(layer.name)]
    for layer in encoder:
        layer.trainable = not frozen
    return [layer.name for layer in encoder]
