"""PyTorch's pickles, read by a machine that makes plain values and runs nothing of what they name.

A pickle is a program for a stack machine (CPython, Lib/pickletools.py). Python's own machine imports and
calls what a pickle names; this one knows the few names and instructions of which `torch.save` makes a state
dict, turns tensors into descriptions of where their numbers lie, and refuses the rest.
"""

import pickletools
from collections.abc import Callable
from typing import Any, NamedTuple


class Storage(NamedTuple):
    """Numbers of one type that lie in a file one after another.

    Attributes:
        type: NumPy's name of the type, or `bfloat16`.
        key: Its name in the file.
        start: Where it begins among the numbers of that name.
        size: How many numbers there are of that name.
    """

    type: str
    key: str
    start: int
    size: int


class Tensor(NamedTuple):
    """A view of a storage; offset and strides count numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple


class _Name(str):
    """What a pickle calls a function or class by: `module name`."""


_TYPES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_STORAGES = {f"{module} {name}": kind for module in ("torch", "torch.cuda") for name, kind in _TYPES.items()}
# Instructions that push their argument, and those that push what they are called by.
_ARGUMENTS = {
    "BININT",
    "BININT1",
    "BININT2",
    "LONG1",
    "BINFLOAT",
    "BINUNICODE",
    "BINSTRING",
    "SHORT_BINSTRING",
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_pickle(stream):
    """Reads one pickle.

    Args:
        stream: Binary file in memory; read up to the pickle's end.

    Returns:
        `(value, storages)`: what was pickled, of dicts, lists, tuples, numbers, strings and `Tensor`, and the
        storages that it names, `{key: Storage}`.

    Raises:
        ValueError: It names or does something that no state dict needs.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}
    storages: dict[Any, Any] = {}

    def pop_to_mark():
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    for opcode, argument, _ in pickletools.genops(stream):
        match opcode.name:
            case name if name in _ARGUMENTS:
                stack.append(argument)
            case name if name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "MARK":
                marks.append(len(stack))
            case "TUPLE":
                stack.append(tuple(pop_to_mark()))
            case name if name in _TUPLES:
                stack[-_TUPLES[name] :] = [tuple(stack[-_TUPLES[name] :])]
            case "APPEND" | "APPENDS" as name:
                items = pop_to_mark() if name == "APPENDS" else [stack.pop()]
                _expect(stack[-1], list).extend(items)
            case "SETITEM" | "SETITEMS" as name:
                items = pop_to_mark() if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
                _expect(stack[-1], dict).update(_items(zip(items[::2], items[1::2], strict=True)))
            case "GLOBAL":
                stack.append(_name(argument))
            case "REDUCE" | "NEWOBJ":
                arguments, maker = stack.pop(), stack.pop()
                stack.append(_MAKERS[_expect(maker, _Name)](*_expect(arguments, tuple)))
            case "BUILD":  # Attributes: an OrderedDict's `_metadata`, whether a parameter is trained.
                stack.pop()
                _expect(stack[-1], (dict, Tensor))
            case "BINPERSID":
                storage = _storage(*_expect(stack.pop(), tuple))
                storages[storage.key] = storage
                stack.append(storage)
            case "STOP":
                return stack.pop(), storages
            case "PROTO":
                pass
            case name:
                raise ValueError(f"its pickle has the instruction {name}, which no state dict needs")


def _name(argument):
    if argument not in _MAKERS and argument not in _STORAGES:
        raise ValueError(f"its pickle names {argument.replace(' ', '.')!r}; save model.state_dict() alone")
    return _Name(argument)


def _expect(value, kind):
    if not isinstance(value, kind):
        wanted = kind[0] if isinstance(kind, tuple) else kind
        raise ValueError(f"its pickle has a {type(value).__name__} where a {wanted.__name__} belongs")
    return value


def _items(pairs):
    """Pairs of a dict. Numbers become strings: chosen well, many of them would make a dict slow."""
    return {key if type(key) is str else str(_expect(key, int)): value for key, value in pairs}


def _ordered_dict(pairs=()):
    """Python 2 pickled the pairs as a list, to be used once: again and again, it would take for ever."""
    made = _items(pairs)
    if pairs:
        pairs.clear()
    return made


def _tensor(storage, offset, shape, strides, requires_grad=False, hooks=None, changes=None):
    _expect(storage, Storage)
    for number in (offset, *_expect(shape, tuple), *_expect(strides, tuple)):
        _size(number)
    if changes:
        raise ValueError(f"its pickle has a tensor that is to be changed on reading: {', '.join(changes)}")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if 0 not in shape and storage.start + last >= storage.size:
        raise ValueError(f"its pickle has a tensor of shape {shape} that goes beyond its storage")
    return Tensor(storage, offset, shape, strides)


def _storage(tag, name, key, location, size, view=None):
    if _expect(name, _Name) not in _STORAGES:
        raise ValueError(f"its pickle has {name!r} where a storage belongs")
    start = _expect(view, tuple)[1] if view else 0  # Before PyTorch 0.4 a storage could be a part of another.
    return Storage(_STORAGES[name], _expect(key, str), _size(start), _size(size))


def _size(number):
    if _expect(number, int) < 0:
        raise ValueError(f"its pickle has a size of {number}")
    return number


_MAKERS: dict[str, Callable[..., Any]] = {
    "collections OrderedDict": _ordered_dict,
    "torch._utils _rebuild_tensor": _tensor,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": lambda tensor, *_: _expect(tensor, Tensor),
    "torch.nn.parameter Parameter": lambda tensor: _expect(tensor, Tensor),  # Before PyTorch 0.4.
}
