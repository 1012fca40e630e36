"""What a hostile server sends the client for an image and for the labels, and damaged right responses."""

import functools
from pathlib import Path

import cv2
import numpy as np

from keras_seg.serving import Client, ServerError
from keras_seg.serving.remote import predict_files
from tests.attack.case import ANSWERED, Case, pick, refusal
from tests.attack.mutations import mutated
from tests.serving.hostile_responses import (
    CALLS,
    ENDLESS,
    IDS,
    MESSAGES,
    RESPONSES,
    RIGHT,
    RIGHT_MESSAGE,
    SLOW,
)
from tests.serving.hostile_servers import (
    BAD,
    GOOD,
    HEIGHT,
    LABELS,
    LABELS_MESSAGE,
    NUM_CLASSES,
    WIDTH,
    GrpcServer,
    HttpServer,
    http,
)

IN_CHILD, NEEDS_SERVER, COUNT, SECONDS = True, False, 2000, 30.0
MOST_MEMORY = 256 << 20  # Bytes
_TIMEOUT, _DRIPPING = 20.0, 0.5  # Seconds
# What has no bytes of its own: it drips, has no end, or is a status of gRPC.
_CALLABLE = {
    **{f"slow: {name}": ("rest", sent) for name, sent in SLOW.items()},
    **{f"endless: {name}": ("rest", sent) for name, sent in ENDLESS.items()},
    **{f"call: {name}": ("grpc", sent) for name, sent in CALLS.items()},
}
_FIXED = [
    *(Case(title, title.encode(), ".name") for title in _CALLABLE),
    *(Case(title, contents, ".rest") for title, contents in RESPONSES.items()),
    *(Case(title, contents, ".grpc") for title, contents in MESSAGES.items()),
]
_RIGHT = {
    ".rest": http(RIGHT),
    ".grpc": RIGHT_MESSAGE,
    ".rest-labels": http(LABELS),
    ".grpc-labels": LABELS_MESSAGE,
}


def case(random, number):
    """The hostile responses first; then damaged ones, of an image or of the labels."""
    if number < len(_FIXED):
        return _FIXED[number]
    suffix = pick(random, list(_RIGHT))
    others = [case.contents for case in _FIXED if case.suffix == suffix[:5] and len(case.contents) < 4096]
    contents = _RIGHT[suffix] if random.random() < 0.7 else pick(random, others)
    return Case(f"damaged response, {suffix[1:]}", mutated(contents, random, others), suffix)


@functools.cache
def _servers():
    return {"rest": HttpServer(), "grpc": GrpcServer()}


def ask(case, place):
    """Labels two images: one gets the response, the other a right one, and has its mask at the end."""
    if case.suffix == ".name":
        kind, sent = _CALLABLE[case.contents.decode()]
    else:
        kind, sent = case.suffix[1:5], case.contents
    server = _servers()[kind]
    is_labels = case.suffix.endswith("labels")
    server.labels, server.hostile = (sent, None) if is_labels else (None, sent)
    timeout = _DRIPPING if case.contents.startswith(b"slow") else _TIMEOUT
    # One more try, since a damaged response can hide that the server closes the connection after it.
    with Client(server.address, "m", timeout=timeout, retries=1) as client:
        return _labels(client) if is_labels else _masks(client, Path(place.scratch, "responses"))


def _labels(client):
    try:
        classes, colors = client.labels()
    except ServerError as error:
        return refusal(error)
    assert all(isinstance(name, str) for name in classes)
    assert colors.dtype == np.uint8 and colors.shape == (len(classes), 3), colors.shape
    return ANSWERED


def _masks(client, folder):
    folder.mkdir(exist_ok=True)
    images = [folder / name for name in ("bad.png", "good.png")]
    bad, good = [folder / "masks" / path.name for path in images]
    for path, contents in zip(images, (BAD, GOOD), strict=True):
        path.write_bytes(contents)
    bad.unlink(missing_ok=True)
    good.unlink(missing_ok=True)
    lines = predict_files(client, images, good.parent)
    assert good.exists(), lines
    np.testing.assert_array_equal(_pixels(good), IDS)
    if lines:
        (line,) = lines
        assert line.startswith(str(images[0])) and line.isprintable() and not bad.exists(), line
        return refusal(line)
    mask = _pixels(bad)
    assert mask.dtype == np.uint8 and mask.shape == (HEIGHT, WIDTH) and mask.max() < NUM_CLASSES, mask.shape
    return ANSWERED


def _pixels(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
