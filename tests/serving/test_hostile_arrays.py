"""No server is believed: arrays, labels and overlays that are not those of a request are errors."""

import contextlib
import json
import tracemalloc

import cv2
import numpy as np
import pytest

from keras_seg.cli import main
from keras_seg.serving import Client, ServerError
from tests.serving.hostile_responses import field, response, tensor, varint
from tests.serving.hostile_servers import BAD, GOOD, HEIGHT, MASK, NUM_CLASSES, WIDTH, http, message_of

IMAGE = np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)
# By output: what its array is, and what else may come.
ZEROS = np.zeros((1, HEIGHT, WIDTH), np.uint8)
LOGITS = np.zeros((1, HEIGHT, WIDTH, NUM_CLASSES), np.float32)
ARRAYS = {"predict": {"mask": ZEROS, "confidence": ZEROS}, "logits": {"logits": LOGITS}}
WRONG_SHAPES = {
    "one row more": lambda right: np.repeat(right, 2, 1)[:, : HEIGHT + 1],
    "one column less": lambda right: right[:, :, 1:],
    "on its side": lambda right: right.swapaxes(1, 2),
    "two images": lambda right: np.repeat(right, 2, 0),
    "no images": lambda right: right[:0],
    "a rank less": lambda right: right[0],
    "a rank more": lambda right: right[None],
    "flat": lambda right: right.ravel(),
    "one value": lambda right: right.ravel()[0],
    "bool": lambda right: right.astype(bool),
    "strings": lambda right: np.array([b"text"], object),
}
# JSON has one kind of whole number.
WRONG_INTEGERS = {
    "int32": lambda right: right.astype("int32"),
    "int64": lambda right: right.astype("int64"),
    "the other kind": lambda right: right.astype("float32" if right.dtype == np.uint8 else "uint8"),
}
WRONG_VALUES = {
    "mask": [np.full_like(ZEROS, value) for value in (NUM_CLASSES, 200, 255)],
    "confidence": [np.full_like(ZEROS, value, np.float32) for value in (0.5, -1.5, np.nan)],
    "logits": [np.full_like(LOGITS, value) for value in (np.nan, np.inf, -np.inf)],
}


def wrong_arrays(kinds):
    cases = []
    for method, right in ARRAYS.items():
        for name, array in right.items():
            wrong = {what: make(array) for what, make in kinds.items()}
            wrong |= {str(value.flat[0]): value for value in WRONG_VALUES[name]}
            for what, value in wrong.items():
                cases.append(pytest.param(method, {**right, name: value}, name, id=f"{name}: {what}"))
            without = {other: array for other, array in right.items() if other != name}
            cases.append(pytest.param(method, without, name, id=f"{name}: missing"))
    return cases


def assert_wrong(server, method, name):
    with Client(server.address, "m", retries=0) as client, pytest.raises(ServerError) as caught:
        getattr(client, method)(IMAGE)
    assert "sent a wrong response" in str(caught.value) and name in str(caught.value)


@pytest.mark.parametrize(("method", "outputs", "name"), wrong_arrays(WRONG_SHAPES | WRONG_INTEGERS))
def test_a_wrong_array_by_grpc_is_an_error_that_names_it(method, outputs, name, grpc_port):
    grpc_port.hostile = message_of(**outputs)
    assert_wrong(grpc_port, method, name)


@pytest.mark.parametrize(("method", "outputs", "name"), wrong_arrays(WRONG_SHAPES))
def test_a_wrong_array_by_rest_is_an_error_that_names_it(method, outputs, name, http_port):
    columns = {name: array.tolist() for name, array in outputs.items()}
    http_port.hostile = http(json.dumps({"outputs": columns}, default=bytes.decode).encode())
    assert_wrong(http_port, method, name)


PIXELS = HEIGHT * WIDTH
VALUES = {
    "an array without values": b"",
    "more values than pixels": field(7, bytes(PIXELS + 1)),
    "a value above 255": field(7, bytes(PIXELS - 1) + varint(256)),
    "a value below 0": field(7, bytes(PIXELS - 1) + varint(2**64 - 256)),
    "a value without an end": field(7, bytes(PIXELS - 1) + b"\x80"),
    "values without an end": field(7, b"\x80" * PIXELS),
    "a value of 11 bytes": field(7, bytes(PIXELS - 1) + b"\x80" * 10 + b"\x01"),
    "a value of half a million bytes": field(7, b"\x80" * 500_000 + b"\x01"),
    "values as they lie in memory, one less": field(4, bytes(PIXELS - 1) + b"\x09"),
    "values as they lie in memory, one more": field(4, bytes(PIXELS + 1)),
    "values of another field": field(5, bytes(PIXELS * 4)),
}


@pytest.mark.parametrize("rest", VALUES.values(), ids=VALUES)
def test_values_that_are_not_those_of_their_array_are_an_error(rest, grpc_port):
    mask = response(tensor(4, (1, HEIGHT, WIDTH), rest=rest), b"mask")
    grpc_port.hostile = mask + response(
        tensor(4, (1, HEIGHT, WIDTH), rest=field(7, bytes(PIXELS))), b"confidence"
    )
    with (
        Client(grpc_port.address, "m") as client,
        pytest.raises(ServerError, match=r"wrong response \(mask has"),
    ):
        client.predict(IMAGE)


@contextlib.contextmanager
def traced_memory():
    peak = []
    tracemalloc.start()
    try:
        yield peak
    finally:
        peak.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()


@pytest.mark.parametrize(
    "shape", [(2**40,), (1, 2**31), (2**32, 2**32), (-1,), (1,) * 300, (2**62,) * 10_000]
)
def test_nothing_is_allocated_for_a_shape_that_is_only_claimed(shape, grpc_port):
    grpc_port.hostile = response(tensor(4, shape, rest=field(7, b"\x01")), b"mask")
    with Client(grpc_port.address, "m") as client:
        client.labels()
        for ask in (lambda: client.predict(IMAGE), lambda: client.call("any", {"images": IMAGE}, ("mask",))):
            for _ in range(2):  # What the first makes once for all is not of the claim.
                with (
                    pytest.raises(
                        ServerError, match=r"mask (has the (impossible )?shape|claims to have more)"
                    ),
                    traced_memory() as peak,
                ):
                    ask()
            assert peak.pop() < 1 << 20


@pytest.mark.parametrize("empty", ["[]", "{}"])
def test_a_text_of_many_lists_is_not_unpacked(empty, http_port):
    text = f'{{"outputs": [{", ".join([empty] * 200_000)}]}}'
    http_port.hostile = http(text.encode())
    with Client(http_port.address, "m") as client:
        client.labels()
        with pytest.raises(ServerError), traced_memory() as peak:
            client.mask(BAD)
    assert peak.pop() < 6 * len(text)  # Each of them would take 64 bytes, the text four.


OVERLAYS = {
    "PNG": MASK,
    "cut off": cv2.imencode(".jpg", IMAGE[0])[1].tobytes()[:-100],
    "another size": cv2.imencode(".jpg", IMAGE[0, 1:])[1].tobytes(),
    "no bytes": b"",
}


@pytest.mark.parametrize("contents", OVERLAYS.values(), ids=OVERLAYS)
def test_a_file_that_is_no_overlay_is_an_error(contents, grpc_port):
    grpc_port.hostile = message_of(overlay_bytes=contents)
    with Client(grpc_port.address, "m") as client, pytest.raises(ServerError, match="overlay_bytes is"):
        client.overlay(BAD)


def test_a_mask_of_what_is_no_image_is_an_error(grpc_port):
    grpc_port.hostile = message_of(mask_bytes=MASK)
    with (
        Client(grpc_port.address, "m") as client,
        pytest.raises(ServerError, match="its image of unknown size"),
    ):
        client.mask(b"no image")


COLORS = np.zeros((NUM_CLASSES, 3), int).tolist()
WRONG_LABELS = {
    "no colors": {"classes": [list("abcde")]},
    "no classes": {"classes": [[]], "colors": [[]]},
    "a color less": {"classes": [list("abcde")], "colors": [COLORS[1:]]},
    "two channels": {"classes": [list("abcde")], "colors": [[color[1:] for color in COLORS]]},
    "a color of 256": {"classes": [list("abcde")], "colors": [[[256, 0, 0], *COLORS[1:]]]},
    "257 classes": {"classes": [["a"] * 257], "colors": [[[0, 0, 0]] * 257]},
    "names that are numbers": {"classes": [[1, 2, 3, 4, 5]], "colors": [COLORS]},
    "names that are no text": {"classes": [[{"b64": "//8="}] * 5], "colors": [COLORS]},
    "lists of two queries": {"classes": [list("abcde")] * 2, "colors": [COLORS] * 2},
}


@pytest.mark.parametrize("outputs", WRONG_LABELS.values(), ids=WRONG_LABELS)
def test_predict_py_asks_for_nothing_where_the_labels_are_wrong(
    outputs, http_port, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(http_port, "labels", http(json.dumps({"outputs": outputs}).encode()))
    image, output = tmp_path / "good.png", tmp_path / "masks"
    image.write_bytes(GOOD)
    argv = [str(image), "--server", f"{http_port.address}/m", "--output", str(output)]
    assert main(argv, program="predict.py") == 2
    assert "sent a wrong response" in capsys.readouterr().err
    assert list(output.iterdir()) == []
