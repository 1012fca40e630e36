"""A server for Label Studio's machine-learning backend protocol: it answers a task with a run's mask.

The protocol is that of the package label-studio-ml: POST /setup with a project's labeling configuration, POST
/predict with tasks, GET /health. A person may send anything here, so that requests, images and connections
are bounded, images are read from one folder alone, and whoever asks needs the token.
"""

import base64
import binascii
import contextlib
import hmac
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from keras_seg.data import Sample, read_image
from keras_seg.data.annotation.label_studio import find_task_image, write_prediction
from keras_seg.data.annotation.polygons import regions
from keras_seg.data.annotation.shapes import BACKGROUNDS, Export, PredictedImage, reading
from keras_seg.data.annotation.xml_files import parse_xml
from keras_seg.data.formats.reading import image_size
from keras_seg.errors import InputError, spelled_out
from keras_seg.texts import readable

MAX_BYTES = 1 << 25  # Of a request: tasks come with the annotations that people drew.
MAX_TASKS = 1000
MAX_PIXELS = 1 << 26
MAX_CONNECTIONS = 16
SECONDS = 60  # In which a client has to have sent its request.
_REQUEST = Path("request")  # What messages call it.


class _Tags(NamedTuple):
    """Names in a labeling configuration: of the brush, of its image, of the task's key, and of the labels."""

    brush: str
    image: str
    key: str
    labels: frozenset


class Labeler:
    """Answers requests with a run's masks.

    Args:
        predictor: Predictor.
        images: folder of the images; no file elsewhere is read.
        version: what the tool calls the model.
        note: function that is given a line for each image that could not be predicted.

    Raises:
        InputError: there is no such folder.
    """

    def __init__(self, predictor, images, version, note=print):
        self._predictor, self._version, self._note = predictor, version, note
        self._images = Path(images).resolve()
        if not self._images.is_dir():
            raise InputError(f"{images}: no such folder; name the one that holds the images")
        classes = predictor.classes
        self._drawn = [index for index in range(len(classes)) if index or classes[0] not in BACKGROUNDS]
        colors = [tuple(map(int, color)) for color in predictor.colors]
        self._export = Export(classes, colors, self._images, "masks", model=version)
        self._turn = threading.Lock()  # One image at a time has the memory.

    def health(self, _):
        """Says that the server is there."""
        return {"status": "UP", "model_class": self._predictor.model.name}

    def setup(self, request):
        """Looks at a project's labeling configuration; raises InputError where no mask could be drawn."""
        self._tags(request.get("schema"))
        return {"model_version": self._version}

    def predict(self, request):
        """Returns a prediction for each task; of an image that cannot be predicted, an empty one.

        Raises:
            InputError: the request is malformed, or no image in it can be predicted.
        """
        tasks = request.get("tasks")
        if not isinstance(tasks, list) or not 1 <= len(tasks) <= MAX_TASKS:
            raise InputError(f"tasks must be a list of 1 to {MAX_TASKS}; send fewer at a time")
        tags, results, failed = self._tags(request.get("label_config")), [], []
        for number, task in enumerate(tasks, start=1):
            try:
                with reading(_REQUEST, f"task {number}"), readable(self._images):
                    results.append(self._answer(f"task {number}", task, tags))
            except InputError as error:
                failed.append(error)
                self._note(str(error))
                results.append({"model_version": self._version, "score": 0.0, "result": []})
        if len(failed) == len(tasks):
            raise failed[0]
        return {"results": results}

    def _answer(self, title, task, tags):
        data = task.get("data") if isinstance(task, dict) else None
        address = data.get(tags.key) if isinstance(data, dict) else None
        if not isinstance(address, str) or "\0" in address:
            raise InputError(f"{title}: its data has no address under {tags.key!r}")
        path = find_task_image(_REQUEST, title, {tags.key: address}, self._images)
        if not path.resolve().is_relative_to(self._images):  # Through a link.
            raise InputError(f"{title}: its image is not in the folder of the images")
        if not path.is_file():
            raise InputError(f"{title}: {address}: no such image in the folder of the images")
        height, width = image_size(Sample(path, path))
        if height * width > MAX_PIXELS:
            raise InputError(f"{title}: {width} x {height} pixels are more than {MAX_PIXELS:,}")
        with self._turn:
            mask, confidence = self._predictor.predict(read_image(path, self._predictor.images))
        drawn = [index for index in self._drawn if self._export.classes[index] in tags.labels]
        found = PredictedImage(path, mask.shape, regions(mask, confidence, drawn))
        prediction = write_prediction(found, self._export)
        for result in prediction["result"]:
            result |= {"from_name": tags.brush, "to_name": tags.image}
        return prediction

    def _tags(self, config):
        if not isinstance(config, str):
            raise InputError("the request has no labeling configuration")
        root = parse_xml(_REQUEST, config.encode(errors="replace"))
        images = {each.get("name"): each.get("value", "") for each in root.iter("Image")}
        for brush in root.iter("BrushLabels"):
            labels = frozenset(label.get("value") for label in brush.iter("Label"))
            key = images.get(brush.get("toName"), "").removeprefix("$")
            if key and labels & set(self._export.classes):
                return _Tags(brush.get("name"), brush.get("toName"), key, labels)
        raise InputError(
            "the labeling configuration has no BrushLabels of an Image with one of the classes "
            f"{', '.join(self._export.classes[:8])}; take that of predict.py --annotations label-studio"
        )


def make_server(labeler, token, host="127.0.0.1", port=9090):
    """Makes the server, which listens already; `serve_forever` answers.

    Args:
        labeler: Labeler.
        token: what a client gives as password, by HTTP's basic authentication, under any name.
        host: address to listen on.
        port: 0 for one that is free.

    Returns:
        `http.server.ThreadingHTTPServer`.

    Raises:
        InputError: the address cannot be had.
    """
    handler = type("Handler", (_Handler,), {"labeler": labeler, "token": token})
    try:
        return _Server((host, port), handler)
    except (OSError, OverflowError) as error:
        raise InputError(f"{host}:{port}: cannot be listened on ({error}); name another --port") from None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *arguments):
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(*arguments)

    def process_request(self, request, client_address):
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request, client_address):
        """A client that went away is no error of the server."""


class _Handler(BaseHTTPRequestHandler):
    labeler, token = None, ""
    timeout = SECONDS  # Of each wait for the socket.
    server_version, sys_version = "keras_seg", ""

    def setup(self):
        super().setup()
        # Each byte may come in time, and the request never be whole.
        self._deadline = threading.Timer(SECONDS, self._give_up)
        self._deadline.daemon = True
        self._deadline.start()

    def finish(self):
        self._deadline.cancel()
        super().finish()

    def _give_up(self):
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RD)

    def do_GET(self):
        self._respond({"/health": self.labeler.health, "/": self.labeler.health})

    def do_POST(self):
        self._respond({"/predict": self.labeler.predict, "/setup": self.labeler.setup})

    def _respond(self, actions):
        try:
            if not self._is_allowed():
                self._send(401, {"error": "wrong or no token"})
                return
            action = actions.get(self.path.partition("?")[0])
            if action is None:
                self._send(404, {"error": "no such page"})
                return
            self._send(200, action(self._read()))
        except InputError as error:
            self._send(400, {"error": str(error)})
        except Exception as error:  # A fault of ours ends one request, not the server.
            self._send(500, {"error": spelled_out(f"{type(error).__name__}: {error}")[:300]})

    def _is_allowed(self):
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        try:
            given = base64.b64decode(value, validate=True).partition(b":")[2] if kind == "Basic" else b""
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(given, self.token.encode())

    def _read(self):
        """Returns the JSON of the request, {} of one without a body; raises InputError."""
        length = self.headers.get("Content-Length", "0" if self.command == "GET" else "")
        if not length.isdecimal() or len(length) > 12 or int(length) > MAX_BYTES:
            raise InputError(f"the request must tell its length, of at most {MAX_BYTES:,} bytes")
        body = self.rfile.read(int(length))
        self._deadline.cancel()
        try:
            content = json.loads(body) if body else {}
        except (ValueError, RecursionError) as error:
            raise InputError(f"the request is not JSON ({error})") from None
        if not isinstance(content, dict):
            raise InputError("the request must be an object of JSON")
        return content

    def _send(self, status, content):
        body = json.dumps(content).encode()
        self.close_connection = True
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="keras_seg"')
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Requests are not logged: Label Studio asks often."""
