"""A client of models that `export` wrote, for TensorFlow Serving's gRPC and REST ports."""

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np

from keras_seg.errors import InputError
from keras_seg.serving.errors import UNAVAILABLE, ServerError, blaming
from keras_seg.serving.image_sizes import image_size
from keras_seg.serving.images import checked_jpeg, decode_grey, encoded_output
from keras_seg.serving.outputs import Output

MAX_CHANNELS = 16
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # Seconds
SCHEMES = ("", "grpc", "grpcs", "http", "https")


class Answer(NamedTuple):
    """A server's prediction for an image, like `inference.Prediction` but for the type of the confidence.

    Attributes:
        mask: uint8 class ids [H, W].
        confidence: uint8 [H, W], the probability of that class times 255.
    """

    mask: np.ndarray
    confidence: np.ndarray


class Client:
    """A model at a server; can be shared by threads, and used as a context manager.

    A request that finds no server is sent again after a pause that doubles; one that is refused or takes too
    long is not. No response is trusted: each is checked against the size of its image and the number of the
    model's classes, which is asked for once by `labels`, and a wrong one is a ServerError.

    Args:
        address: `HOST:PORT` for gRPC (TensorFlow Serving's port 8500), `http://HOST:PORT` for REST (8501);
            `grpcs://` and `https://` for TLS. `/MODEL` may follow.
        model: the model's name at the server, where the address does not say it.
        timeout: seconds for each request: connecting, sending, the whole response, and all tries.
        retries: tries after the first.
        in_flight: requests that are sent at once by the methods that take many images.

    Raises:
        InputError: the address cannot be read, or names no model.
    """

    def __init__(
        self,
        address: str,
        model: str | None = None,
        timeout: float = 60.0,
        retries: int = 6,
        in_flight: int = 4,
    ) -> None:
        # Needs grpcio, which an import of this package alone should not.
        from keras_seg.serving.grpc_transport import Grpc
        from keras_seg.serving.rest_transport import Rest

        scheme, place, named = _parse(address)
        self.model = named or model
        if not self.model:
            raise InputError(f"{address}: names no model; write {address.rstrip('/')}/MODEL")
        self._transport: Grpc | Rest
        if scheme in ("http", "https"):
            self._transport = Rest(f"{scheme}://{place}")
        else:
            self._transport = Grpc(place, secure=scheme == "grpcs")
        self.address = self._transport.address
        self.timeout, self.retries, self.in_flight = timeout, retries, in_flight

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._transport.close()

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        """Returns once the model is served; raises ServerError after `seconds`."""
        end = time.monotonic() + seconds
        while True:
            try:
                if self._transport.is_ready(self.model, self.timeout):
                    return
                error = ServerError(self.address, UNAVAILABLE, "the model is being loaded")
            except ServerError as caught:
                error = caught
            if time.monotonic() > end:
                raise error
            time.sleep(FIRST_PAUSE)

    def labels(self) -> tuple[list[str], np.ndarray]:
        """Returns `(classes, colors)`: names in id order, and uint8 RGB [C, 3]. The server is asked once."""
        return self._labels

    @cached_property
    def _labels(self):
        outputs = {"classes": Output("object", (1, None)), "colors": Output("uint8", (1, None, 3))}
        found = self.call("labels", {"query": _strings(b"")}, outputs)
        classes, colors = found["classes"][0], found["colors"][0]
        with blaming(self.address):
            if len(classes) != len(colors):
                raise ValueError(f"{len(classes)} classes have {len(colors)} colors")
            return tuple(name.decode() for name in classes), colors

    @property
    def num_classes(self) -> int:
        """Number of the model's classes."""
        return len(self._labels[0])

    def predict(self, images: Any) -> Answer:
        """Predicts arrays, such as uint8 RGB: [H, W, C] to an Answer of [H, W], or a batch [N, H, W, C]."""
        images = _pixels(images, (3, 4))
        batch = images[None] if images.ndim == 3 else images
        confidence = Output("uint8", batch.shape[:3])
        outputs = {"mask": confidence._replace(num_classes=self.num_classes), "confidence": confidence}
        answer = Answer(**self.call("serving_default", {"images": batch}, outputs))
        return Answer(*(part[0] for part in answer)) if images.ndim == 3 else answer

    def logits(self, images: Any) -> np.ndarray:
        """Returns float32 logits [N, H, W, C] of images [N, H, W, C]; of two classes they may be one."""
        images = _pixels(images, (4,))
        channels = (1, 2) if self.num_classes == 2 else self.num_classes
        outputs = {"logits": Output("float32", (*images.shape[:3], channels))}
        return self.call("logits", {"images": images}, outputs)["logits"]

    def mask(self, image: bytes, signature: str = "bytes") -> np.ndarray:
        """Returns the uint8 class ids [H, W] of an encoded image, at its size and EXIF orientation."""
        return self._decoded(image, signature)["mask_bytes"]

    def confident_mask(self, image: bytes) -> Answer:
        """Returns the Answer for an encoded image."""
        found = self._decoded(image, "confidence")
        return Answer(found["mask_bytes"], found["confidence_bytes"])

    def tiled_mask(self, image: bytes, flips: bool = False) -> np.ndarray:
        """Returns uint8 class ids [H, W] of a large encoded image, which the server takes apart.

        Args:
            image: bytes of a whole file.
            flips: whether to average with the mirrored tiles, at twice the time.
        """
        return self._decoded(image, "tiled", flips=np.array([flips]))["mask_bytes"]

    def overlay(self, image: bytes) -> bytes:
        """Returns the bytes of a JPEG: an encoded image with the classes' colors over it."""
        return self._decoded(image, "overlay")["overlay_bytes"]

    def _decoded(self, image, signature, **inputs):
        """Returns `{output: pixels}` for an encoded image, and the file itself of an overlay."""
        size = image_size(image)
        decoders: dict[str, Callable[..., Any]] = {
            "mask_bytes": partial(decode_grey, num_classes=self.num_classes),
            "confidence_bytes": decode_grey,
            "overlay_bytes": checked_jpeg,
        }
        outputs = dict.fromkeys(ENCODED_OUTPUTS[signature], encoded_output(size))
        found = self.call(signature, {"image_bytes": _strings(image), **inputs}, outputs)
        for name, (contents,) in found.items():
            with blaming(self.address, f"{name} "):
                found[name] = decoders[name](contents, size)
        return found

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Yields `(item, result or InputError)` in order, with several requests in flight.

        Args:
            function: called with each item, such as `client.mask`.
            items: iterable; it is read no faster than answers come.
        """
        pool = ThreadPoolExecutor(self.in_flight)
        waiting: deque[Any] = deque()
        try:
            for item in items:
                waiting.append((item, pool.submit(function, item)))
                if len(waiting) >= 2 * self.in_flight:
                    yield _finished(*waiting.popleft())
            while waiting:
                yield _finished(*waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def call(
        self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Iterable[str] | dict[str, Output]
    ) -> dict[str, Any]:
        """Calls any signature.

        Args:
            signature: its name.
            inputs: `{name: array}`; strings are arrays of bytes with dtype object.
            outputs: names of the outputs that are wanted, or `{name: outputs.Output}` of what each has to be.

        Returns:
            `{name: array}`.

        Raises:
            ServerError: no answer in time, after all tries, a refusal, or an output that is missing or wrong.
        """
        if not isinstance(outputs, dict):
            outputs = dict.fromkeys(outputs, Output())
        end = time.monotonic() + self.timeout
        attempt = 0
        while True:
            # Clients that lost one server do not come back in step.
            pause = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE) * random.uniform(0.5, 1)
            left = end - time.monotonic()
            try:
                return self._transport.predict(self.model, signature, inputs, outputs, left)
            except ServerError as error:
                is_last = attempt >= self.retries or time.monotonic() + pause > end
                if error.code != UNAVAILABLE or is_last:
                    raise
            time.sleep(pause)
            attempt += 1


ENCODED_OUTPUTS = {
    "bytes": ("mask_bytes",),
    "confidence": ("mask_bytes", "confidence_bytes"),
    "overlay": ("overlay_bytes",),
    "tiled": ("mask_bytes",),
}


def _parse(address):
    """Returns (scheme, host and port, model or None)."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        known = parts.scheme in SCHEMES and parts.hostname and parts.port
    except ValueError:
        known = False
    if not known:
        raise InputError(f"{address}: is not an address; write HOST:PORT/MODEL or http://HOST:PORT/MODEL")
    return parts.scheme, parts.netloc, parts.path.strip("/") or None


def _pixels(images, ranks):
    images = np.asarray(images)
    is_right = images.dtype in (np.uint8, np.float32) and images.ndim in ranks and 0 not in images.shape
    if not is_right or images.shape[-1] > MAX_CHANNELS:
        raise ValueError(
            "images must be [N, H, W, C], uint8 or float32 as the model was trained on, received "
            f"{images.dtype} {list(images.shape)}."
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
