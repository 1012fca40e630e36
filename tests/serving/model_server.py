"""A stand-in for TensorFlow Serving: its gRPC and REST interface over the C++ loader that it uses.

The gRPC service is made of the official definitions (package tensorflow-serving-api). It answers as the
server does: numbers one by one (`int_val`, `float_val`), codes and texts of errors, row and column format of
JSON. It takes the server's flags:

    python tests/serving/model_server.py --port 8500 --rest_api_port 8501 \
        --model_name NAME --model_base_path FOLDER
"""

import argparse
import base64
import importlib.util
import json
import sys
import types
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import numpy as np
from savedmodel_runner import NAMES, LoaderError, Session


def _without_tensorflow():
    """Lets the official definitions import TensorFlow's without running TensorFlow's own start."""
    spec = importlib.util.find_spec("tensorflow")
    module = types.ModuleType("tensorflow")
    module.__path__, module.__spec__ = spec.submodule_search_locations, spec
    sys.modules["tensorflow"] = module


if __name__ == "__main__":
    _without_tensorflow()

from tensorflow.core.framework import tensor_pb2  # noqa: E402
from tensorflow.core.protobuf import saved_model_pb2  # noqa: E402
from tensorflow_serving.apis import (  # noqa: E402
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

VALUES = {"float32": "float_val", "object": "string_val", "int64": "int64_val", "bool": "bool_val"}
HTTP_STATUS = {3: 400, 5: 404, 8: 429, 9: 400, 11: 400, 12: 501, 14: 503}


def to_array(proto):
    kind, shape = NAMES[proto.dtype], [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_content:
        return np.frombuffer(proto.tensor_content, kind).reshape(shape)
    return np.array(list(getattr(proto, VALUES.get(kind, "int_val"))), kind).reshape(shape)


def to_proto(array):
    kind = array.dtype.name
    proto = tensor_pb2.TensorProto(dtype={name: code for code, name in NAMES.items()}[kind])
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    field, values = VALUES.get(kind, "int_val"), array.ravel()
    if kind in ("uint8", "float32"):
        # As the server's C++ does it, in no time: an image's numbers one by one take Python seconds.
        proto.MergeFromString(packed(tensor_pb2.TensorProto.DESCRIPTOR.fields_by_name[field].number, values))
    else:
        getattr(proto, field).extend(values.tolist())
    return proto


def packed(number, values):
    """Encodes a packed field of floats or of bytes, which from 128 on take two."""
    if values.dtype == np.uint8:
        low, high = values % 128 + values // 128 * 128, values // 128
        values = np.stack([low, high], axis=1)[np.stack([low >= 0, high > 0], axis=1)]
    data = values.tobytes()
    length, size = bytearray(), len(data)
    while size >= 128:
        length.append(size % 128 + 128)
        size //= 128
    return bytes([number << 3 | 2, *length, size]) + data


class Model:
    """One version of one model; `predict` checks names as the server does and raises LoaderError."""

    def __init__(self, name, base):
        self.name = name
        self.version = max(int(path.name) for path in Path(base).iterdir() if path.name.isdecimal())
        folder = Path(base, str(self.version))
        self.session = Session(folder)
        saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        self.kinds = {
            key: {name: NAMES[info.dtype] for name, info in signature.inputs.items()}
            for key, signature in saved.meta_graphs[0].signature_def.items()
        }

    def check(self, name):
        if name != self.name:
            raise LoaderError(f"Servable not found for request: Latest({name})", 5)

    def inputs(self, signature):
        if signature not in self.session.signatures:
            raise LoaderError(f'Serving signature name: "{signature}" not found in signature def', 3)
        return self.kinds.get(signature, {})

    def predict(self, signature, inputs, outputs=()):
        expected = set(self.inputs(signature))
        if expected != set(inputs):
            raise LoaderError(f"input size does not match signature: {len(inputs)}!={len(expected)}", 3)
        return self.session.run(signature, inputs, outputs)


class Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model):
        self.model = model

    def Predict(self, request, context):  # noqa: N802
        spec = request.model_spec
        try:
            self.model.check(spec.name)
            inputs = {name: to_array(proto) for name, proto in request.inputs.items()}
            signature = spec.signature_name or "serving_default"
            found = self.model.predict(signature, inputs, tuple(request.output_filter))
        except (LoaderError, KeyError, ValueError) as error:
            code = getattr(error, "code", 3)
            context.abort(next(c for c in grpc.StatusCode if c.value[0] == code), str(error))
        return predict_pb2.PredictResponse(outputs={name: to_proto(array) for name, array in found.items()})


class Status(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, model):
        self.model = model

    def GetModelStatus(self, request, context):  # noqa: N802
        if request.model_spec.name != self.model.name:
            context.abort(grpc.StatusCode.NOT_FOUND, "Could not find any versions of model")
        version = get_model_status_pb2.ModelVersionStatus(version=self.model.version, state="AVAILABLE")
        return get_model_status_pb2.GetModelStatusResponse(model_version_status=[version])


class Rest(BaseHTTPRequestHandler):
    """The REST interface: POST /v1/models/NAME:predict and GET /v1/models/NAME."""

    model = None
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path != f"/v1/models/{self.model.name}":
            return self._answer(404, {"error": "Could not find any versions of model"})
        return self._answer(200, {"model_version_status": [{"version": "1", "state": "AVAILABLE"}]})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            name, _, verb = self.path.removeprefix("/v1/models/").partition(":")
            self.model.check(name)
            if verb != "predict":
                raise LoaderError("Malformed request", 3)
            self._answer(200, answer_json(self.model, json.loads(body)))
        except (LoaderError, ValueError, KeyError, TypeError) as error:
            self._answer(HTTP_STATUS.get(getattr(error, "code", 3), 500), {"error": str(error)})

    def _answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def answer_json(model, request):
    signature = request.get("signature_name", "serving_default")
    kinds = model.inputs(signature)
    if not kinds:
        raise LoaderError(f"Failed to get input map for signature: {signature}", 3)
    if "inputs" in request:
        columns = request["inputs"]
        if not isinstance(columns, dict) or set(columns) == {"b64"}:
            columns = {next(iter(kinds)): columns}
    else:
        rows = request["instances"]
        if not isinstance(rows[0], dict) or set(rows[0]) == {"b64"}:
            rows = [{next(iter(kinds)): row} for row in rows]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
    inputs = {name: from_json(value, kinds[name]) for name, value in columns.items()}
    found = {name: to_json(name, array) for name, array in model.predict(signature, inputs).items()}
    if "inputs" in request:
        return {"outputs": found if len(found) > 1 else next(iter(found.values()))}
    rows = [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
    return {"predictions": rows if len(found) > 1 else next(iter(found.values()))}


def from_json(value, kind):
    if kind != "object":
        return np.array(value, kind)
    values = value if isinstance(value, list) else [value]
    array = np.empty(len(values), object)
    array[:] = [base64.b64decode(v["b64"]) if isinstance(v, dict) else v.encode() for v in values]
    return array if isinstance(value, list) else array.reshape(())


def to_json(name, array):
    if array.dtype != object:
        return array.tolist()
    texts = [
        {"b64": base64.b64encode(text).decode()} if name.endswith("_bytes") else text.decode()
        for text in array.ravel()
    ]
    for size in reversed(array.shape[1:]):
        texts = [texts[i : i + size] for i in range(0, len(texts), size)]
    return texts


def main():
    parser = argparse.ArgumentParser()
    for flag in ("--port", "--rest_api_port"):
        parser.add_argument(flag, type=int)
    for flag in ("--model_name", "--model_base_path"):
        parser.add_argument(flag)
    arguments = parser.parse_args()
    model = Model(arguments.model_name, arguments.model_base_path)
    lifted = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(8), options=lifted)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Prediction(model), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Status(model), server)
    server.add_insecure_port(f"127.0.0.1:{arguments.port}")
    server.start()
    Rest.model = model
    ThreadingHTTPServer(("127.0.0.1", arguments.rest_api_port), Rest).serve_forever()


if __name__ == "__main__":
    main()
