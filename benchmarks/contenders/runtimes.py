"""keras_seg's exports without Python's TensorFlow: by the SavedModel's C++ loader, onnxruntime and OpenCV."""

import numpy as np

from benchmarks.harness.ours import prepare
from contenders.our_exports import exported


def saved_model(network, size, batch_size=1, num_classes=21):
    """`serving_default` of the SavedModel: class ids and confidence, by the loader of TensorFlow Serving."""
    prepare("inference")  # docs/guides/serve.md says the same for the server.
    from tests.serving.savedmodel_runner import Session  # Loads TensorFlow's C++ library.

    with exported("saved_model", network, num_classes) as path:
        session = Session(path)
    images = _images(size, batch_size)
    return lambda: session.run("serving_default", {"images": images})


def onnxruntime(network, size, batch_size=1, num_classes=21):
    """Class ids by onnxruntime."""
    from onnxruntime import InferenceSession

    with exported("onnx", network, num_classes) as path:
        session = InferenceSession(path, providers=["CPUExecutionProvider"])
    images = _images(size, batch_size).astype(np.float32)
    return lambda: _class_ids(session.run(["logits"], {"images": images})[0])


def opencv(network, size, batch_size=1, num_classes=21):
    """Class ids by OpenCV's DNN module."""
    import cv2

    with exported("onnx", network, num_classes) as path:
        net = cv2.dnn.readNetFromONNX(path)
    images = _images(size, batch_size).astype(np.float32)

    def step():
        net.setInput(images)
        _class_ids(net.forward())

    return step


def _images(size, batch_size):
    return np.random.default_rng(0).integers(0, 256, (batch_size, *size, 3), np.uint8)


def _class_ids(logits):
    return logits.argmax(-1).astype(np.uint8)
