"""Clients that are slow, go away, cancel, or come sixty-four at once: the others get their masks."""

import contextlib
import json
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import grpc
import numpy as np

from keras_seg.serving import Client
from keras_seg.serving.protocol import predict_request
from tests.attack.case import ANSWERED, Case, pick
from tests.attack.requests import memory
from tests.serving.helpers import NAME, encoded, picture, strings

__all__ = ["ask", "case", "memory"]
IN_CHILD, NEEDS_SERVER, COUNT, SECONDS = False, True, 24, 60.0
IMAGES = [encoded(picture(24 + seed, 40, seed)) for seed in range(8)]
HALF_A_REQUEST = (
    f"POST /v1/models/{NAME}:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n{{".encode()
)
HALF_A_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(5)
_MOST_SECONDS = 30  # For a sound request beside them


def case(random, number):
    """A way of being a nuisance, a number of such clients, and the bytes that they send before they stop."""
    way = ("slow", "gone", "cancelled", "at once")[number % 4]
    settings = {"way": way, "clients": 64 if way == "at once" else int(random.integers(1, 49))}
    if way in ("slow", "gone"):
        settings["port"], sent = pick(random, (("rest", HALF_A_REQUEST), ("grpc", HALF_A_GREETING)))
        settings["bytes"] = int(random.integers(len(sent) + 1))
    return Case(f"{settings['clients']} {way}", json.dumps(settings).encode(), ".json")


def ask(case, place):
    """Asks for a mask by both ports while the clients are there, and compares it with that asked alone."""
    settings = json.loads(case.contents)
    alone = _masks(place, IMAGES[:1])[0]
    with contextlib.ExitStack() as stack:
        _WAYS[settings["way"]](place, settings, stack)
        begin = time.monotonic()
        for address in (place.grpc, place.rest):
            with Client(address, NAME, timeout=_MOST_SECONDS, retries=0) as client:
                np.testing.assert_array_equal(client.mask(IMAGES[0]), alone)
        assert time.monotonic() - begin < _MOST_SECONDS
    return ANSWERED


def _masks(place, images, at_once=1):
    with Client(place.grpc, NAME, timeout=SECONDS, retries=0) as client, ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(client.mask, images))


def connection(address):
    """A socket to an address of the server, by gRPC or REST."""
    parts = urlsplit(address if "//" in address else f"//{address}")
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


def _send_half(place, settings, stack):
    sent = {"rest": HALF_A_REQUEST, "grpc": HALF_A_GREETING}[settings["port"]][: settings["bytes"]]
    for _ in range(settings["clients"]):
        half = stack.enter_context(connection(getattr(place, settings["port"])))
        half.sendall(sent)
        yield half


def _slow(place, settings, stack):
    list(_send_half(place, settings, stack))


def _gone(place, settings, stack):
    for half in _send_half(place, settings, stack):
        reset(half)


def reset(connection):
    """Goes away without a farewell."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _cancelled(place, settings, stack):
    message = predict_request(NAME, "bytes", {"image_bytes": strings(IMAGES[0])}).SerializeToString()
    channel = stack.enter_context(grpc.insecure_channel(place.grpc))
    predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    for call in [predict.future(message, timeout=60) for _ in range(settings["clients"])]:
        call.cancel()


def _at_once(place, settings, stack):
    alone = _masks(place, IMAGES)
    images = IMAGES * (settings["clients"] // len(IMAGES))
    for index, mask in enumerate(_masks(place, images, settings["clients"])):
        np.testing.assert_array_equal(mask, alone[index % len(IMAGES)])


_WAYS = {"slow": _slow, "gone": _gone, "cancelled": _cancelled, "at once": _at_once}
