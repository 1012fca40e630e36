"""Writes `.pth` files in both layouts of `torch.save`, also such as it would not write."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np

LAYOUTS = ("zip", "legacy")


class Storage:
    """Stands for a storage while a pickle is written."""

    def __init__(self, *persistent_id):
        self.persistent_id = persistent_id


class Call:
    """Pickles as a call of whatever it is given, after which its result is given a state, if there is one."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.call


def as_global(module, name):
    """A class that pickles as `module.name`, whether or not that is installed."""
    return type(name, (), {"__module__": module, "__qualname__": name})


class Pickler(pickle._Pickler):
    """Python's own, which looks nothing up that it names."""

    def persistent_id(self, value):
        return getattr(value, "persistent_id", None) if isinstance(value, Storage) else None

    def save_type(self, value, name=None):
        self.write(pickle.GLOBAL + f"{value.__module__}\n{value.__qualname__}\n".encode())

    save_global = save_type
    dispatch = {**pickle._Pickler.dispatch, type: save_type}  # noqa: RUF012  (the name is Python's)


def dumps(value):
    stream = io.BytesIO()
    Pickler(stream, protocol=2).dump(value)
    return stream.getvalue()


FLOATS, LONGS = (as_global("torch", f"{name}Storage") for name in ("Float", "Long"))


def tensor(
    key="0", size=24, offset=0, shape=(4, 3, 2, 1), strides=(6, 2, 1, 1), kind=FLOATS, view=(), changes=()
):
    """A tensor, of 24 numbers in C order unless it is told otherwise."""
    storage = Storage("storage", kind, key, "cpu", size, *view)
    rebuild = as_global("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, storage, offset, shape, strides, False, OrderedDict(), *changes)


def write_pickle(path, layout, pickled, storages, lengths=None):
    """Writes a pickle and its storages, `{key: array}`, as `torch.save` lays them out."""
    if layout == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("net/data.pkl", pickled)
            for key, array in storages.items():
                archive.writestr(f"net/data/{key}", array.tobytes())
        return path
    with path.open("wb") as file:
        file.write(dumps(0x1950A86A20F9469CFC6C) + dumps(1001) + dumps({"little_endian": True}))
        file.write(pickled + dumps(list(storages)))
        for key, array in storages.items():
            file.write(struct.pack("<q", (lengths or {}).get(key, array.size)) + array.tobytes())
    return path


def write_pth(path, layout, arrays, nested=False):
    """Writes a state dict of float32 or int64 arrays, or a checkpoint that holds it."""
    tensors, storages = OrderedDict(), {}
    for index, (name, array) in enumerate(arrays.items()):
        array = np.array(array, order="C")
        strides = tuple(stride // array.itemsize for stride in array.strides)
        storages[str(index)] = array
        kind = LONGS if array.dtype.kind == "i" else FLOATS
        tensors[name] = tensor(str(index), array.size, 0, array.shape, strides, kind)
    write_pickle(path, layout, dumps({"state_dict": tensors, "epoch": 3} if nested else tensors), storages)
