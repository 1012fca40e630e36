"""How a request gets to TensorFlow Serving by gRPC."""

import threading

import grpc
from google.protobuf.message import DecodeError

from keras_seg.serving.errors import UNIMPLEMENTED, WRONG, ServerError, blaming
from keras_seg.serving.outputs import ENVELOPE, MAX_BYTES
from keras_seg.serving.protocol import (
    AVAILABLE,
    PredictResponse,
    StatusRequest,
    StatusResponse,
    arrays,
    predict_request,
)

_SERVICE = "/tensorflow.serving"
_OPTIONS = (
    ("grpc.max_send_message_length", -1),  # No limit
    ("grpc.compression_enabled_algorithms_bitset", 1),  # None: a small message would become a large one.
    # Milliseconds. Else a channel that lost its server refuses for seconds without trying.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)
# What gRPC says about a response above the limit, and about a server that answers in HTTP/1.
_TOO_LARGE = "CLIENT: Received message larger than max"
_HTTP_SIGNS = ("http1", "http/1", "parsing http/2")


class Grpc:
    """TensorFlow Serving's gRPC port.

    Args:
        address: `HOST:PORT`.
        secure: whether to use TLS, with the system's certificates.
    """

    def __init__(self, address, secure=False):
        self.address = address
        self._credentials = grpc.ssl_channel_credentials() if secure else None
        self._channels, self._lock = {}, threading.Lock()

    def predict(self, model, signature, inputs, outputs, timeout):
        """Returns `{name: array}` of the outputs, `{name: Output}`; raises ServerError."""
        request = predict_request(model, signature, inputs, outputs)
        # As varints, half of the values of uint8 take two bytes.
        limit = ENVELOPE + sum(2 * output.max_bytes for output in outputs.values())
        response = self._send("PredictionService/Predict", request, PredictResponse, timeout, limit)
        with blaming(self.address):
            return arrays(response, outputs)

    def is_ready(self, model, timeout):
        """Returns whether a version of the model is served; raises ServerError."""
        request = StatusRequest()
        request.model_spec.name = model
        response = self._send("ModelService/GetModelStatus", request, StatusResponse, timeout)
        return any(version.state == AVAILABLE for version in response.model_version_status)

    def close(self):
        """Ends the connections."""
        for channel in self._channels.values():
            channel.close()

    def _channel(self, limit):
        # gRPC limits what a channel receives, so there is a channel for each power of two.
        limit = min(1 << limit.bit_length(), MAX_BYTES)
        options = (*_OPTIONS, ("grpc.max_receive_message_length", limit))
        with self._lock:
            if limit in self._channels:
                pass
            elif self._credentials:
                self._channels[limit] = grpc.secure_channel(self.address, self._credentials, options)
            else:
                self._channels[limit] = grpc.insecure_channel(self.address, options)
            return self._channels[limit]

    def _send(self, method, request, kind, timeout, limit=ENVELOPE):
        call = self._channel(limit).unary_unary(f"{_SERVICE}.{method}")
        try:
            return kind.FromString(call(request.SerializeToString(), timeout=timeout))
        except DecodeError:
            raise ServerError(self.address, UNIMPLEMENTED, f"an answer that is no {kind.__name__}") from None
        except grpc.RpcError as error:
            reason = error.details() or ""
            is_http = any(sign in reason.lower() for sign in _HTTP_SIGNS)
            code = WRONG if reason.startswith(_TOO_LARGE) else error.code().value[0]
            raise ServerError(self.address, code, reason, "http1" if is_http else None) from None
