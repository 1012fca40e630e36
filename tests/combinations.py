"""`python -m tests.combinations [ENCODER ...]`: encoders under every network, on an image of odd size.

It prints what became of each; exit status 1 if one fails. Networks, ResNets, ConvNeXts and VGG16 are narrow.
The other encoders of Keras have one width and are as they are: the smallest of each family under every
network, the larger ones under U-Net.
"""

import argparse
import os
import sys
from functools import cache
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from keras_seg.encoders import applications
from keras_seg.registry import encoders
from tests.models.helpers import build_narrow, free, images
from tools.combinations import decoders, fitting_options

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


def check_all(encoder):
    """Checks an encoder under the networks, and returns what became of each, `{network: text}`."""
    is_large = encoder.builder is applications.application and encoder.name not in SMALL
    found = {}
    for network in decoders():
        if is_large and network.name != "unet":
            continue
        if fitting_options(network, encoder) is None:
            found[network.name] = "-"
            continue
        try:
            check(network, encoder)
            found[network.name] = "ok"
        except Exception as error:  # Whatever it is, the others are still checked.
            found[network.name] = f"FAIL ({type(error).__name__}: {str(error).splitlines()[0][:80]})"
        free()
    return found


def main(arguments=()):
    """Prints a line for each encoder."""
    names = [row.name for row in encoders().values() if row.output_strides]
    parser = argparse.ArgumentParser(prog="python -m tests.combinations")
    parser.add_argument("encoders", nargs="*", metavar="ENCODER", default=names)
    asked = parser.parse_args(arguments).encoders
    if unknown := set(asked) - set(names):
        parser.error(f"no encoder of a network: {', '.join(sorted(unknown))}")
    failed = 0
    for name in asked:
        # Keras's own network is copied under each decoder, and need not be made anew.
        with mock.patch.object(applications, "original", cache(applications.original)):
            found = check_all(encoders()[name])
        failed += any(text.startswith("FAIL") for text in found.values())
        print(f"{name}: {', '.join(f'{network} {text}' for network, text in found.items())}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
