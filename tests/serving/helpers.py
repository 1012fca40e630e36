"""A small exported model, a server for it, and images in good and bad files."""

import atexit
import functools
import io
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import NamedTuple

import cv2
import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from keras_seg.data.samples import RGB
from keras_seg.inference.footprint import footprint
from keras_seg.layers import CropLike, Preprocessing, bilinear_kernel
from keras_seg.logits import num_logits
from keras_seg.serving import Client, export_saved_model
from keras_seg.serving.budget import find_limits
from keras_seg.serving.signatures import build_signatures, served_network

CLASSES = ("sky", "road", "Fußgänger")
COLORS = ((0, 0, 0), (10, 20, 30), (255, 0, 0))
NAME = "tiny"
TILE = 32
MAX_PIXELS, MAX_TILED_PIXELS = 1 << 20, 1 << 21


def tiny_network(num_classes=3):
    """A small FCN: the layers of FCN-8s, each once."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 64)(Preprocessing("caffe")(image))
    skip = layers.Conv2D(8, 5, padding="same", activation="relu")(x)
    x = layers.Conv2D(8, 7, padding="same")(layers.MaxPooling2D(padding="same")(skip))
    x = layers.Dropout(0.5)(layers.Conv2D(num_classes, 1)(x))
    x = layers.Conv2DTranspose(num_classes, 4, 2, "same", kernel_initializer=bilinear_kernel)(x)
    x = layers.Add()([CropLike()([x, skip]), layers.Conv2D(num_classes, 1)(skip)])
    return keras.Model(image, x, name=NAME)


class Exported(NamedTuple):
    """A model and the folder of the version that was exported of it."""

    model: keras.Model
    folder: Path


@functools.cache
def exported():
    """Exports the small model once for all tests of a process."""
    parent = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    model = tiny_network()
    folder = export_saved_model(
        model,
        parent / "1",
        classes=CLASSES,
        colors=COLORS,
        warm_up=((24, 40), (16, 16)),
        max_pixels=MAX_PIXELS,
        max_tiled_pixels=MAX_TILED_PIXELS,
        tile=TILE,
    )
    return Exported(model, folder)


def signatures_of(model, classes, colors, image_size=None, threshold=None, kind=RGB, **limits):
    """The signatures of a model that is not exported."""
    network = served_network(model)
    limits = find_limits(footprint(model, network.python_function, kind), num_logits(model), **limits)
    options = {"image_size": image_size, "threshold": threshold, "kind": kind}
    return build_signatures(network, limits, classes, colors, **options)


class Server(NamedTuple):
    """A running model server and its addresses."""

    process: subprocess.Popen
    grpc: str
    rest: str


@functools.cache
def running_server():
    """Starts a server for the exported model, once: $TENSORFLOW_MODEL_SERVER, or else the stand-in."""
    pytest.importorskip("tensorflow_serving.apis")
    ports = [free_port(), free_port()]
    real = os.environ.get("TENSORFLOW_MODEL_SERVER")
    program = [real] if real else [sys.executable, str(Path(__file__).with_name("model_server.py"))]
    flags = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_name={NAME}"]
    folder = exported().folder.parent
    process = subprocess.Popen(
        [*program, *flags, f"--model_base_path={folder}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    atexit.register(process.kill)
    server = Server(process, f"127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}")
    for address in (server.grpc, server.rest):
        with Client(address, NAME) as client:
            client.wait_until_ready()
    return server


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def picture(height, width, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def encoded(image, suffix=".png"):
    return cv2.imencode(suffix, image[..., ::-1])[1].tobytes()


def turned_jpeg(image, orientation):
    """A JPEG with a big-endian EXIF segment that holds the orientation tag alone."""
    exif = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    contents = encoded(image, ".jpg")
    return contents[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + contents[2:]


def progressive_jpeg(image):
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()


def lossy_webp(image):
    return cv2.imencode(".webp", image[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 90])[1].tobytes()


def gif(frames, **options):
    """A GIF of one or more frames."""
    pictures = [Image.fromarray(frame) for frame in frames]
    file = io.BytesIO()
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], **options)
    return file.getvalue()


def grey(contents):
    return cv2.imdecode(np.frombuffer(contents, np.uint8), cv2.IMREAD_UNCHANGED)


def strings(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


@functools.cache
def png_bomb(height, width):
    """A well-formed PNG of black pixels in about a thousandth of their bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def claims(contents, at, layout, *values):
    """Writes other numbers over an image's header: `struct.pack(layout, *values)` from byte `at` on."""
    numbers = struct.pack(layout, *values)
    return contents[:at] + numbers + contents[at + len(numbers) :]
