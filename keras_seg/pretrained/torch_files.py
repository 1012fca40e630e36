"""Readers of PyTorch state dicts, `.safetensors` and `.pth`, without PyTorch."""

import io
import struct

import numpy as np
from safetensors import safe_open

from keras_seg.errors import InputError
from keras_seg.pretrained.lazy import LazyArray
from keras_seg.pretrained.torch_pickle import Tensor, read_pickle
from keras_seg.weights_files import check_sums, member_start, open_zip

# safetensors' names of NumPy's types.
_TYPES = {"F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1"}
_TYPES |= {"U8": "u1", "BOOL": "?"}
_MAGIC = 0x1950A86A20F9469CFC6C  # First in a file of the older layout.
_LONGEST_PICKLE = 1 << 21  # Bytes; ResNet101's has 50,000.


def read_safetensors(path):
    """Reads a `.safetensors` file as `{key: LazyArray}`.

    Raises:
        ValueError: A tensor is of a type that NumPy lacks.
    """
    file = safe_open(path, framework="numpy")
    return {key: _safe_tensor(file, key) for key in file.keys()}  # noqa: SIM118  (no Mapping)


def _safe_tensor(file, key):
    described = file.get_slice(key)
    kind = described.get_dtype()
    if kind not in _TYPES:
        raise ValueError(f"its {key!r} is of type {kind}; save it as float32")
    return LazyArray.of(described.get_shape(), _TYPES[kind], lambda: file.get_tensor(key))


def read_pth(file, path):
    """Reads a `.pth` file of `torch.save`, a state dict or a checkpoint that holds one.

    Args:
        file: The file, opened to read bytes; open as long as its arrays are to be read.
        path: What errors call it.

    Returns:
        `{key: LazyArray}`; bfloat16 becomes float32, all else keeps its type.

    Raises:
        InputError: It holds no state dict.
        ValueError: It is no such file, or holds something else than a state dict needs.
    """
    is_zip = file.read(4) == b"PK\x03\x04"
    tensors, places, order = _read_zip(file) if is_zip else _read_legacy(file)
    for key in ("state_dict", "model"):
        if isinstance(tensors, dict) and isinstance(tensors.get(key), dict):
            tensors = tensors[key]
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise InputError(f"{path} holds no state dict: save model.state_dict() to it.")
    return {key: _tensor(file, tensor, places, order) for key, tensor in tensors.items()}


def _read_zip(file):
    """What was saved, where its storages lie, `{key: (first byte, bytes)}`, and the byte order as NumPy's."""
    with open_zip(file) as archive:
        check_sums(archive)
        folder = archive.namelist()[0].partition("/")[0]
        if archive.getinfo(f"{folder}/data.pkl").file_size > _LONGEST_PICKLE:
            raise ValueError("its pickle is too long for a state dict")
        value, _ = read_pickle(io.BytesIO(archive.read(f"{folder}/data.pkl")))
        prefix = f"{folder}/data/"
        places = {
            member.filename.removeprefix(prefix): (member_start(file, member), member.file_size)
            for member in archive.infolist()
            if member.filename.startswith(prefix)
        }
        has_order = f"{folder}/byteorder" in archive.namelist()
        order = archive.read(f"{folder}/byteorder") if has_order else b"little"
    return value, places, {b"little": "<", b"big": ">"}[order]


def _read_legacy(file):
    """The same of the layout before PyTorch 1.6: five pickles, then each storage behind its length."""
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    pickles = io.BytesIO(file.read(_LONGEST_PICKLE))
    if read_pickle(pickles)[0] != _MAGIC:
        raise ValueError("it was not written by torch.save")
    read_pickle(pickles), read_pickle(pickles)  # Version and machine; numbers lie little-endian from any.
    value, storages = read_pickle(pickles)
    keys, _ = read_pickle(pickles)
    places, position = {}, pickles.tell()
    for key in map(str, keys):
        if key not in storages:
            raise ValueError(f"its storage {key!r} belongs to no tensor")
        file.seek(position)
        (size,) = struct.unpack("<q", file.read(8))
        if size != storages[key].size:
            raise ValueError(f"its storage {key!r} has another length than its tensors say")
        places[key] = position + 8, size * _item_size(storages[key])
        position += 8 + places[key][1]
        if not 0 <= size <= position <= end:
            raise ValueError(f"it ends within its storage {key!r}")
    return value, places, "<"


def _item_size(storage):
    return 2 if storage.type == "bfloat16" else np.dtype(storage.type).itemsize


def _tensor(file, tensor, places, order):
    storage, size = tensor.storage, _item_size(tensor.storage)
    if storage.key not in places or storage.size * size > places[storage.key][1]:
        raise ValueError(f"its storage {storage.key!r} is missing or shorter than its tensors say")
    is_bfloat16 = storage.type == "bfloat16"
    dtype = np.dtype("u2" if is_bfloat16 else storage.type).newbyteorder(order)
    first = storage.start + tensor.offset
    count = 1 + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True))

    def read():
        if 0 in tensor.shape:
            return np.empty(tensor.shape, dtype)
        file.seek(places[storage.key][0] + first * size)
        numbers = np.frombuffer(file.read(count * size), dtype, count)
        strides = [stride * size for stride in tensor.strides]
        view = np.lib.stride_tricks.as_strided(numbers, tensor.shape, strides, writeable=False)
        # In C order, since a view would hold all the numbers that it passes over.
        if is_bfloat16:  # The first half of a float32.
            return (view.astype("u4", order="C") << 16).view("f4")
        return view.astype(storage.type, order="C", copy=False)

    return LazyArray.of(tensor.shape, "f4" if is_bfloat16 else storage.type, read)
