"""The layers that Keras lacks; each works at any height and width on every Keras backend."""

from keras_seg.layers.cropping import CropLike
from keras_seg.layers.former_names import register_former_names
from keras_seg.layers.halving import BilinearUpSampling2D, FloorMaxPooling2D
from keras_seg.layers.mirroring import MirrorPadding2D
from keras_seg.layers.normalization import LocalResponseNormalization
from keras_seg.layers.pooling import AdaptiveAveragePooling2D, MaxPoolingWithIndices2D, MaxUnpooling2D
from keras_seg.layers.preprocessing import PREPROCESSINGS, Preprocessing, preprocessing_options
from keras_seg.layers.resizing import ResizeLike, bilinear_kernel

__all__ = [
    "PREPROCESSINGS",
    "AdaptiveAveragePooling2D",
    "BilinearUpSampling2D",
    "CropLike",
    "FloorMaxPooling2D",
    "LocalResponseNormalization",
    "MaxPoolingWithIndices2D",
    "MaxUnpooling2D",
    "MirrorPadding2D",
    "Preprocessing",
    "ResizeLike",
    "bilinear_kernel",
    "preprocessing_options",
]

register_former_names()
