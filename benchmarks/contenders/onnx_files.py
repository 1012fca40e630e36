"""onnxruntime and OpenCV's DNN module, on the ONNX file of the PyTorch network."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

# In a process of its own, so that PyTorch's memory is not counted.
EXPORT = """
import sys, torch
from contenders.torch_networks import build
network, height, width, batch_size, num_classes, path = sys.argv[1], *map(int, sys.argv[2:6]), sys.argv[6]
image = torch.zeros(batch_size, 3, height, width)
torch.onnx.export(build(network, num_classes).eval(), (image,), path, external_data=False)
"""


def prediction_onnxruntime(network, size, batch_size=1, num_classes=21):
    """Class ids of random images by onnxruntime."""
    import onnxruntime

    with _Exported(network, size, batch_size, num_classes) as path:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    images = _images(size, batch_size)
    return lambda: session.run(None, {name: images})[0].argmax(1).astype(np.uint8)


def prediction_opencv(network, size, batch_size=1, num_classes=21):
    """Class ids of random images by OpenCV's DNN module."""
    import cv2

    with _Exported(network, size, batch_size, num_classes) as path:
        net = cv2.dnn.readNetFromONNX(path)
    images = _images(size, batch_size)

    def step():
        net.setInput(images)
        net.forward().argmax(1).astype(np.uint8)

    return step


class _Exported:
    """A folder with the network's ONNX file, as long as it is read."""

    def __init__(self, network, size, batch_size, num_classes):
        self._arguments = [network, *map(str, (*size, batch_size, num_classes))]

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory()
        path = str(Path(self._folder.name) / "network.onnx")
        command = [sys.executable, "-c", EXPORT, *self._arguments, path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ImportError(f"no ONNX file: {done.stderr.strip().splitlines()[-1]}")
        return path

    def __exit__(self, *_):
        self._folder.cleanup()


def _images(size, batch_size):
    return np.random.default_rng(0).normal(size=(batch_size, 3, *size)).astype(np.float32)
