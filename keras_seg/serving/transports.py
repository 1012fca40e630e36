"""How a request gets to TensorFlow Serving: gRPC, or JSON over HTTP. TensorFlow is not imported."""

import base64
import http.client
import json
import threading
from urllib.parse import quote, urlsplit

import grpc
import numpy as np

from keras_seg.serving.errors import FROM_HTTP, TIMEOUT, UNAVAILABLE, UNIMPLEMENTED, ServerError
from keras_seg.serving.protocol import (
    AVAILABLE,
    PredictRequest,
    PredictResponse,
    StatusRequest,
    StatusResponse,
    arrays,
    predict_request,
)

_SERVICE = "/tensorflow.serving"
_OPTIONS = (
    # No limit: gRPC's own is 4 MB, and logits of 512 x 512 pixels have more.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Milliseconds. Else a channel that lost its server refuses for seconds without trying.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)
# What gRPC says about a server that answers in HTTP/1.
_HTTP_SIGNS = ("http1", "http/1", "parsing http/2")


class Grpc:
    """TensorFlow Serving's gRPC port.

    Args:
        address: `HOST:PORT`.
        secure: whether to use TLS, with the system's certificates.
    """

    def __init__(self, address, secure=False):
        self.address = address
        if secure:
            self._channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(), _OPTIONS)
        else:
            self._channel = grpc.insecure_channel(address, _OPTIONS)
        self._predict = self._call("PredictionService/Predict", PredictRequest, PredictResponse)
        self._status = self._call("ModelService/GetModelStatus", StatusRequest, StatusResponse)

    def predict(self, model, signature, inputs, outputs, timeout):
        """Returns `{name: array}`; raises ServerError."""
        request = predict_request(model, signature, inputs, outputs)
        return arrays(self._send(self._predict, request, timeout))

    def is_ready(self, model, timeout):
        """Returns whether a version of the model is served; raises ServerError."""
        request = StatusRequest()
        request.model_spec.name = model
        versions = self._send(self._status, request, timeout).model_version_status
        return any(version.state == AVAILABLE for version in versions)

    def close(self):
        """Ends the connection."""
        self._channel.close()

    def _call(self, method, request, response):
        return self._channel.unary_unary(
            f"{_SERVICE}.{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )

    def _send(self, call, request, timeout):
        try:
            return call(request, timeout=timeout)
        except grpc.RpcError as error:
            reason = error.details() or ""
            is_http = any(sign in reason.lower() for sign in _HTTP_SIGNS)
            code = error.code().value[0]
            raise ServerError(self.address, code, reason, "http1" if is_http else None) from None


class Rest:
    """TensorFlow Serving's REST port.

    Args:
        url: `http://HOST:PORT` or `https://...`, with a path where a proxy adds one.
    """

    def __init__(self, url):
        self.address = url
        self._parts = urlsplit(url)
        self._local = threading.local()  # A connection per thread, kept open.
        self._connections = []

    def predict(self, model, signature, inputs, outputs, timeout):
        """Returns `{name: array}`; raises ServerError."""
        columns = {name: _to_json(np.asarray(value)) for name, value in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
        found = self._send("POST", f"/v1/models/{quote(model)}:predict", timeout, body).get("outputs")
        if found is None:
            raise ServerError(self.address, UNIMPLEMENTED, "an answer without outputs")
        if not isinstance(found, dict) or set(found) == {"b64"}:
            # A single output comes without its name.
            found = {outputs[0]: found}
        return {name: _from_json(value) for name, value in found.items() if name in outputs}

    def is_ready(self, model, timeout):
        """Returns whether a version of the model is served; raises ServerError."""
        versions = self._send("GET", f"/v1/models/{quote(model)}", timeout).get("model_version_status", [])
        return any(version.get("state") == "AVAILABLE" for version in versions)

    def close(self):
        """Ends the connections."""
        for connection in self._connections:
            connection.close()

    def _connection(self, timeout):
        connection = getattr(self._local, "connection", None)
        if connection is None:
            is_https = self._parts.scheme == "https"
            kind = http.client.HTTPSConnection if is_https else http.client.HTTPConnection
            connection = self._local.connection = kind(self._parts.hostname, self._parts.port)
            self._connections.append(connection)
        connection.timeout = timeout
        if connection.sock:
            connection.sock.settimeout(timeout)
        return connection

    def _send(self, method, path, timeout, body=None):
        connection = self._connection(timeout)
        try:
            connection.request(method, self._parts.path.rstrip("/") + path, body)
            response = connection.getresponse()
            status, content = response.status, response.read()
        except TimeoutError as error:
            connection.close()
            raise ServerError(self.address, TIMEOUT, error) from None
        except http.client.BadStatusLine as error:
            connection.close()
            # A server that shuts an idle connection looks the same, but sends nothing at all.
            wrong_port = None if isinstance(error, http.client.RemoteDisconnected) else "grpc"
            raise ServerError(self.address, UNAVAILABLE, repr(error), wrong_port) from None
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ServerError(self.address, UNAVAILABLE, error) from None
        try:
            answer = json.loads(content)
        except ValueError:
            answer = {"error": f"status {status} and no JSON: {content[:80]!r}"}
        if not isinstance(answer, dict):
            raise ServerError(self.address, UNIMPLEMENTED, f"an answer of {content[:80]!r}")
        if status != 200 or "error" in answer:
            raise ServerError(self.address, FROM_HTTP.get(status, 2), answer.get("error", f"status {status}"))
        return answer


def _to_json(array):
    if array.dtype.kind != "O":
        return array.tolist()
    return [{"b64": base64.b64encode(value).decode()} for value in array]


def _from_json(value):
    """Returns numbers as an array, uint8 where they are whole, and texts as an array of bytes."""
    array = np.array(value)
    if array.dtype.kind == "O":
        texts = [base64.b64decode(item["b64"]) for item in value]
    elif array.dtype.kind == "U":
        texts = [text.encode() for text in array.ravel()]
    else:
        return array.astype(np.float32 if array.dtype.kind == "f" else np.uint8)
    found = np.empty(len(texts), object)
    found[:] = texts
    return found.reshape(array.shape)
