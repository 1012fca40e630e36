"""A client of models that `export` wrote, for TensorFlow Serving's gRPC and REST ports."""

import itertools
import random
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import urlsplit

import cv2
import numpy as np

from keras_seg.errors import InputError
from keras_seg.serving.errors import UNAVAILABLE, ServerError

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # Seconds
SCHEMES = ("", "grpc", "grpcs", "http", "https")


class Answer(NamedTuple):
    """What a server says about a picture, as `inference.Prediction` but for the confidence's type.

    Attributes:
        mask: uint8 class ids [H, W].
        confidence: uint8 [H, W], the probability of that class times 255.
    """

    mask: np.ndarray
    confidence: np.ndarray


class Client:
    """A model at a server; to be used by several threads at once, or as a context.

    A request that finds no server is sent again after a pause that doubles; one that is refused or takes too
    long is not.

    Args:
        address: `HOST:PORT` for gRPC (TensorFlow Serving's port 8500), `http://HOST:PORT` for REST (8501);
            `grpcs://` and `https://` for TLS. `/MODEL` may follow.
        model: the model's name at the server, where the address does not say it.
        timeout: seconds for each try.
        retries: tries after the first.
        in_flight: requests that wait for an answer at once in the methods that take many pictures.

    Raises:
        InputError: the address is none, or no model is named.
    """

    def __init__(self, address, model=None, timeout=60.0, retries=6, in_flight=4):
        # Needs grpcio, which an import of this package alone should not.
        from keras_seg.serving.transports import Grpc, Rest

        scheme, place, named = _parse(address)
        self.model = named or model
        if not self.model:
            raise InputError(f"{address}: names no model; write {address.rstrip('/')}/MODEL")
        if scheme in ("http", "https"):
            self._transport = Rest(f"{scheme}://{place}")
        else:
            self._transport = Grpc(place, secure=scheme == "grpcs")
        self.timeout, self.retries, self.in_flight = timeout, retries, in_flight

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the connection."""
        self._transport.close()

    def wait_until_ready(self, seconds=60.0):
        """Returns once the model is served; raises ServerError after `seconds`."""
        end = time.monotonic() + seconds
        while True:
            try:
                if self._transport.is_ready(self.model, self.timeout):
                    return
                error = ServerError(self._transport.address, UNAVAILABLE, "the model is being loaded")
            except ServerError as caught:
                error = caught
            if time.monotonic() > end:
                raise error
            time.sleep(FIRST_PAUSE)

    def labels(self):
        """Returns `(classes, colors)`: names in id order, and uint8 RGB [C, 3]."""
        found = self.call("labels", {"query": _strings(b"")}, ("classes", "colors"))
        return tuple(name.decode() for name in found["classes"][0]), found["colors"][0]

    def predict(self, images):
        """Predicts arrays: uint8 RGB [H, W, 3] to an Answer of [H, W], or [N, H, W, 3] to [N, H, W]."""
        images = _pixels(images, (3, 4))
        batch = images[None] if images.ndim == 3 else images
        found = self.call("serving_default", {"images": batch}, ("mask", "confidence"))
        answer = Answer(found["mask"], found["confidence"])
        return Answer(*(part[0] for part in answer)) if images.ndim == 3 else answer

    def logits(self, images):
        """Returns float32 logits [N, H, W, C] of uint8 RGB [N, H, W, 3]."""
        return self.call("logits", {"images": _pixels(images, (4,))}, ("logits",))["logits"]

    def mask(self, picture, signature="bytes"):
        """Returns the uint8 class ids [H, W] of an encoded picture, at its size and EXIF orientation."""
        return decode_grey(self.encoded(picture, signature)["mask_bytes"])

    def confident_mask(self, picture):
        """Returns the Answer for an encoded picture."""
        found = self.encoded(picture, "confidence")
        return Answer(decode_grey(found["mask_bytes"]), decode_grey(found["confidence_bytes"]))

    def tiled_mask(self, picture, flips=False):
        """Returns uint8 class ids [H, W] of a large encoded picture, which the server takes apart.

        Args:
            picture: bytes of a whole file.
            flips: whether to average with the mirrored tiles, at twice the time.
        """
        inputs = {"image_bytes": _strings(picture), "flips": np.array([flips])}
        return decode_grey(self.call("tiled", inputs, ("mask_bytes",))["mask_bytes"][0])

    def overlay(self, picture):
        """Returns the bytes of a JPEG: an encoded picture with the classes' colors over it."""
        return self.encoded(picture, "overlay")["overlay_bytes"]

    def encoded(self, picture, signature="bytes"):
        """Returns `{output: bytes}` of `bytes`, `confidence` or `overlay` for an encoded picture."""
        found = self.call(signature, {"image_bytes": _strings(picture)}, ENCODED_OUTPUTS[signature])
        return {name: values[0] for name, values in found.items()}

    def map(self, function, items):
        """Yields `(item, result or InputError)` in order, with several requests in flight.

        Args:
            function: called with each item, such as `client.mask`.
            items: iterable; it is read no faster than answers come.
        """
        pool, waiting = ThreadPoolExecutor(self.in_flight), deque()
        try:
            for item in items:
                waiting.append((item, pool.submit(function, item)))
                if len(waiting) >= 2 * self.in_flight:
                    yield _finished(*waiting.popleft())
            while waiting:
                yield _finished(*waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def call(self, signature, inputs, outputs):
        """Calls any signature.

        Args:
            signature: its name.
            inputs: `{name: array}`; strings are arrays of bytes with dtype object.
            outputs: names of the outputs that are wanted.

        Returns:
            `{name: array}`.

        Raises:
            ServerError: no answer, after all tries, or a refusal.
        """
        for attempt in itertools.count():
            try:
                return self._transport.predict(self.model, signature, inputs, outputs, self.timeout)
            except ServerError as error:
                if error.code != UNAVAILABLE or attempt >= self.retries:
                    raise
            pause = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE)
            # Clients that lost one server do not come back in step.
            time.sleep(pause * random.uniform(0.5, 1))


ENCODED_OUTPUTS = {
    "bytes": ("mask_bytes",),
    "confidence": ("mask_bytes", "confidence_bytes"),
    "overlay": ("overlay_bytes",),
}


def _parse(address):
    """Returns (scheme, host and port, model or None)."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        known = parts.scheme in SCHEMES and parts.hostname and parts.port
    except ValueError:
        known = False
    if not known:
        raise InputError(f"{address}: is no address; write HOST:PORT/MODEL or http://HOST:PORT/MODEL")
    return parts.scheme, parts.netloc, parts.path.strip("/") or None


def _pixels(images, ranks):
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim not in ranks or images.shape[-1] != 3 or 0 in images.shape:
        raise ValueError(
            f"images must be RGB uint8 [N, H, W, 3], received {images.dtype} {list(images.shape)}."
        )
    return images


def _finished(item, future):
    try:
        return item, future.result()
    except InputError as error:
        return item, error


def _strings(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def decode_grey(contents):
    """Returns the uint8 pixels [H, W] of a grey PNG; raises ServerError."""
    mask = cv2.imdecode(np.frombuffer(contents, np.uint8), cv2.IMREAD_UNCHANGED)
    if mask is None or mask.ndim != 2:
        raise ServerError("the answer", 13, "is no grey PNG")
    return mask
