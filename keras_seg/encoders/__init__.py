"""Encoders: image -> `Pyramid` of feature maps."""

from keras_seg.encoders.alexnet import alexnet
from keras_seg.encoders.pyramid import PAD_LAYER, Pyramid, freeze_encoder
from keras_seg.encoders.resnet import RESNETS, resnet, resnet_preprocessing
from keras_seg.encoders.vgg16 import vgg16

__all__ = [
    "PAD_LAYER",
    "RESNETS",
    "Pyramid",
    "alexnet",
    "freeze_encoder",
    "resnet",
    "resnet_preprocessing",
    "vgg16",
]
