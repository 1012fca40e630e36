"""Servers on 127.0.0.1 that label one image rightly, and for any other send whatever a test tells them."""

import contextlib
import json
import threading
import time
from base64 import b64encode
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import grpc
import numpy as np

from keras_seg.serving.protocol import PredictRequest, PredictResponse, StatusResponse, predict_request

NUM_CLASSES = 5
HEIGHT, WIDTH = 10, 12
GOOD, BAD = (
    cv2.imencode(".png", np.full((HEIGHT, WIDTH, 3), value, np.uint8))[1].tobytes() for value in (50, 200)
)
MASK = cv2.imencode(".png", np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH) % NUM_CLASSES)[1]
MASK = MASK.tobytes()
RIGHT = {"mask_bytes": MASK, "confidence_bytes": MASK}


def http(body, status="200 OK", *headers):
    """A response with these bytes as its body."""
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", "")
    return "\r\n".join(lines).encode("latin-1") + body


def json_of(**outputs):
    """The body that TensorFlow Serving sends of encoded images, of one for each output."""
    columns = {name: [{"b64": b64encode(contents).decode()}] for name, contents in outputs.items()}
    return json.dumps({"outputs": columns if len(columns) > 1 else next(iter(columns.values()))}).encode()


def message_of(**outputs):
    """The PredictResponse of arrays, and of encoded images as bytes."""
    arrays = {name: _strings(value) if isinstance(value, bytes) else value for name, value in outputs.items()}
    # Both messages have the same maps of tensors; a response's is field 1, a request's field 2.
    response = PredictResponse()
    for name, tensor in predict_request("", "", arrays).inputs.items():
        response.outputs[name].CopyFrom(tensor)
    return response.SerializeToString()


def _strings(value):
    array = np.empty(1, object)
    array[:] = [value]
    return array


LABELS = json.dumps(
    {"outputs": {"classes": [list("abcde")], "colors": np.zeros((1, NUM_CLASSES, 3), int).tolist()}}
).encode()
LABELS_MESSAGE = message_of(
    classes=np.array([[b"a", b"b", b"c", b"d", b"e"]], object), colors=np.zeros((1, NUM_CLASSES, 3), np.uint8)
)


def drip(start, piece, pause=0.05, seconds=5):
    """A response that begins at once and goes on a little at a time."""
    yield start
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(pause)
        yield piece


class HttpServer:
    """A REST port; `hostile` is what it sends for any image but GOOD: bytes, or what yields them."""

    def __init__(self):
        outer = self
        self.hostile = self.labels = None

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.wfile.write(http(b'{"model_version_status": [{"state": "AVAILABLE"}]}'))

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = json.loads(body)
                if request["signature_name"] == "labels" and outer.labels is None:
                    sent = http(LABELS)
                elif b64encode(GOOD) in body:
                    wanted = ("mask_bytes", "confidence_bytes")[
                        : 1 + (request["signature_name"] == "confidence")
                    ]
                    sent = http(json_of(**dict.fromkeys(wanted, MASK)))
                else:
                    sent = outer.labels or outer.hostile
                with contextlib.suppress(OSError):  # The client has gone.
                    for piece in [sent] if isinstance(sent, bytes) else sent():
                        self.wfile.write(piece)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class GrpcServer:
    """A gRPC port; `hostile` is what it sends for any image but GOOD: bytes, or a function of the context."""

    def __init__(self):
        self.hostile = self.labels = None
        ready = StatusResponse()
        ready.model_version_status.add(state=30)
        methods = {
            "PredictionService": {"Predict": self._predict},
            "ModelService": {"GetModelStatus": lambda *_: ready.SerializeToString()},
        }
        lifted = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self._server = grpc.server(futures.ThreadPoolExecutor(8), options=lifted)
        for service, functions in methods.items():
            handlers = {
                name: grpc.unary_unary_rpc_method_handler(function) for name, function in functions.items()
            }
            handler = grpc.method_handlers_generic_handler(f"tensorflow.serving.{service}", handlers)
            self._server.add_generic_rpc_handlers((handler,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _predict(self, message, context):
        request = PredictRequest.FromString(message)
        if request.model_spec.signature_name == "labels" and self.labels is None:
            return LABELS_MESSAGE
        if GOOD in message:
            return message_of(**{name: RIGHT[name] for name in request.output_filter})
        sent = self.labels or self.hostile
        return sent if isinstance(sent, bytes) else sent(context)

    def close(self):
        self._server.stop(None).wait()
