"""A network as an ONNX file: RGB images in, logits out, at any size."""

import json

import numpy as np
import tensorflow as tf

from keras_seg.errors import InputError
from keras_seg.files import replacing
from keras_seg.serving.signatures import build_network

OPSET = 18
_LARGEST = (1 << 31) - 1  # Bytes of a protocol buffer
_AXES = ("N", "H", "W")


def write_onnx(model, path, *, classes, colors):
    """Writes `images`, float32 RGB [N, H, W, 3] in 0..255, to `logits`, float32 [N, H, W, C].

    Class names and colors are metadata of the file, each as JSON.

    Args:
        model: `keras.Model` to logits.
        path: file to write.
        classes: class names in id order.
        colors: RGB per class, [C, 3].

    Raises:
        InputError: the packages of the extra `onnx` are missing, the network is too large, or the file
            cannot be written.
    """
    # An optional dependency.
    try:
        import tf2onnx
    except ImportError:
        raise InputError(f"{path}: needs tf2onnx; pip install 'keras-seg[onnx]'") from None

    network = build_network(model, [None, *model.inputs[0].shape[1:]])
    signature = [tf.TensorSpec(network.input_signature[0].shape, tf.float32, "images")]
    named = tf.function(lambda images: {"logits": network(images)}, signature, autograph=False)
    if sum(np.prod(weight.shape) for weight in model.weights) * 4 > _LARGEST:
        raise InputError(f"{path}: the network has more than the 2 GB of weights that an ONNX file can hold")
    proto, _ = tf2onnx.convert.from_function(named, input_signature=signature, opset=OPSET)
    for value in (*proto.graph.input, *proto.graph.output):
        for axis, dim in zip(_AXES, value.type.tensor_type.shape.dim, strict=False):
            if not dim.dim_value:
                dim.dim_param = axis
    for key, value in (("classes", list(classes)), ("colors", np.asarray(colors).tolist())):
        proto.metadata_props.add(key=key, value=json.dumps(value, ensure_ascii=False))
    with replacing(path) as temporary:
        temporary.write_bytes(proto.SerializeToString())


def onnx_runner(path):
    """Returns a function of uint8 images [N, H, W, 3] to logits that runs an ONNX file with onnxruntime."""
    try:
        import onnxruntime
    except ImportError:
        raise InputError(f"{path}: is checked with onnxruntime; pip install 'keras-seg[onnx]'") from None

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda images: session.run(["logits"], {"images": images.astype(np.float32)})[0]
