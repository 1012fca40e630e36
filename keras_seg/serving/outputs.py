"""What an output of a server has to be: measured before its values are unpacked, and checked after that.

No server is believed: it may be another than was meant, broken, or hostile. What is wrong is a ValueError
here, and `errors.blaming` makes it the error of a request.
"""

import math
from typing import NamedTuple

import numpy as np

MAX_BYTES = (1 << 31) - 1  # What a protocol buffer holds
ENVELOPE = 1 << 20  # Bytes that a response may have beside the values of its outputs
MAX_CLASSES = 256  # What the uint8 values of a mask tell apart
MAX_RANK = 8


class Output(NamedTuple):
    """What an output has to be.

    Attributes:
        dtype: "uint8", "float32", or "object" for strings of bytes; None: any.
        shape: its lengths, None for one of 1 to 256, a tuple for one of these; None: any.
        max_string: bytes of a string at most.
        num_classes: what every uint8 value has to be below.
    """

    dtype: str | None = None
    shape: tuple | None = None
    max_string: int = 1 << 16
    num_classes: int = MAX_CLASSES

    @property
    def max_bytes(self):
        """Bytes of all values at most."""
        if self.shape is None:
            return MAX_BYTES
        value = self.max_string if self.dtype == "object" else np.dtype(self.dtype).itemsize
        return min(value * _count(self.shape), MAX_BYTES)

    @property
    def max_rows(self):
        """Innermost lists at most, where the values lie in nested lists."""
        return MAX_BYTES if self.shape is None else _count(self.shape[:-1])

    def check_kind(self, dtype, shape):
        """Raises ValueError where a type and a shape, which are only claimed so far, are wrong."""
        dtype = np.dtype(dtype)
        if self.dtype not in (None, dtype.name):
            raise ValueError(f"is {dtype.name}, not {self.dtype}")
        if len(shape) > MAX_RANK or any(length < 0 for length in shape):
            raise ValueError(f"has the impossible shape {list(shape[: MAX_RANK + 1])}")
        if self.shape is not None and not _fits(shape, self.shape):
            raise ValueError(f"has the shape {list(shape)}, not {list(self.shape)}")
        if math.prod(shape) * dtype.itemsize > MAX_BYTES:
            raise ValueError(f"claims to have more than {MAX_BYTES:,} bytes: {list(shape)}")

    def check_values(self, array):
        """Raises ValueError where a value is no class, or no number."""
        if array.dtype == np.uint8 and array.max(initial=0) >= self.num_classes:
            raise ValueError(f"has class {array.max()}, of a model with {self.num_classes} classes")
        if self.dtype == "float32" and not np.isfinite(array).all():
            raise ValueError("has values that are NaN or infinite")


def read_outputs(found, outputs, to_array):
    """Returns `{name: array}` of the outputs that were asked for.

    Args:
        found: `{name: value}` as a transport has it.
        outputs: `{name: Output}`.
        to_array: function of a value and its Output to an array.

    Raises:
        ValueError: one is missing or wrong; the text begins with its name.
    """
    arrays = {}
    for name, output in outputs.items():
        if name not in found:
            raise ValueError(f"{name} is missing")
        try:
            arrays[name] = to_array(found[name], output)
            output.check_values(arrays[name])
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None
    return arrays


def _count(shape):
    return math.prod(max(_choice(length)) for length in shape)


def _fits(shape, wanted):
    return len(shape) == len(wanted) and all(
        length in _choice(right) for length, right in zip(shape, wanted, strict=True)
    )


def _choice(length):
    if length is None:
        return range(1, MAX_CLASSES + 1)
    return length if isinstance(length, tuple) else (length,)
