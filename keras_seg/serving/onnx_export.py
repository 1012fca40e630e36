"""A network as an ONNX file: RGB images in, logits out, at any size."""

import json

import keras
import numpy as np
import tensorflow as tf

from keras_seg.acceleration import accelerate
from keras_seg.errors import InputError
from keras_seg.files import replacing
from keras_seg.logits import threshold_of
from keras_seg.serving.optional import import_optional
from keras_seg.serving.signatures import build_network

OPSET = 18
EXTRA, PACKAGES = "onnx", ("tf2onnx", "onnxruntime")
_LARGEST = (1 << 31) - 1  # Bytes of a protocol buffer
_LARGE = 1 << 14  # Numbers
_AXES = ("N", "H", "W")


def write_onnx(model, path, *, classes, colors, threshold=None):
    """Writes `images`, float32 RGB [N, H, W, 3] in 0..255, to `logits`, float32 [N, H, W, C].

    Class names and colors, and the threshold of a single logit, are metadata of the file, each as JSON.

    Args:
        model: `keras.Model` to logits.
        path: file to write.
        classes: class names in id order.
        colors: RGB per class, [C, 3].
        threshold: probability from which a pixel is foreground, for a network with a single logit; None for
            0.5.

    Raises:
        InputError: the packages of the extra `onnx` are missing, the network is too large, or the file
            cannot be written.
    """
    tf2onnx = import_optional("tf2onnx", EXTRA, path)
    # What is written are the weights of this one: where a normalization is folded, the convolution's are new.
    model = accelerate(model, "inference", device="cpu")
    network = build_network(model, [None, *model.inputs[0].shape[1:]])
    if sum(np.prod(weight.shape) for weight in model.weights) * 4 > _LARGEST:
        raise InputError(f"{path}: the network has more than the 2 GB of weights that an ONNX file can hold")
    proto = _convert(tf2onnx, network, model)
    for value in (*proto.graph.input, *proto.graph.output):
        for axis, dim in zip(_AXES, value.type.tensor_type.shape.dim, strict=False):
            if not dim.dim_value:
                dim.dim_param = axis
    labels = {"classes": list(classes), "colors": np.asarray(colors).tolist()}
    if (threshold := threshold_of(model, threshold)) is not None:
        labels["threshold"] = threshold
    for key, value in labels.items():
        proto.metadata_props.add(key=key, value=json.dumps(value, ensure_ascii=False))
    with replacing(path) as temporary:
        temporary.write_bytes(proto.SerializeToString())


def _convert(tf2onnx, network, model):
    """Returns the ONNX model of a network, large weights added last.

    tf2onnx rewrites every weight in each of its many passes and frees none: 24 GB for FCN-8s. So it sees
    the large ones as inputs, which then become constants, in the order of axes that ONNX asks for.
    """
    large = [weight for weight in model.weights if np.prod(weight.shape) > _LARGE]
    specs = [tf.TensorSpec(weight.shape, weight.dtype, f"weight_{i}") for i, weight in enumerate(large)]
    signature = [tf.TensorSpec(network.input_signature[0].shape, tf.float32, "images"), specs]

    @tf.function(input_signature=signature, autograph=False)
    def named(images, weights):
        with keras.StatelessScope(state_mapping=list(zip(large, weights, strict=True))):
            return {"logits": network.python_function(images)}

    proto, _ = tf2onnx.convert.from_function(named, input_signature=signature, opset=OPSET)
    for spec, weight in zip(specs, large, strict=True):
        _make_constant(proto.graph, spec.name, np.asarray(weight))
    return proto


def _make_constant(graph, name, array):
    """Turns an input of an ONNX graph into a constant, transposed where that alone is done with it."""
    (given,) = [value for value in graph.input if value.name == name]
    graph.input.remove(given)
    uses = [node for node in graph.node if name in node.input]
    if len(uses) == 1 and uses[0].op_type == "Transpose":
        array, name = array.transpose(uses[0].attribute[0].ints), uses[0].output[0]
        graph.node.remove(uses[0])
    tensor = graph.initializer.add(name=name, dims=array.shape)
    tensor.data_type = given.type.tensor_type.elem_type
    tensor.raw_data = array.tobytes()


def onnx_runner(path):
    """Returns a function of uint8 images [N, H, W, 3] to logits that runs an ONNX file with onnxruntime."""
    onnxruntime = import_optional("onnxruntime", EXTRA, path)
    options = onnxruntime.SessionOptions()
    # Else its threads wait busily after each run, and slow down what is timed next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["logits"], {"images": images.astype(np.float32)})[0]
