"""TensorFlow Serving's messages, by protobuf alone: TensorFlow is not imported.

The field numbers are those of tensorflow/core/framework/tensor.proto and of model, predict, prediction_log,
get_model_status and status.proto of tensorflow_serving/apis. Fields that are not named here are left alone.
"""

import math

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from keras_seg.serving.outputs import MAX_RANK, Output, read_outputs

_PACKAGE = "keras_seg.serving"  # The names of messages are not sent.
_FIELD = descriptor_pb2.FieldDescriptorProto
# message: {field: (number, type)}; a type is a scalar's or a message's name, "[...]" for repeated ones and
# "{...}" for a map from string.
_MESSAGES = {
    "Version": {"value": (1, "int64")},
    "Dim": {"size": (1, "int64")},
    "TensorShape": {"dim": (2, "[Dim]")},
    "Tensor": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "TensorShape"),
        "tensor_content": (4, "bytes"),
        # Numbers are packed, which looks like bytes on the wire: NumPy unpacks millions of them at once.
        "float_val": (5, "[bytes]"),
        "int_val": (7, "[bytes]"),
        "string_val": (8, "[bytes]"),
        "int64_val": (10, "[bytes]"),
        "bool_val": (11, "[bytes]"),
    },
    "ModelSpec": {"name": (1, "string"), "version": (2, "Version"), "signature_name": (3, "string")},
    "PredictRequest": {
        "model_spec": (1, "ModelSpec"),
        "inputs": (2, "{Tensor}"),
        "output_filter": (3, "[string]"),
    },
    "PredictResponse": {"outputs": (1, "{Tensor}"), "model_spec": (2, "ModelSpec")},
    "PredictLog": {"request": (1, "PredictRequest")},
    "PredictionLog": {"predict_log": (6, "PredictLog")},
    "StatusRequest": {"model_spec": (1, "ModelSpec")},
    "Status": {"error_code": (1, "int32"), "error_message": (2, "string")},
    "VersionStatus": {"version": (1, "int64"), "state": (2, "int32"), "status": (3, "Status")},
    "StatusResponse": {"model_version_status": (1, "[VersionStatus]")},
}
# tensorflow/core/framework/types.proto: number, and the field that holds the values of a tensor.
_KINDS = {
    np.dtype("float32"): (1, "float_val"),
    np.dtype("int32"): (3, "int_val"),
    np.dtype("uint8"): (4, "int_val"),
    np.dtype("object"): (7, "string_val"),
    np.dtype("int64"): (9, "int64_val"),
    np.dtype("bool"): (10, "bool_val"),
}
_BY_NUMBER = {number: (dtype, field) for dtype, (number, field) in _KINDS.items()}
_MAX_VARINT = 10  # Bytes of 64 bits, 7 in each
AVAILABLE = 30  # ModelVersionStatus.State


def _file():
    file = descriptor_pb2.FileDescriptorProto(name="serving.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            if kind.startswith("{"):
                entry = message.nested_type.add(name=f"{field.title()}Entry")
                entry.options.map_entry = True
                _add_field(entry, "key", 1, "string")
                _add_field(entry, "value", 2, kind[1:-1])
                kind = f"[{name}.{entry.name}]"
            _add_field(message, field, number, kind)
    return file


def _add_field(message, name, number, kind):
    repeated = kind.startswith("[")
    kind = kind.strip("[]")
    label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    if kind[0].isupper():
        field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    else:
        field.type = getattr(_FIELD, f"TYPE_{kind.upper()}")


def _classes():
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    names = (f"{_PACKAGE}.{name}" for name in _MESSAGES)
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in names]


_BUILT = dict(zip(_MESSAGES, _classes(), strict=True))
PredictRequest, PredictResponse = _BUILT["PredictRequest"], _BUILT["PredictResponse"]
StatusRequest, StatusResponse = _BUILT["StatusRequest"], _BUILT["StatusResponse"]
PredictionLog = _BUILT["PredictionLog"]


def predict_request(model, signature, inputs, outputs=()):
    """Makes a request.

    Args:
        model: the model's name at the server.
        signature: name of the endpoint.
        inputs: `{name: array}`; strings are arrays of bytes with dtype object.
        outputs: names of the outputs that are wanted; none: all.
    """
    request = PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for name, value in inputs.items():
        _fill(request.inputs[name], np.asarray(value))
    request.output_filter.extend(outputs)
    return request


def arrays(response, outputs=None):
    """Returns the outputs of a PredictResponse as `{name: array}`.

    Args:
        response: PredictResponse.
        outputs: `{name: Output}` of those that are wanted; None: all, whatever they are.

    Raises:
        ValueError: one is missing or wrong.
    """
    return read_outputs(response.outputs, outputs or dict.fromkeys(response.outputs, Output()), to_array)


def to_array(tensor, output):
    """Returns a tensor's values, which a server sends as they lie in memory or one by one.

    Args:
        tensor: Tensor.
        output: Output that says what it has to be; nothing is allocated for anything else.

    Raises:
        ValueError: its type or shape is wrong, or its values are not those of its shape.
    """
    if tensor.dtype not in _BY_NUMBER:
        raise ValueError(f"is of an unknown type, {tensor.dtype}")
    dtype, field = _BY_NUMBER[tensor.dtype]
    shape = [dim.size for dim in tensor.tensor_shape.dim[: MAX_RANK + 1]]
    output.check_kind(dtype, shape)
    if tensor.tensor_content and dtype.kind != "O":
        values = np.frombuffer(tensor.tensor_content, dtype)
    else:
        values = _unpacked(getattr(tensor, field), dtype)
    missing = math.prod(shape) - len(values)
    if missing < 0 or (missing and not len(values)):
        raise ValueError(f"has {len(values)} values in the shape {shape}")
    # The last value stands for all that follow.
    values = np.append(values, np.full(missing, values[-1], dtype)) if missing else values
    return values.reshape(shape)


def _unpacked(parts, dtype):
    if dtype.kind == "O":
        values = np.empty(len(parts), object)
        values[:] = parts
        return values
    data = b"".join(parts)
    if dtype.kind == "f":
        return np.frombuffer(data, "<f4")
    numbers = _varints(data)
    values = numbers.astype(dtype)
    if (values != numbers).any():
        raise ValueError(f"has numbers that are no {dtype.name}")
    return values


def _varints(data):
    """Decodes numbers of 7 bits a byte, the lowest first; all but the last byte have the eighth bit set."""
    data = np.frombuffer(data, np.uint8)
    is_last = data < 128
    if is_last.all():
        return data
    ends = np.flatnonzero(is_last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    if not is_last[-1] or (ends - starts).max() >= _MAX_VARINT:
        raise ValueError("has numbers without an end")
    values = np.zeros(len(ends), np.uint64)
    for place in range(int((ends - starts).max()) + 1):
        has = starts + place <= ends
        values[has] |= (data[starts[has] + place].astype(np.uint64) & np.uint64(127)) << np.uint64(7 * place)
    return values.astype(np.int64)


def _fill(tensor, array):
    tensor.dtype = _KINDS[array.dtype][0]
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if array.dtype.kind == "O":
        tensor.string_val.extend(array.ravel().tolist())
    else:
        tensor.tensor_content = array.tobytes()
