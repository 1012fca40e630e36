"""The whole loop with a Label Studio server: predictions go in, corrections come out, and are trained on.

`LABEL_STUDIO` names its command in an environment of its own; CONTRIBUTING.md says how to make one. It
listens on the loopback interface alone.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from keras_seg import Run
from keras_seg.cli import main
from keras_seg.data import read_mask
from keras_seg.data.annotation.brush import decode_brush, encode_brush
from keras_seg.data.annotation.label_studio import labeling_config
from keras_seg.labeling.server import Labeler, make_server
from tests.data.test_annotation import convert

TOKEN = "0123456789abcdef0123456789abcdef01234567"
_SECONDS_TO_START = 600  # It makes its data base first.
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif("LABEL_STUDIO" not in os.environ, reason="LABEL_STUDIO names no command"),
]


class Server:
    """A server's API, and the folder whose files it serves."""

    def __init__(self, address, files):
        self.address, self.files = address, files

    def ask(self, path, body=None):
        """Returns the bytes of a response, to a POST where there is a body."""
        headers = {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.code}: {error.read()[:500]}") from None

    def json(self, path, body=None):
        return json.loads(self.ask(path, body))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("label-studio")
    files = folder / "files"
    files.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder / "data"),
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(files),
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "ML_BLOCK_LOCAL_IP": "false",  # Our server, too, is on the loopback interface.
        "SSRF_PROTECTION_ENABLED": "false",  # And so is the webhook that Label Studio adds to it.
    }
    environment.pop("PYTHONPATH", None)
    words = ["start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)]
    words += ["--username", "somebody@example.com", "--password", "Loopback-1", "--user-token", TOKEN]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [os.environ["LABEL_STUDIO"], *words], env=environment, stdout=log, stderr=log, cwd=folder
        )
    try:
        started = Server(f"http://127.0.0.1:{port}", files)
        _wait(started, process, folder / "log")
        yield started
    finally:
        process.terminate()
        process.wait(30)


def _wait(server, process, log):
    end = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError, AssertionError):
            server.json("/api/version")
            return
        time.sleep(1)
    pytest.fail(log.read_text(errors="replace")[-2000:])


def test_predictions_are_shown_corrected_and_trained_on(server, run, tmp_path):
    data = Path(run.config["data"])
    photos = server.files / "photos"
    shutil.copytree(data / "images/val", photos)
    words = ["--run", str(run.path), "--output", str(tmp_path / "out"), "--annotations", "label-studio"]
    words += ["--image-prefix", "/data/local-files/?d=photos/"]
    assert main([str(photos), *words], program="predict.py") == 0
    written = json.loads((tmp_path / "out/annotations/label-studio.json").read_text())

    # A project with our configuration, which the server checks, takes the tasks with their predictions.
    config = (tmp_path / "out/annotations/label-studio.xml").read_text()
    project = server.json("/api/projects/", {"title": "shapes", "label_config": config})["id"]
    storage = {"project": project, "title": "photos", "path": str(photos), "use_blob_urls": True}
    server.json("/api/storages/localfiles/", storage)
    answer = server.json(f"/api/projects/{project}/import", written)
    assert (answer["task_count"], answer["prediction_count"]) == (3, 3)

    # The server shows the images to the byte, and the predictions with regions and scores as they are.
    tasks = server.json(f"/api/tasks/?project={project}&fields=all")["tasks"]
    assert len(tasks) == 3
    ids = {}
    for task in tasks:
        shown = server.json(f"/api/tasks/{task['id']}/")
        (expected,) = (each for each in written if each["data"] == shown["data"])
        (prediction,), (wanted,) = shown["predictions"], expected["predictions"]
        assert prediction["result"] == wanted["result"] and prediction["model_version"] == "unet"
        assert prediction["score"] == pytest.approx(wanted["score"])
        name = shown["data"]["image"].rpartition("/")[2]
        assert server.ask(shown["data"]["image"]) == (photos / name).read_bytes()
        ids[Path(name).stem] = task["id"]

    # Somebody corrects two of the three into what is true.
    truth = {path.stem: read_mask(path) for path in (data / "masks/val").iterdir()}
    corrected = sorted(ids)[:2]
    for stem in corrected:
        body = {"result": list(_results(truth[stem], run.classes)), "lead_time": 1.0}
        server.json(f"/api/tasks/{ids[stem]}/annotations/", body)

    # They come back as the same pixels; the run has no background, so that what nobody drew is ignored.
    exported = tmp_path / "export.json"
    exported.write_bytes(
        server.ask(f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true")
    )
    shutil.copytree(photos, tmp_path / "photos")
    classes, back = convert(tmp_path, exported, "--run", str(run.path))
    assert classes == run.classes and sorted(back) == corrected
    for stem in corrected:
        np.testing.assert_array_equal(back[stem], truth[stem])

    # And a training goes on from the run with them.
    flags = ["--data", tmp_path / "back", "--init-from", run.path, "--model", "unet", "--image-size", 32, 32]
    flags += ["--epochs", 1, "--batch-size", 1, "--weights", "none", "--output", tmp_path / "next"]
    assert main([str(flag) for flag in flags], program="train.py") == 0
    assert Run.open(tmp_path / "next").best_path.is_file()


def test_label_studio_asks_our_server(server, run, tmp_path):
    photos = server.files / "asked"
    shutil.copytree(Path(run.config["data"]) / "images/val", photos)
    predictor = run.predictor()
    config = labeling_config(run.classes, run.colors).decode()
    project = server.json("/api/projects/", {"title": "asked", "label_config": config})["id"]
    storage = {"project": project, "title": "photos", "path": str(photos), "use_blob_urls": True}
    server.json("/api/storages/localfiles/", storage)
    names = sorted(path.name for path in photos.iterdir())
    wanted = [{"data": {"image": f"/data/local-files/?d=asked/{name}"}} for name in names]
    server.json(f"/api/projects/{project}/import", wanted)
    with make_server(Labeler(predictor, photos, "version 7"), "secret", port=0) as ours:
        threading.Thread(target=ours.serve_forever, daemon=True).start()
        backend = {"project": project, "title": "ours", "url": f"http://127.0.0.1:{ours.server_address[1]}"}
        backend |= {"auth_method": "BASIC_AUTH", "basic_auth_user": "anybody", "basic_auth_pass": "secret"}
        added = server.json("/api/ml/", backend)
        assert added["readable_state"] in ("Connected", "Disconnected")
        chosen = {"selectedItems": {"all": True, "excluded": []}, "project": project}
        server.json(f"/api/dm/actions?id=retrieve_tasks_predictions&project={project}", chosen)
        ours.shutdown()
    for task in server.json(f"/api/tasks/?project={project}&fields=all")["tasks"]:
        shown = server.json(f"/api/tasks/{task['id']}/")
        (prediction,) = shown["predictions"]
        mask = predictor.predict(photos / shown["data"]["image"].rpartition("/")[2]).mask
        assert prediction["model_version"] == "version 7"
        back = np.full(mask.shape, 255, np.uint8)
        for result in prediction["result"]:
            label = run.classes.index(result["value"]["brushlabels"][0])
            back[decode_brush(result["value"]["rle"], mask.shape)] = label
        np.testing.assert_array_equal(back, mask)


def _results(mask, classes):
    height, width = mask.shape
    for index in np.unique(mask):
        if index != 255:
            yield {
                "id": f"by-hand-{index}",
                "type": "brushlabels",
                "from_name": "brush",
                "to_name": "image",
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "value": {
                    "format": "rle",
                    "rle": encode_brush(mask == index),
                    "brushlabels": [classes[index]],
                },
            }
