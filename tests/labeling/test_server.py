"""The labeling server answers Label Studio's requests, and refuses what it should not answer."""

import base64
import http.client
import json
import shutil
import socket
import struct
import threading
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from keras_seg.cli import main
from keras_seg.data import read_image
from keras_seg.data.annotation.brush import decode_brush
from keras_seg.data.annotation.label_studio import labeling_config
from keras_seg.labeling import server as server_module
from keras_seg.labeling.server import Labeler, make_server

TOKEN = "loopback"


def authorization(token=TOKEN):
    return {"Authorization": "Basic " + base64.b64encode(f"anybody:{token}".encode()).decode()}


@pytest.fixture(scope="module")
def served(run, tmp_path_factory):
    """A server on a free port: its address, the folder of its images, and the lines that it noted."""
    folder = tmp_path_factory.mktemp("served")
    images = folder / "images"
    shutil.copytree(Path(run.config["data"]) / "images" / "val", images / "photos")
    secret = folder / "secret.png"
    shutil.copy(next((images / "photos").iterdir()), secret)
    (images / "link.png").symlink_to(secret)
    noted = []
    labeler = Labeler(run.predictor(), images, "version 1", noted.append)
    with make_server(labeler, TOKEN, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address, images, noted
        server.shutdown()
        thread.join()


def ask(served, path, content=None, headers=None, method=None):
    """Returns the status and the JSON of a response."""
    connection = http.client.HTTPConnection(*served[0])
    body = content if isinstance(content, bytes | None) else json.dumps(content).encode()
    connection.request(method or ("GET" if body is None else "POST"), path, body, headers or authorization())
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def tasks(*names):
    return [{"id": number, "data": {"image": name}} for number, name in enumerate(names)]


@pytest.fixture(scope="module")
def config(run):
    return labeling_config(run.classes, run.colors).decode()


def test_a_task_is_answered_with_the_predictors_mask(served, run, config):
    names = sorted(path.name for path in (served[1] / "photos").iterdir())
    addresses = [f"/data/local-files/?d=files/photos/{names[0]}", f"/data/upload/3/0a1b2c3d-{names[1]}"]
    shutil.copy(served[1] / "photos" / names[1], served[1] / names[1])
    status, content = ask(served, "/predict", {"tasks": tasks(*addresses), "label_config": config})
    assert status == 200 and len(content["results"]) == 2
    for name, prediction in zip(names, content["results"], strict=False):
        mask, confidence = run.predictor().predict(read_image(served[1] / "photos" / name))
        assert prediction["model_version"] == "version 1" and 0 < prediction["score"] <= 1
        back = np.full(mask.shape, 255, np.uint8)
        for result in prediction["result"]:
            pixels = decode_brush(result["value"]["rle"], mask.shape)
            (label,) = result["value"]["brushlabels"]
            assert result["score"] == pytest.approx(confidence[pixels].mean(), abs=1e-3)
            back[pixels] = run.classes.index(label)
        np.testing.assert_array_equal(back, mask)


def test_names_and_labels_are_those_of_the_configuration(served, run, config):
    name = next((served[1] / "photos").iterdir()).name
    root = ElementTree.fromstring(config)
    root.find("Image").attrib |= {"name": "photo", "value": "$url"}
    brush = root.find("BrushLabels")
    brush.attrib |= {"name": "areas", "toName": "photo"}
    mask = run.predictor().predict(read_image(served[1] / "photos" / name)).mask
    kept = run.classes[int(np.bincount(mask.ravel()).argmax())]
    for label in list(brush):
        if label.get("value") != kept:
            brush.remove(label)
    own = ElementTree.tostring(root).decode()
    request = {"tasks": [{"data": {"url": f"photos/{name}"}}], "label_config": own}
    status, content = ask(served, "/predict", request)
    (result,) = content["results"][0]["result"]
    assert status == 200 and (result["from_name"], result["to_name"]) == ("areas", "photo")
    assert result["value"]["brushlabels"] == [kept]


def test_health_and_setup(served, config):
    assert ask(served, "/health") == (200, {"status": "UP", "model_class": "unet"})
    request = {"project": "1.2", "schema": config, "access_token": "x"}
    assert ask(served, "/setup", request) == (200, {"model_version": "version 1"})
    status, content = ask(served, "/setup", {"project": "1.2", "schema": "<View/>"})
    assert status == 400 and "no BrushLabels" in content["error"]
    assert ask(served, "/train", {})[0] == 404


@pytest.mark.parametrize(
    "headers", [{"X": "1"}, authorization("wrong"), {"Authorization": "Basic ???"}, authorization("é")]
)
def test_who_has_no_token_learns_nothing(served, headers):
    for path in ("/health", "/predict", "/none"):
        assert ask(served, path, headers=headers) == (401, {"error": "wrong or no token"})


@pytest.mark.parametrize(
    "address",
    [
        "../secret.png", "/data/local-files/?d=../secret.png", "link.png", "photos/../../secret.png",
        "/etc/passwd", "file:///etc/shadow.png", "http://127.0.0.1/secret.png", "%2e%2e/secret.png",
        "a\0.png", "http://[bad.png", f"{'a' * 5000}.png", "", 7, None,
    ],
)  # fmt: skip
def test_no_file_outside_the_folder_is_read(served, config, address):
    status, content = ask(served, "/predict", {"tasks": tasks(address), "label_config": config})
    assert status == 400 and list(content) == ["error"] and "\n" not in content["error"]


def test_an_image_that_cannot_be_read_is_a_line_and_an_empty_prediction(served, config):
    name = next((served[1] / "photos").iterdir()).name
    request = {"tasks": tasks("missing.png", f"photos/{name}"), "label_config": config}
    status, content = ask(served, "/predict", request)
    assert status == 200 and content["results"][0]["result"] == [] and content["results"][1]["result"]
    assert "missing.png" in served[2][-1] and "\n" not in served[2][-1]


def test_an_image_of_too_many_pixels_is_refused_by_its_header(served, config, monkeypatch):
    header = struct.pack(">IIBBBBB", 20000, 5000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    (served[1] / "large.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + bytes(100))
    status, content = ask(served, "/predict", {"tasks": tasks("large.png"), "label_config": config})
    assert status == 400 and "5000 x 20000 pixels" in content["error"].replace("20000 x 5000", "5000 x 20000")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "must be an object"),
        ({"tasks": []}, "tasks must be a list of 1 to 1000"),
        ({"tasks": [{}] * 1001}, "tasks must be a list of 1 to 1000"),
        ({"tasks": [{}]}, "no labeling configuration"),
        ({"tasks": [{}], "label_config": "<!DOCTYPE a [<!ENTITY b 'c'>]><View/>"}, "document type"),
        ({"tasks": [{}], "label_config": "<View>"}, "not XML"),
    ],
)
def test_a_malformed_request_is_one_line(served, content, text):
    status, answer = ask(served, "/predict", content)
    assert status == 400 and text in answer["error"] and "\n" not in answer["error"]


def test_a_request_is_refused_by_its_length_before_it_is_read(served):
    headers = authorization() | {"Content-Length": str(1 << 40)}
    assert ask(served, "/predict", b"{}", headers)[0] == 400
    assert ask(served, "/predict", b"{}", authorization() | {"Content-Length": "-1"})[0] == 400


def test_clients_that_wait_or_go_away_end_nothing(served, monkeypatch):
    waiting = [socket.create_connection(served[0]) for _ in range(server_module.MAX_CONNECTIONS)]
    for each in waiting:
        each.sendall(b"POST /predict HTTP/1.1\r\n")
        each.close()
    while True:  # Until they are seen to be gone.
        try:
            assert ask(served, "/health")[0] == 200
            break
        except (ConnectionError, http.client.HTTPException):
            continue


def test_a_request_that_never_ends_is_given_up(served, monkeypatch):
    monkeypatch.setattr(server_module, "SECONDS", 0.2)
    with socket.create_connection(served[0]) as slow:
        headers = authorization() | {"Content-Length": "100"}
        lines = ["POST /predict HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", "{"]
        slow.sendall("\r\n".join(lines).encode())
        assert slow.recv(1 << 16).startswith(b"HTTP/1.0 400")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--images", "nowhere"], "nowhere: no such folder"),
        (["--images", ".", "--port", "70000"], "--port must be from 0 to 65535"),
        (["--images", ".", "--host", "no.such.host.invalid"], "cannot be listened on"),
    ],
)
def test_wrong_use_is_one_line(run, capsys, words, text):
    assert main(["label-server", "--run", str(run.path), *words]) == 2
    error = capsys.readouterr().err
    assert text in error and error.count("\n") == 1
