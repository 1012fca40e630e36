"""How a request gets to TensorFlow Serving by REST: JSON over HTTP."""

import base64
import http.client
import json
import threading
from urllib.parse import quote, urlsplit

import numpy as np

from keras_seg.serving.errors import (
    FROM_HTTP,
    TIMEOUT,
    UNAVAILABLE,
    UNIMPLEMENTED,
    UNKNOWN,
    WRONG,
    ServerError,
    blaming,
)
from keras_seg.serving.exchange import exchange
from keras_seg.serving.outputs import ENVELOPE, MAX_RANK, read_outputs

_LISTS = 1000  # Lists and objects that a response may have beside those of its outputs; each takes 64 bytes


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
        """Returns `{name: array}` of the outputs, `{name: Output}`; raises ServerError."""
        columns = {name: _to_json(np.asarray(value)) for name, value in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
        # Of base64, four bytes are three; a byte is up to five ("255, "), a float some twenty.
        limit = sum((2 if output.dtype == "object" else 8) * output.max_bytes for output in outputs.values())
        lists = sum(2 * output.max_rows for output in outputs.values())
        path = f"/v1/models/{quote(model)}:predict"
        found = self._send("POST", path, timeout, body, limit + ENVELOPE, lists + _LISTS).get("outputs")
        if found is None:
            raise ServerError(self.address, UNIMPLEMENTED, "an answer without outputs")
        if not isinstance(found, dict) or set(found) == {"b64"}:
            # A single output comes without its name.
            found = {next(iter(outputs)): found}
        with blaming(self.address):
            return read_outputs(found, outputs, _from_json)

    def is_ready(self, model, timeout):
        """Returns whether a version of the model is served; raises ServerError."""
        versions = self._send("GET", f"/v1/models/{quote(model)}", timeout).get("model_version_status")
        if not isinstance(versions, list) or not all(isinstance(version, dict) for version in versions):
            raise ServerError(self.address, UNIMPLEMENTED, "an answer without a status")
        return any(version.get("state") == "AVAILABLE" for version in versions)

    def close(self):
        """Ends the connections."""
        for connection in self._connections:
            connection.close()

    def _connection(self):
        connection = getattr(self._local, "connection", None)
        if connection is None:
            is_https = self._parts.scheme == "https"
            kind = http.client.HTTPSConnection if is_https else http.client.HTTPConnection
            connection = self._local.connection = kind(self._parts.hostname, self._parts.port)
            self._connections.append(connection)
        return connection

    def _send(self, method, path, timeout, body=None, limit=ENVELOPE, lists=_LISTS):
        connection, path = self._connection(), self._parts.path.rstrip("/") + path
        try:
            status, content = exchange(connection, method, path, body, timeout, limit)
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            raise self._error(error) from None
        answer = _parsed(content, lists)
        if status == 200 and isinstance(answer, dict) and "error" not in answer:
            return answer
        reason = answer.get("error") if isinstance(answer, dict) else None
        if not isinstance(reason, str):
            reason = f"status {status} and {bytes(content[:80])!r}"
        code = FROM_HTTP.get(status, UNKNOWN if status >= 400 else UNIMPLEMENTED)
        raise ServerError(self.address, code, reason)

    def _error(self, error):
        if isinstance(error, TimeoutError):
            return ServerError(self.address, TIMEOUT, error)
        if isinstance(error, http.client.BadStatusLine):
            # A server that shuts an idle connection looks the same, but sends nothing at all.
            wrong_port = None if isinstance(error, http.client.RemoteDisconnected) else "grpc"
            return ServerError(self.address, UNAVAILABLE, repr(error), wrong_port)
        is_wrong = isinstance(error, ValueError)
        return ServerError(self.address, WRONG if is_wrong else UNAVAILABLE, error)


def _parsed(content, lists):
    """Returns what JSON text holds, or None where it is none or has more lists and objects than `lists`."""
    if content.count(b"[") + content.count(b"{") > lists:
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _to_json(array):
    if array.dtype.kind != "O":
        return array.tolist()
    return [{"b64": base64.b64encode(value).decode()} for value in array]


def _from_json(value, output):
    """Returns nested lists as an array: whole numbers as uint8, others as float32, and texts as bytes."""
    # As objects, since NumPy would make numbers of texts, and all texts as long as the longest.
    values = np.array(value, object)
    if values.ndim > MAX_RANK:
        raise ValueError("is nested too deep")
    kinds = set(map(type, values.flat))
    is_number, is_whole = kinds <= {int, float}, kinds == {int} and output.dtype != "float32"
    dtype = "uint8" if is_whole else "float32" if is_number else "object"
    output.check_kind(dtype, values.shape)
    try:
        array = values.astype(dtype) if is_number else _texts(values)
    except (AttributeError, LookupError, OverflowError, TypeError):
        raise ValueError(f"has values that are no {dtype}") from None
    if is_whole and (array != values).any():  # Older releases of NumPy wrap them around.
        raise ValueError("has values that are no uint8")
    return array


def _texts(values):
    texts = np.empty(values.size, object)
    texts[:] = [
        base64.b64decode(value["b64"], validate=True) if isinstance(value, dict) else value.encode()
        for value in values.flat
    ]
    return texts.reshape(values.shape)
