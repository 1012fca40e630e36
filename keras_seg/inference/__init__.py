"""From images to masks: reading, predicting, writing."""

from keras_seg.inference.averaging import TTA_SCALES, Averaging
from keras_seg.inference.files import Summary, expand_inputs, predict_files
from keras_seg.inference.images import read_image, write_image, write_mask
from keras_seg.inference.predictor import Prediction, Predictor
from keras_seg.logits import classify

__all__ = [
    "TTA_SCALES",
    "Averaging",
    "Prediction",
    "Predictor",
    "Summary",
    "classify",
    "expand_inputs",
    "predict_files",
    "read_image",
    "write_image",
    "write_mask",
]
