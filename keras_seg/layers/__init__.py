"""Keras layers that the networks share; each works at any height and width on every Keras backend."""

from keras_seg.layers.batch_normalization import FusedBatchNormalization
from keras_seg.layers.convolution import conv2d
from keras_seg.layers.cropping import CropLike, PadLike
from keras_seg.layers.dilation import DilatedConv2D
from keras_seg.layers.halving import BilinearUpSampling2D, FloorMaxPooling2D
from keras_seg.layers.normalization import LocalResponseNormalization
from keras_seg.layers.patches import PatchConv2D
from keras_seg.layers.pointwise import PointwiseConv2D
from keras_seg.layers.pooling import AdaptiveAveragePooling2D, MaxPoolingWithIndices2D, MaxUnpooling2D
from keras_seg.layers.preprocessing import PREPROCESSINGS, Preprocessing
from keras_seg.layers.processor import for_this_processor
from keras_seg.layers.pyramid import PyramidConv2D
from keras_seg.layers.resizing import ResizeLike, bilinear_kernel

__all__ = [
    "PREPROCESSINGS",
    "AdaptiveAveragePooling2D",
    "BilinearUpSampling2D",
    "CropLike",
    "DilatedConv2D",
    "FloorMaxPooling2D",
    "FusedBatchNormalization",
    "LocalResponseNormalization",
    "MaxPoolingWithIndices2D",
    "MaxUnpooling2D",
    "PadLike",
    "PatchConv2D",
    "PointwiseConv2D",
    "Preprocessing",
    "PyramidConv2D",
    "ResizeLike",
    "bilinear_kernel",
    "conv2d",
    "for_this_processor",
]
