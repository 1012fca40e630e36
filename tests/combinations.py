"""`python -m tests.combinations`: every encoder under every network that takes it, on an image of odd size.

It prints what became of each; exit status 1 if one fails. Networks, ResNets and VGG16 are narrow. The
encoders of Keras have one width and are as they are: the smallest of each family under every network, the
larger ones under U-Net.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from keras_seg.encoders.applications import application
from keras_seg.models.combinations import decoders, fitting_options
from keras_seg.registry import encoders
from tests.model_helpers import build_narrow, free, images

SIZE = (33, 47)
SMALL = (
    "mobilenet_v2",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "efficientnet_v2_b0",
    "densenet121",
    "xception",
)


def check(network, encoder):
    """Builds a network on an encoder and runs it.

    Args:
        network, encoder: Rows.

    Returns:
        Its logits.

    Raises:
        AssertionError: They are of another size, or do not depend on the image.
    """
    model = build_narrow(network.name, 3, **fitting_options(network, encoder))
    for layer in model.layers:  # FCN's scores start at zero.
        if layer.name.startswith("score") and layer.weights:
            layer.kernel.assign(np.random.default_rng(1).normal(0, 0.1, layer.kernel.shape))
    logits = np.asarray(model(images(1, *SIZE), training=False))
    assert logits.shape == (1, *SIZE, 3) and np.all(np.isfinite(logits))
    assert np.ptp(logits, axis=(1, 2)).min() > 0
    return logits


def main():
    """Prints a line for each encoder."""
    failed = 0
    for encoder in encoders().values():
        is_large = encoder.builder is application and encoder.name not in SMALL
        cells = []
        for network in decoders():
            if not encoder.output_strides or (is_large and network.name != "unet"):
                continue
            if fitting_options(network, encoder) is None:
                cells.append(f"{network.name} -")
                continue
            try:
                check(network, encoder)
                cells.append(f"{network.name} ok")
            except Exception as error:  # Whatever it is, the others are still checked.
                cells.append(
                    f"{network.name} FAIL ({type(error).__name__}: {str(error).splitlines()[0][:80]})"
                )
                failed += 1
            free()
        print(f"{encoder.name}: {', '.join(cells)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
