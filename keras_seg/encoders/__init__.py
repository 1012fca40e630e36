"""Encoders: image -> `Pyramid` of feature maps."""

from keras_seg.encoders.alexnet import alexnet
from keras_seg.encoders.pyramid import (
    PAD_LAYER,
    Pyramid,
    encoder_layers,
    encoder_model,
    freeze_encoder,
    freeze_layers,
    mark_encoder,
)
from keras_seg.encoders.resnet import RESNETS, resnet
from keras_seg.encoders.vgg16 import vgg16

__all__ = [
    "PAD_LAYER",
    "RESNETS",
    "Pyramid",
    "alexnet",
    "encoder_layers",
    "encoder_model",
    "freeze_encoder",
    "freeze_layers",
    "mark_encoder",
    "resnet",
    "vgg16",
]
