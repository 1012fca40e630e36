"""Pickles in the place of state dicts: such as would run something, and tensors that claim what is not there.

Each is the pickle and a part of the line that refuses it.
"""

import pickle

import numpy as np

from tests.pretrained.pth_writer import Call, as_global, dumps, tensor
from tests.pretrained.torch_files import FOLDER

WEIGHT = np.arange(24, dtype="f4").reshape(4, 3, 2, 1)


def calling(module, name, *arguments):
    return dumps({"conv.weight": Call(as_global(module, name), *arguments)})


ENTRY = b"\x80\x02}(X\x0b\x00\x00\x00conv.weight"  # A dict whose value follows, then b"u."
HOSTILE = {
    "os.system": (calling("posix", "system", "touch ran"), "'posix.system'"),
    "eval": (calling("__builtin__", "eval", "open('ran', 'w')"), "'__builtin__.eval'"),
    "getattr": (calling("builtins", "getattr", 1, "x"), "'builtins.getattr'"),
    "torch.load": (calling("torch", "load", "other.pth"), "'torch.load'"),
    "numpy": (calling("numpy.core.multiarray", "scalar"), "'numpy.core.multiarray.scalar'"),
    "a dotted name": (calling("torch._utils", "_rebuild_tensor_v2.__globals__"), "__globals__"),
    "a name in two lines": (b"\x80\x02cos\nsys\rtem\n.", "os.sys"),
    "a class made": (b"\x80\x02csubprocess\nPopen\nX\x05\x00\x00\x00touch\x85\x81.", "'subprocess.Popen'"),
    "a parameter of a name": (ENTRY + b"ctorch.nn.parameter\nParameter\nh\x00\x85Ru.", "cannot be read (0)"),
    "a parameter of text": (
        ENTRY + b"ctorch.nn.parameter\nParameter\nX\x01\x00\x00\x00a\x85Ru.",
        "a str where",
    ),
    "an instance": (b"\x80\x02(S'touch ran'\nios\nsystem\n.", "instruction STRING"),
    "an instance without arguments": (b"\x80\x02(ios\nsystem\n.", "instruction INST"),
    "an extension": (b"\x80\x02\x82\x01.", "instruction EXT1"),
    "protocol 4": (pickle.dumps({}, protocol=4), "instruction MEMOIZE"),
    "attributes of a class": (b"\x80\x02ccollections\nOrderedDict\n}b.", "has a _Name where a dict belongs"),
    "a call of a string": (b"\x80\x02X\x02\x00\x00\x00os)R.", "has a str where a _Name belongs"),
    "a call of a storage": (b"\x80\x02ctorch\nFloatStorage\n)R.", "torch FloatStorage"),
    "no arguments": (ENTRY + b"ctorch._utils\n_rebuild_tensor_v2\n)Ru.", "missing 4 required"),
    "no end": (ENTRY, "cannot be read"),
    "an empty stack": (b"\x80\x02.", "pop from empty list"),
    "a memo that is not there": (b"\x80\x02h\x07.", "cannot be read (7)"),
    "a memo far out": (b"\x80\x02}r\xff\xff\xff\xff.", "has no key of this network"),
    "lists of lists": (b"\x80\x02]q\x00" + b"(h\x00h\x00e" * 100_000 + b".", "holds no state dict"),
    "a long string": (b"\x80\x02X\xff\xff\xff\xffshort", "expected 4294967295 bytes"),
    "deep lists": (b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".", "holds no state dict"),
    "a deep key": (b"\x80\x02})" + b"\x85" * 200_000 + b"Ns.", "has a tuple where a int belongs"),
    "too long": (b"\x80\x02" + b"N0" * 2_000_000 + b".", "cannot be read"),
    "a zip in a zip": ((FOLDER / "zip.pth").read_bytes(), "cannot be read"),
    "no dict": (dumps([tensor()]), "holds no state dict"),
    "a number": (dumps({"conv.weight": 3}), "holds no state dict"),
}
CLAIMS = {
    "beyond its storage": (tensor(offset=1), "goes beyond its storage"),
    "beyond by strides": (tensor(strides=(60, 2, 1, 1)), "goes beyond its storage"),
    "many numbers": (tensor(size=2**62), "0' "),
    "a large shape of one number": (tensor(shape=(2**40, 6), strides=(0, 0)), "3, 1099511627776) there"),
    "a shape without end": (tensor(shape=(2**62, 2**62), strides=(0, 0)), "cannot be read"),
    "a negative offset": (tensor(offset=-1), "has a size of -1"),
    "negative strides": (tensor(offset=23, strides=(-6, -2, -1, -1)), "has a size of -6"),
    "a negative length": (tensor(size=-24), "has a size of -24"),
    "other dimensions": (tensor(strides=(1,)), "zip() argument 2 is shorter"),
    "a path as a key": (tensor(key="../data.pkl"), "../data.pkl' is missing" ),
    "a storage that is not there": (tensor(key="1"), "1' is missing"),
    "another type's length": (tensor(kind=as_global("torch", "DoubleStorage")), "0' is missing or shorter"),
    "whole numbers": (tensor(kind=as_global("torch", "IntStorage")), "conv/kernel is int32 there"),
    "an unknown type": (tensor(kind=as_global("torch", "QInt8Storage")), "'torch.QInt8Storage'"),
    "to be negated": (tensor(changes=({"neg": True},)), "to be changed on reading: neg"),
}  # fmt: skip
