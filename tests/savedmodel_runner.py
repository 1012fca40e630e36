"""Runs a SavedModel with the C++ loader behind TensorFlow Serving, by ctypes: TF_LoadSessionFromSavedModel.

TensorFlow's Python code is not imported. A failed check in C++ ends the whole process, so `run` starts this
file as a script in one of its own and reads its answers.
"""

import ctypes
import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np

# numpy dtype -> TF_DataType of tensorflow/c/tf_datatype.h
DATA_TYPES = {"float32": 1, "int32": 3, "uint8": 4, "object": 7, "int64": 9}
NAMES = {code: name for name, code in DATA_TYPES.items()}
STRING_SIZE = 24  # sizeof(TF_TString)
POINTER = ctypes.c_void_p
RESULTS = {
    "TF_NewStatus TF_NewGraph TF_NewBuffer TF_NewSessionOptions TF_LoadSessionFromSavedModel": POINTER,
    "TF_GraphOperationByName TF_AllocateTensor TF_TensorData TF_StringGetDataPointer": POINTER,
    "TF_Message": ctypes.c_char_p,
    "TF_TensorByteSize TF_StringGetSize": ctypes.c_size_t,
    "TF_Dim": ctypes.c_int64,
}
# Without these, ctypes cuts pointers that are given as Python integers down to 32 bits.
_LIST = [POINTER, POINTER, ctypes.c_int]  # TF_Output array, TF_Tensor* array, length
ARGUMENTS = {
    "TF_GetCode TF_Message TF_TensorData TF_TensorByteSize TF_TensorType TF_NumDims": [POINTER],
    "TF_DeleteTensor TF_StringInit TF_StringGetDataPointer TF_StringGetSize": [POINTER],
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


class Session:
    """A loaded SavedModel; `run` raises RuntimeError with the loader's message."""

    def __init__(self, folder):
        self.tf = _library()
        self.status = self.tf.TF_NewStatus()
        self.graph = self.tf.TF_NewGraph()
        meta_graph = self.tf.TF_NewBuffer()
        tags = (ctypes.c_char_p * 1)(b"serve")
        options, path = self.tf.TF_NewSessionOptions(), str(folder).encode()
        self.session = self.tf.TF_LoadSessionFromSavedModel(
            options, None, path, tags, 1, self.graph, meta_graph, self.status
        )
        self._check()
        buffer = Buffer.from_address(meta_graph)
        self.signatures = read_signatures(ctypes.string_at(buffer.data, buffer.length))

    def run(self, signature, inputs):
        """Feeds {input name: array} to a signature and returns {output name: array}."""
        names_in, names_out = self.signatures[signature]
        num_in, num_out = len(inputs), len(names_out)
        feeds = (Output * num_in)(*(self._output(names_in[name]) for name in inputs))
        tensors = (POINTER * num_in)(*(self._tensor(np.asarray(value)) for value in inputs.values()))
        fetches = (Output * num_out)(*map(self._output, names_out.values()))
        answers = (POINTER * num_out)()
        fed, fetched = (feeds, tensors, num_in), (fetches, answers, num_out)
        self.tf.TF_SessionRun(self.session, None, *fed, *fetched, None, 0, None, self.status)
        for tensor in tensors:
            self.tf.TF_DeleteTensor(tensor)
        self._check()
        return {name: self._array(tensor) for name, tensor in zip(names_out, answers, strict=True)}

    def _check(self):
        if self.tf.TF_GetCode(self.status):
            raise RuntimeError(self.tf.TF_Message(self.status).decode(errors="replace"))

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


def run(folder, requests, scratch, timeout=120):
    """Sends requests to a SavedModel in a process of its own.

    Args:
        folder: the SavedModel.
        requests: list of (signature, {input name: array}); strings are arrays of bytes with dtype object.
        scratch: folder for the files that go to and fro.
        timeout: seconds.

    Returns:
        (exit status, answers): for every request that the process lived to answer a dict of arrays, or a
        string, the error.
    """
    questions, answers = Path(scratch, "requests.pickle"), Path(scratch, "answers.pickle")
    questions.write_bytes(pickle.dumps(requests))
    answers.unlink(missing_ok=True)
    command = [sys.executable, __file__, str(folder), str(questions), str(answers)]
    process = subprocess.run(command, timeout=timeout, capture_output=True, text=True)
    if not answers.exists():
        raise RuntimeError(process.stderr[-2000:])
    found = []
    with answers.open("rb") as file:
        while file.peek(1):
            found.append(pickle.load(file))
    return process.returncode, found


def main(folder, questions, answers):
    session = Session(folder)
    with Path(answers).open("wb") as file:
        for signature, inputs in pickle.loads(Path(questions).read_bytes()):
            try:
                answer = session.run(signature, inputs)
            except RuntimeError as error:
                answer = str(error)
            pickle.dump(answer, file)
            file.flush()  # The next request may be the last.


if __name__ == "__main__":
    main(*sys.argv[1:])
