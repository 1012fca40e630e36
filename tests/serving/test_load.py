"""What many clients, and those that are slow or go away, do to a server: nothing to the others."""

import contextlib
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import grpc
import numpy as np
import pytest

from keras_seg.serving import Client
from keras_seg.serving.protocol import predict_request
from tests.serving.helpers import NAME, encoded, picture, running_server, strings

IMAGES = [encoded(picture(24 + seed, 40, seed)) for seed in range(8)]
AT_ONCE = 64


@pytest.fixture(params=["grpc", "rest"])
def client(request):
    with Client(getattr(running_server(), request.param), NAME) as client:
        yield client


def test_sixty_four_requests_at_once_get_the_masks_that_each_gets_alone(client):
    alone = [client.mask(image) for image in IMAGES]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        masks = list(pool.map(client.mask, IMAGES * (AT_ONCE // len(IMAGES))))
    for index, mask in enumerate(masks):
        np.testing.assert_array_equal(mask, alone[index % len(IMAGES)])


def rest_socket():
    parts = urlsplit(running_server().rest)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


HALF_A_REQUEST = (
    f"POST /v1/models/{NAME}:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n{{".encode()
)


def test_clients_that_send_half_a_request_and_wait_do_not_hold_up_the_others(client):
    server = urlsplit(f"//{running_server().grpc}")
    with contextlib.ExitStack() as stack:
        for _ in range(16):
            stack.enter_context(rest_socket()).sendall(HALF_A_REQUEST)
            half = stack.enter_context(socket.create_connection((server.hostname, server.port), timeout=10))
            half.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(5))
        assert client.mask(IMAGES[0]).shape == (24, 40)


def test_requests_that_are_cancelled_do_not_hold_up_the_others(client):
    message = predict_request(NAME, "bytes", {"image_bytes": strings(IMAGES[0])}).SerializeToString()
    with grpc.insecure_channel(running_server().grpc) as channel:
        predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        calls = [predict.future(message, timeout=60) for _ in range(32)]
        assert sum(call.cancel() for call in calls) > 0
    for _ in range(8):
        with rest_socket() as connection:
            connection.sendall(HALF_A_REQUEST)
            # Gone without a farewell: a reset.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert client.mask(IMAGES[0]).shape == (24, 40)
