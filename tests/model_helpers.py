"""Networks of few channels and blocks, for what does not depend on how wide a convolution is."""

import gc
import inspect
import sys

import keras
import numpy as np
import pytest

from keras_seg.models import MODELS, build_model

NUM_CLASSES = 21
VGG16_STAGES = ((2, 8), (2, 16), (3, 24), (3, 32), (3, 32))
OPTIONS = {
    "fc_filters": 32,
    "widths": (8, 16, 24, 32, 48),
    "decoder_widths": (32, 24, 16, 8),
}


def images(count, height, width):
    return np.random.default_rng(7).uniform(0, 255, (count, height, width, 3)).astype("float32")


def build_narrow(name):
    """Builds a network, by its own builder, on encoders of few channels and blocks."""
    resnet = sys.modules["keras_seg.encoders.resnet"]
    known = inspect.signature(MODELS[name]).parameters
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resnet, "FILTERS", (8, 16, 24, 32))
        for encoder, (_, source) in resnet.RESNETS.items():
            patch.setitem(resnet.RESNETS, encoder, ((1, 1, 2, 2), source))
        patch.setattr(sys.modules["keras_seg.encoders.vgg16"], "STAGES", VGG16_STAGES)
        patch.setattr(sys.modules["keras_seg.models.segnet"], "STAGES", VGG16_STAGES)
        options = {key: value for key, value in OPTIONS.items() if key in known}
        return build_model(name, NUM_CLASSES, **options)


def free():
    """Gives the memory of all networks back."""
    keras.backend.clear_session()
    gc.collect()
