"""A network as a LiteRT file: one RGB image of a fixed size in, logits out."""

import os

import numpy as np
import tensorflow as tf

from keras_seg.acceleration import accelerate
from keras_seg.errors import InputError
from keras_seg.files import replacing
from keras_seg.serving.optional import import_optional
from keras_seg.serving.signatures import build_network

EXTRA, INTERPRETER = "litert", "ai_edge_litert.interpreter"
PRECISIONS = ("float", "dynamic", "int8")


def write_litert(model, path, size, precision="float", calibration=()):
    """Writes an image [1, H, W, 3] in 0..255 to logits [1, H, W, C].

    Args:
        model: `keras.Model` to logits.
        path: file to write.
        size: (height, width) in pixels. LiteRT's convolutions need it where a network crops or joins maps.
        precision: "float": float32 throughout; "dynamic": weights of 8 bits, float32 in and out; "int8":
            everything in 8 bits, uint8 in and int8 out, with scales from the calibration images.
        calibration: uint8 RGB images [H, W, 3], for "int8".

    Raises:
        InputError: the file cannot be written, or there are no calibration images.
    """
    accelerated = accelerate(model, "inference", device="cpu")
    network = build_network(accelerated, [1, *size, model.inputs[0].shape[-1]]).get_concrete_function()
    module = tf.Module()
    module.weights = list(network.variables)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([network], module)
    if precision != "float":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "int8":
        if not len(calibration):
            raise InputError(f"{path}: int8 needs images to take its scales from; name some with --images")
        converter.representative_dataset = lambda: ([_extremes(image)] for image in calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type, converter.inference_output_type = tf.uint8, tf.int8
    with replacing(path) as temporary:
        temporary.write_bytes(converter.convert())


def litert_runner(path):
    """Returns a function of one uint8 image [1, H, W, 3] to float32 logits that runs a LiteRT file."""
    package = import_optional(INTERPRETER, EXTRA, path)
    # By itself it takes one thread, and TensorFlow takes all.
    interpreter = package.Interpreter(model_path=str(path), num_threads=os.cpu_count())
    interpreter.allocate_tensors()
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = found["quantization"]

    def run(images):
        interpreter.set_tensor(given["index"], images.astype(given["dtype"]))
        interpreter.invoke()
        logits = interpreter.get_tensor(found["index"]).astype(np.float32)
        return (logits - zero) * np.float32(scale) if scale else logits

    return run


def _extremes(image):
    """Returns the image as a float batch that holds 0 and 255, so that a step of the input is one."""
    batch = image[None].astype(np.float32)
    batch.reshape(-1)[:2] = 0, 255
    return batch
