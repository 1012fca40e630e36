"""No server is believed: what one sends for an image is that image's error, and the others are labeled."""

import time

import cv2
import numpy as np
import pytest

from keras_seg.cli import main
from keras_seg.serving import Client, ServerError
from keras_seg.serving.remote import predict_files
from tests.serving.hostile_responses import (
    CALLS,
    ENDLESS,
    FILES,
    HEAD,
    IDS,
    MESSAGES,
    RESPONSES,
    RIGHT,
    SLOW,
    chunk,
    raw_png,
)
from tests.serving.hostile_servers import BAD, GOOD, MASK, drip, http, json_of, message_of


@pytest.fixture
def images(tmp_path):
    paths = tmp_path / "bad.png", tmp_path / "good.png"
    for path, contents in zip(paths, (BAD, GOOD), strict=True):
        path.write_bytes(contents)
    return paths


def the_line_of_the_bad_image(server, images, timeout=20.0, **options):
    """Labels both images, and returns what is said of the bad one; the good one has its mask."""
    output = images[0].parent / "masks"
    with Client(server.address, "m", timeout=timeout, retries=0) as client:
        (line,) = predict_files(client, images, output, **options)
    assert line.startswith(f"{images[0]}: {server.address}: ")
    assert line.isprintable() and len(line) < 1000
    assert [path.name for path in output.rglob("*.*") if path.stem != "good"] == []
    np.testing.assert_array_equal(cv2.imread(str(output / "good.png"), cv2.IMREAD_UNCHANGED), IDS)
    return line


@pytest.mark.parametrize("sent", RESPONSES.values(), ids=RESPONSES)
def test_a_response_by_rest_that_is_no_mask_is_one_line(sent, http_port, images):
    http_port.hostile = sent
    the_line_of_the_bad_image(http_port, images)


@pytest.mark.parametrize("sent", [*MESSAGES.values(), *CALLS.values()], ids=[*MESSAGES, *CALLS])
def test_a_response_by_grpc_that_is_no_mask_is_one_line(sent, grpc_port, images):
    grpc_port.hostile = sent
    the_line_of_the_bad_image(grpc_port, images)


def seconds_until_error(client, text, timeout=0.3):
    client.labels()
    client.timeout = timeout
    begin = time.monotonic()
    with pytest.raises(ServerError, match=text):
        client.mask(BAD)
    return time.monotonic() - begin


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
def test_a_response_that_drips_takes_no_longer_than_its_time(sent, http_port):
    http_port.hostile = sent
    with Client(http_port.address, "m") as client:
        assert 0.3 <= seconds_until_error(client, "gave no answer in time") < 3


def test_a_call_without_a_response_takes_no_longer_than_its_time(grpc_port):
    grpc_port.hostile = lambda context: time.sleep(1)
    with Client(grpc_port.address, "m") as client:
        assert 0.2 < seconds_until_error(client, "gave no answer in time") < 1


def test_tries_again_take_no_longer_than_the_time_of_one(http_port):
    http_port.hostile = http(b"", "503 Busy")
    with Client(http_port.address, "m", retries=100) as client:
        assert seconds_until_error(client, "cannot be reached") < 3


@pytest.mark.parametrize("sent", ENDLESS.values(), ids=ENDLESS)
def test_a_response_without_an_end_is_read_no_further_than_it_may_be_long(sent, http_port, images):
    http_port.hostile = sent
    line = the_line_of_the_bad_image(http_port, images)
    assert "longer than" in line or "cannot be reached" in line  # Of headers there are too many first.


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith("class")])
def test_a_file_that_is_no_confidence_is_one_line(name, grpc_port, images):
    grpc_port.hostile = message_of(mask_bytes=MASK, confidence_bytes=FILES[name])
    assert "confidence_bytes" in the_line_of_the_bad_image(grpc_port, images, confidence=True)


@pytest.mark.parametrize(
    ("name", "text"),
    {
        "HTML": "mask_bytes is no grey PNG of 8 bits: b'<html>gateway</html>'",
        "one row more": "mask_bytes is 12 x 11 large, and its image 12 x 10",
        "class 200": "mask_bytes has class 200, of a model with 5 classes",
    }.items(),
)
def test_a_line_says_what_was_wrong(name, text, http_port, images):
    http_port.hostile = http(json_of(mask_bytes=FILES[name]))
    assert text in the_line_of_the_bad_image(http_port, images)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (http(b"<html>gateway</html>"), "does not speak TensorFlow Serving's protocol"),
        (http(b""), "does not speak TensorFlow Serving's protocol"),
        (http(json_of(mask_bytes=FILES["class 200"])), "has class 200"),
        (lambda: drip(HEAD + b"\r\n", b" "), "gave no answer in time"),
    ],
)
def test_predict_py_labels_the_other_images_and_ends_with_an_error(sent, text, http_port, images, capsys):
    http_port.hostile = sent
    output = images[0].parent / "masks"
    flags = ["--server", f"{http_port.address}/m", "--output", str(output), "--timeout", "2", "--overlay"]
    assert main([str(images[0]), str(images[1]), *flags], program="predict.py") == 2
    captured = capsys.readouterr()
    assert "1 of 2 images labeled" in captured.out
    (line,) = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert str(images[0]) in line and http_port.address in line and text in line
    assert sorted(str(path.relative_to(output)) for path in output.rglob("*.*")) == [
        "good.png",
        "overlays/good.jpg",
    ]


def test_a_body_of_a_mask_is_read_whatever_its_headers_call_it(http_port):
    http_port.hostile = http(RIGHT, "200 OK", "Content-Type: text/html")
    with Client(http_port.address, "m") as client:
        np.testing.assert_array_equal(client.mask(BAD), IDS)


def test_what_a_server_s_file_holds_beside_its_pixels_is_not_kept(grpc_port, images):
    grpc_port.hostile = message_of(mask_bytes=raw_png(before=chunk(b"tEXt", b"a\0<script>")))
    with Client(grpc_port.address, "m") as client:
        assert predict_files(client, images, images[0].parent / "masks") == []
    mask = images[0].parent / "masks" / "bad.png"
    assert b"script" not in mask.read_bytes()
    np.testing.assert_array_equal(cv2.imread(str(mask), cv2.IMREAD_UNCHANGED), np.zeros_like(IDS))
