"""Runs a SavedModel with the C++ loader behind TensorFlow Serving, by ctypes: TF_LoadSessionFromSavedModel.

TensorFlow's Python code is not imported. A failed check in C++ ends the whole process, so it belongs in one
of its own: model_server.py.
"""

import ctypes
import importlib.util
from pathlib import Path

import numpy as np

# numpy dtype -> TF_DataType of tensorflow/c/tf_datatype.h
DATA_TYPES = {"float32": 1, "int32": 3, "uint8": 4, "object": 7, "int64": 9, "bool": 10}
NAMES = {code: name for name, code in DATA_TYPES.items()}
STRING_SIZE = 24  # sizeof(TF_TString)
POINTER = ctypes.c_void_p
RESULTS = {
    "TF_NewStatus TF_NewGraph TF_NewBuffer TF_NewSessionOptions TF_LoadSessionFromSavedModel": POINTER,
    "TF_GraphOperationByName TF_AllocateTensor TF_TensorData TF_StringGetDataPointer": POINTER,
    "TF_Message TF_Version": ctypes.c_char_p,
    "TF_TensorByteSize TF_StringGetSize": ctypes.c_size_t,
    "TF_Dim": ctypes.c_int64,
}
# Without these, ctypes cuts pointers that are given as Python integers down to 32 bits.
_LIST = [POINTER, POINTER, ctypes.c_int]  # TF_Output array, TF_Tensor* array, length
ARGUMENTS = {
    "TF_GetCode TF_Message TF_TensorData TF_TensorByteSize TF_TensorType TF_NumDims": [POINTER],
    "TF_DeleteTensor TF_DeleteStatus TF_StringInit TF_StringGetDataPointer TF_StringGetSize": [POINTER],
    "TF_Dim": [POINTER, ctypes.c_int],
    "TF_GraphOperationByName": [POINTER, ctypes.c_char_p],
    "TF_StringCopy": [POINTER, ctypes.c_char_p, ctypes.c_size_t],
    "TF_AllocateTensor": [ctypes.c_int, POINTER, ctypes.c_int, ctypes.c_size_t],
    "TF_LoadSessionFromSavedModel": [*[POINTER] * 2, ctypes.c_char_p, POINTER, ctypes.c_int, *[POINTER] * 3],
    "TF_SessionRun": [*[POINTER] * 2, *_LIST, *_LIST, POINTER, ctypes.c_int, *[POINTER] * 2],
}


class Output(ctypes.Structure):
    """TF_Output of tensorflow/c/c_api.h."""

    _fields_ = (("oper", POINTER), ("index", ctypes.c_int))


class Buffer(ctypes.Structure):
    """TF_Buffer of tensorflow/c/tf_buffer.h."""

    _fields_ = (("data", POINTER), ("length", ctypes.c_size_t), ("data_deallocator", POINTER))


class LoaderError(RuntimeError):
    """What the loader or the model says, with its code of tensorflow/c/tf_status.h, which are gRPC's."""

    def __init__(self, message, code):
        super().__init__(message)
        self.code = code


class Session:
    """A loaded SavedModel; `run` raises LoaderError and may be called from several threads."""

    def __init__(self, folder):
        self.tf = _library()
        self.version = self.tf.TF_Version().decode()
        status = self.tf.TF_NewStatus()
        self.graph = self.tf.TF_NewGraph()
        meta_graph = self.tf.TF_NewBuffer()
        tags = (ctypes.c_char_p * 1)(b"serve")
        options, path = self.tf.TF_NewSessionOptions(), str(folder).encode()
        self.session = self.tf.TF_LoadSessionFromSavedModel(
            options, None, path, tags, 1, self.graph, meta_graph, status
        )
        self._check(status)
        buffer = Buffer.from_address(meta_graph)
        self.signatures = read_signatures(ctypes.string_at(buffer.data, buffer.length))

    def run(self, signature, inputs, outputs=()):
        """Feeds {input name: array} to a signature and returns {output name: array}, all or those named."""
        names_in, names_out = self.signatures[signature]
        names_out = {name: names_out[name] for name in outputs} if outputs else names_out
        num_in, num_out = len(inputs), len(names_out)
        feeds = (Output * num_in)(*(self._output(names_in[name]) for name in inputs))
        tensors = (POINTER * num_in)(*(self._tensor(np.asarray(value)) for value in inputs.values()))
        fetches = (Output * num_out)(*map(self._output, names_out.values()))
        answers = (POINTER * num_out)()
        fed, fetched = (feeds, tensors, num_in), (fetches, answers, num_out)
        status = self.tf.TF_NewStatus()
        self.tf.TF_SessionRun(self.session, None, *fed, *fetched, None, 0, None, status)
        for tensor in tensors:
            self.tf.TF_DeleteTensor(tensor)
        self._check(status)
        found = {name: self._array(tensor) for name, tensor in zip(names_out, answers, strict=True)}
        for tensor in answers:
            self.tf.TF_DeleteTensor(tensor)
        return found

    def _check(self, status):
        code, message = self.tf.TF_GetCode(status), self.tf.TF_Message(status)
        self.tf.TF_DeleteStatus(status)
        if code:
            raise LoaderError(message.decode(errors="replace"), code)

    def _output(self, name):
        operation, _, index = name.partition(":")
        return Output(self.tf.TF_GraphOperationByName(self.graph, operation.encode()), int(index))

    def _tensor(self, array):
        code, shape = DATA_TYPES[array.dtype.name], (ctypes.c_int64 * array.ndim)(*array.shape)
        size = array.size * STRING_SIZE if code == DATA_TYPES["object"] else array.nbytes
        tensor = self.tf.TF_AllocateTensor(code, shape, array.ndim, size)
        start = self.tf.TF_TensorData(tensor)
        if code != DATA_TYPES["object"]:
            ctypes.memmove(start, array.tobytes(), size)
            return tensor
        for index, text in enumerate(array.ravel()):
            self.tf.TF_StringInit(start + index * STRING_SIZE)
            self.tf.TF_StringCopy(start + index * STRING_SIZE, text, len(text))
        return tensor

    def _array(self, tensor):
        shape = [self.tf.TF_Dim(tensor, axis) for axis in range(self.tf.TF_NumDims(tensor))]
        start, kind = self.tf.TF_TensorData(tensor), NAMES[self.tf.TF_TensorType(tensor)]
        if kind != "object":
            data = ctypes.string_at(start, self.tf.TF_TensorByteSize(tensor))
            return np.frombuffer(data, kind).reshape(shape)
        array = np.empty(shape, object)
        for index in range(array.size):
            text = start + index * STRING_SIZE
            array.flat[index] = ctypes.string_at(
                self.tf.TF_StringGetDataPointer(text), self.tf.TF_StringGetSize(text)
            )
        return array


def _library():
    """Loads the C++ library of the installed TensorFlow and declares what is not int."""
    package = Path(importlib.util.find_spec("tensorflow").origin).parent
    (path,) = package.glob("libtensorflow_cc.so.*")
    library = ctypes.CDLL(str(path))
    for names, result in RESULTS.items():
        for name in names.split():
            getattr(library, name).restype = result
    for names, arguments in ARGUMENTS.items():
        for name in names.split():
            getattr(library, name).argtypes = arguments
    return library


def read_signatures(meta_graph):
    """Reads {signature: ({input: tensor name}, {output: tensor name})} out of a serialized MetaGraphDef."""
    signatures = {}
    for entry in _fields(meta_graph, 5):  # MetaGraphDef.signature_def
        (name,), (signature,) = _fields(entry, 1), _fields(entry, 2)
        sides = (_fields(signature, 1), _fields(signature, 2))  # SignatureDef.inputs and outputs
        signatures[name.decode()] = tuple(dict(map(_tensor_name, side)) for side in sides)
    return signatures


def _tensor_name(entry):
    (key,), (info,) = _fields(entry, 1), _fields(entry, 2)
    (name,) = _fields(info, 1)  # TensorInfo.name
    return key.decode(), name.decode()


def _fields(message, number):
    """Returns the values of one length-delimited field of a protocol buffer."""
    values, at = [], 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = varint()
        if tag & 7 == 0:
            varint()
            continue
        length = {1: 8, 5: 4}.get(tag & 7) or varint()
        if tag == number << 3 | 2:
            values.append(message[at : at + length])
        at += length
    return values
