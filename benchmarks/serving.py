"""What a served model costs: requests a second, latency and bytes on the wire, signature by signature.

The peers are the float logits of the same export, and a plain `model.export()` of the same network. Requests
go by gRPC to the stand-in server of the tests, which runs the C++ loader that TensorFlow Serving uses.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import grpc
import keras
import numpy as np
import tensorflow as tf

from benchmarks.harness.flags import network, positive
from keras_seg.models import build_model
from keras_seg.palette import default_colors
from keras_seg.serving import Client, export_saved_model
from keras_seg.serving.protocol import predict_request

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from tests.serving.helpers import free_port, strings  # noqa: E402


def photograph(size):
    """A picture with the smooth parts and the edges of a photograph, so that JPEG and PNG do as usual."""
    random = np.random.default_rng(0)
    image = cv2.GaussianBlur(random.integers(0, 256, (size, size, 3), np.uint8), (0, 0), 24)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    for _ in range(40):
        center, radius = random.integers(0, size, 2).tolist(), int(random.integers(5, size // 6))
        cv2.circle(image, center, radius, random.integers(0, 256, 3).tolist(), -1, cv2.LINE_AA)
    return np.clip(image + random.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def randomize(model):
    """Gives weights that start at zero a value, or every mask would be of one class."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        if "kernel" in weight.path and not np.any(weight):
            weight.assign(random.normal(0, 0.05, weight.shape))


class Server:
    """The stand-in server for a folder of versions."""

    def __init__(self, folder):
        self.address = f"127.0.0.1:{free_port()}"
        self.command = [sys.executable, str(ROOT / "tests/serving/model_server.py"), "--model_name=m"]
        self.command += [f"--port={self.address.split(':')[1]}", f"--rest_api_port={free_port()}"]
        self.command.append(f"--model_base_path={folder}")

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.client = Client(self.address, "m", timeout=600)
        self.client.wait_until_ready()
        return self.client

    def __exit__(self, *_):
        self.client.close()
        self.process.kill()
        self.process.wait()


def measure(client, address, name, signature, inputs, outputs, options):
    """Prints one line: bytes each way, requests a second, and milliseconds of a request."""
    request = predict_request("m", signature, inputs, outputs).SerializeToString()
    with grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)]) as channel:
        send = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        received = len(send(request))  # The first request builds what later ones use.
    seconds = []

    def timed(_):
        start = time.perf_counter()
        client.call(signature, inputs, outputs)
        seconds.append(time.perf_counter() - start)

    client.in_flight = options.in_flight
    start = time.perf_counter()
    for _, error in client.map(timed, range(options.requests)):
        if error:
            raise error
    rate = options.requests / (time.perf_counter() - start)
    p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
    print(f"{name:34} {len(request):>10,} {received:>11,} {rate:8.2f} {p50:8.0f} {p99:8.0f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=network, default="unet", help="network (default: unet)")
    parser.add_argument("--classes", type=positive, default=21)
    parser.add_argument(
        "--size", type=positive, default=512, help="height and width of the picture (default: 512)"
    )
    parser.add_argument(
        "--requests", type=positive, default=20, help="measured requests of each kind (default: 20)"
    )
    parser.add_argument("--in-flight", type=positive, default=2, help="requests at once (default: 2)")
    options = parser.parse_args()
    if importlib.util.find_spec("tensorflow_serving") is None:
        parser.error("needs tensorflow-serving-api; pip install 'keras-seg[serving]'")

    keras.utils.set_random_seed(0)
    model = build_model(options.model, options.classes)
    randomize(model)
    image = photograph(options.size)
    jpeg = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
    encoded, arrays = {"image_bytes": strings(jpeg)}, {"images": image[None]}
    print(f"{options.model}, {options.classes} classes, {options.size} x {options.size}, TensorFlow", end=" ")
    print(f"{tf.__version__}; {options.requests} requests, {options.in_flight} in flight")
    print(f"{'':34} {'sent':>10} {'received':>11} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8}")
    with tempfile.TemporaryDirectory() as folder:
        names = [f"class {i}" for i in range(options.classes)]
        colors = default_colors(options.classes)
        export_saved_model(model, Path(folder, "ours", "1"), classes=names, colors=colors)
        model.export(Path(folder, "plain", "1"), verbose=False)
        with (server := Server(Path(folder, "ours"))) as client:
            for name, signature, inputs, outputs in (
                ("serving_default: mask", "serving_default", arrays, ("mask",)),
                ("serving_default: mask, confidence", "serving_default", arrays, ("mask", "confidence")),
                ("bytes: mask PNG", "bytes", encoded, ("mask_bytes",)),
                ("confidence: two PNGs", "confidence", encoded, ("mask_bytes", "confidence_bytes")),
                ("overlay: JPEG", "overlay", encoded, ("overlay_bytes",)),
                ("tiled: mask PNG", "tiled", {**encoded, "flips": np.array([False])}, ("mask_bytes",)),
                ("logits: float32", "logits", arrays, ("logits",)),
            ):
                measure(client, server.address, name, signature, inputs, outputs, options)
        with (server := Server(Path(folder, "plain"))) as client:
            signature = tf.saved_model.load(str(Path(folder, "plain", "1"))).signatures["serving_default"]
            (given,) = signature.structured_input_signature[1]
            (found,) = signature.structured_outputs
            floats = {given: image[None].astype(np.float32)}
            measure(
                client, server.address, "plain model.export()", "serving_default", floats, (found,), options
            )


if __name__ == "__main__":
    main()
