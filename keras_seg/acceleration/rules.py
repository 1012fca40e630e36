"""The rules: which layers are replaced, by what, where, and the measured gain."""

from typing import NamedTuple

import keras

from keras_seg.acceleration.folding import fold
from keras_seg.acceleration.pyramid import pyramid

TRAINING, INFERENCE = "training", "inference"
PURPOSES = (TRAINING, INFERENCE)


class Rule(NamedTuple):
    """A faster way to compute some layers.

    Attributes:
        name: What is done.
        replace: Function of a layer, its inputs and the `Network` that is being built, to the output of what
            takes its place, or None where it has nothing to replace.
        purposes: Of `PURPOSES`, those that it serves.
        on_cpu_only: Whether TensorFlow on a CPU alone gains from it; else every backend and processor does.
    """

    name: str
    replace: object
    purposes: tuple
    on_cpu_only: bool = True


# The first that has something to replace is taken. docs/measurements/speed.md says what each gained, where.
RULES = [
    Rule("batch normalization in the kernel before it", fold, (INFERENCE,), on_cpu_only=False),
    Rule("coarse maps that need no resizing", pyramid, PURPOSES),
]
if keras.config.backend() == "tensorflow":
    from keras_seg.acceleration.activations import gelu
    from keras_seg.acceleration.convolutions import dilated, grouped, patches, pointwise, undilated
    from keras_seg.acceleration.normalization import fused
    from keras_seg.acceleration.resizing import resize

    RULES += [
        Rule("large kernels as one matrix product over patches", patches, (TRAINING,)),
        Rule("dilated convolutions by the kernel that knows dilation", dilated, PURPOSES),
        Rule("bilinear resizing in one operation", resize, PURPOSES),
        Rule("grouped convolutions, group by group", grouped, PURPOSES),
        Rule("GELU by the error function", gelu, (INFERENCE,)),
        Rule("1 x 1 convolutions that learn by a matrix product", pointwise, (TRAINING,)),
        Rule("convolutions that learn by matrix products, with AVX2 alone", undilated, (TRAINING,)),
        Rule("batch normalization that learns in one operation", fused, (TRAINING,)),
    ]
