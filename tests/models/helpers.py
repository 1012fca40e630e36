"""Networks of few channels and blocks, for what does not depend on how wide a convolution is."""

import gc
import inspect
import sys

import keras
import numpy as np
import pytest

from keras_seg.models import MODELS, build_model

NUM_CLASSES = 21
VGG16_STAGES = ((1, 8), (1, 16), (1, 24), (1, 32), (2, 32))
# Module -> its constants: channels and blocks of the encoders, channels of the decoders.
CONSTANTS = {
    "keras_seg.encoders.vgg16": {"STAGES": VGG16_STAGES},
    "keras_seg.encoders.resnet": {"FILTERS": (8, 16, 24, 32)},
    "keras_seg.models.segnet": {"STAGES": VGG16_STAGES},
    "keras_seg.models.deeplab": {"FILTERS": 24},
    "keras_seg.models.fastfcn": {"FILTERS": 24},
    "keras_seg.models.fcn_vgg16_bn": {"FILTERS": 24},
    "keras_seg.models.pspnet": {"FILTERS": 24},
    "keras_seg.models.refinenet": {"FILTERS": (16, 16, 16, 24)},
}
RESNET_BLOCKS = (1, 1, 1, 2)
CONVNEXT_STAGES = ((1, 1, 2, 1), (8, 16, 24, 32))
OPTIONS = {
    "fc_filters": 32,
    "widths": (8, 16, 24, 32),
    "decoder_widths": (24, 16, 8),
}


def images(count, height, width):
    """Whole numbers in 0..255, which uint8 holds as well."""
    return np.random.default_rng(7).integers(0, 256, (count, height, width, 3)).astype("float32")


def build_narrow(name, num_classes=NUM_CLASSES, *, vgg16_stages=VGG16_STAGES, **options):
    """Builds a network, by its own builder, of few channels and blocks."""
    known = inspect.signature(MODELS[name]).parameters
    options = {**{key: value for key, value in OPTIONS.items() if key in known}, **options}
    if name == "unet_vgg16" or (name == "unet" and options.get("encoder")):
        options = {**options, "widths": None, "decoder_widths": (32, 24, 16, 8)}
        options = {key: value for key, value in options.items() if key in known}
    with pytest.MonkeyPatch.context() as patch:
        for module, constants in CONSTANTS.items():
            for constant, value in constants.items():
                value = vgg16_stages if constant == "STAGES" else value
                patch.setattr(sys.modules[module], constant, value)
        resnets = sys.modules["keras_seg.encoders.resnet"].RESNETS
        for encoder, (_, source) in resnets.items():
            patch.setitem(resnets, encoder, (RESNET_BLOCKS, source))
        convnexts = sys.modules["keras_seg.encoders.convnext"].CONVNEXTS
        for encoder, (_, _, title) in convnexts.items():
            patch.setitem(convnexts, encoder, (*CONVNEXT_STAGES, title))
        return build_model(name, num_classes, **options)


def free():
    """Gives the memory of all networks back.

    What is left, TensorFlow's half a million objects for the most part, stays: no later collection walks
    through it again, which would take most of a second each time.
    """
    keras.backend.clear_session()
    gc.collect()
    gc.freeze()
