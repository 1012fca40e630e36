"""Exported networks, the requests to them, and what this environment's Predictor says of the same images."""

import tempfile
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_seg.inference import Prediction, Predictor, read_image
from keras_seg.logits import most_probable, softmax
from keras_seg.models import build_model
from keras_seg.palette import default_colors
from keras_seg.serving import export_saved_model
from tests.backend_answers import randomize
from tests.models.helpers import NUM_CLASSES, build_narrow
from tests.serving.helpers import (
    MAX_PIXELS,
    MAX_TILED_PIXELS,
    TILE,
    encoded,
    gif,
    lossy_webp,
    picture,
    strings,
    turned_jpeg,
)
from tests.serving.test_malformed import MALFORMED
from tests.serving.tiles_by_hand import tiled_by_hand

SEED = 1
CLASSES = tuple(f"class {index}" for index in range(NUM_CLASSES))
COLORS = default_colors(NUM_CLASSES)


def scene(height, width, seed=0):
    """An image whose quarters look different, so that a network with random weights tells them apart."""
    image = picture(height, width, seed)
    top, left = slice(height // 2), slice(width // 2)
    bottom, right = slice(height // 2, None), slice(width // 2, None)
    image[top, left] //= 8
    image[top, right, 0] //= 10
    image[bottom, left, 2] //= 10
    image[bottom, right] = 255 - image[bottom, right] // 8
    return image


IMAGES = np.stack([scene(70, 97, seed) for seed in range(2)])
FILES = (
    encoded(scene(60, 85)),
    encoded(scene(41, 50), ".jpg"),
    turned_jpeg(scene(44, 60), 6),
    gif([scene(40, 61)]),
    encoded(scene(9, 13), ".bmp"),
)
WEBP = lossy_webp(scene(33, 47))
LARGE = scene(TILE * 2 + 5, TILE + 9)  # Of 3 x 2 tiles.
FLIPS = (False, True)
REQUESTS = {
    "serving_default": {"images": IMAGES},
    "logits": {"images": IMAGES},
    "bytes": {"image_bytes": strings(*FILES)},
    "confidence": {"image_bytes": strings(*FILES)},
    "overlay": {"image_bytes": strings(*FILES)},
    "tiled": {"image_bytes": strings(*[encoded(LARGE)] * 2), "flips": np.array(FLIPS)},
    "labels": {"query": strings(b"")},
}
WEBP_REQUEST = ("bytes", {"image_bytes": strings(WEBP)})
# The server itself compares the names of signatures and inputs, before it asks the loader.
REFUSED = {
    name: (signature, inputs)
    for name, (signature, inputs) in MALFORMED.items()
    if signature in REQUESTS and set(inputs) == set(REQUESTS[signature])
}


class Seen(NamedTuple):
    """An image, and what the Predictor says of it: its Prediction, and class probabilities [H, W, C]."""

    image: np.ndarray
    prediction: Prediction
    probabilities: np.ndarray


class Expected(NamedTuple):
    """What the signatures must answer.

    Attributes:
        logits: Of IMAGES, float32 [N, H, W, C].
        images: `Seen` of each of IMAGES.
        files: `Seen` of each of FILES.
        webp: `Seen` of WEBP.
        tiled: `Seen` of LARGE for each of FLIPS.
    """

    logits: np.ndarray
    images: tuple
    files: tuple
    webp: Seen
    tiled: tuple


def export(name, folder, *, full=False):
    """Exports a network with seeded weights, none of them all zero.

    Args:
        name: A key of `MODELS`.
        folder: Version folder to write.
        full: Whether at its full width; else with few channels and blocks.

    Returns:
        `Expected`.
    """
    keras.utils.set_random_seed(SEED)
    model = build_model(name, NUM_CLASSES) if full else build_narrow(name)
    randomize(model)
    export_saved_model(
        model,
        folder,
        classes=CLASSES,
        colors=COLORS,
        max_pixels=MAX_PIXELS,
        max_tiled_pixels=MAX_TILED_PIXELS,
        tile=TILE,
    )
    logits = np.asarray(model(IMAGES, training=False))
    # A comparison of zeros, or of masks of one class, would say nothing.
    assert np.abs(logits).max() > 0.1 and len(np.unique(logits.argmax(axis=-1))) > 1, name
    whole = Predictor(model)
    return Expected(
        logits,
        tuple(_see(whole, image) for image in IMAGES),
        tuple(_see(whole, _read(contents)) for contents in FILES),
        _see(whole, _read(WEBP)),
        tuple(_see_tiled(model, flip) for flip in FLIPS),
    )


def _see(predictor, image):
    return Seen(image, predictor.predict(image), predictor.probabilities(image))


def _see_tiled(model, flip):
    def network(images):
        return np.asarray(model(images.astype("float32"), training=False))

    probabilities = softmax(tiled_by_hand(network, LARGE, TILE, flip).astype("float32"))
    return Seen(LARGE, Prediction(*most_probable(probabilities)), probabilities)


def _read(contents):
    """The image in a file's bytes, as `predict.py` reads it."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(contents)
        return read_image(file.name)
