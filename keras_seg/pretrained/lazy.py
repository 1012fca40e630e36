"""Arrays of files that are read only once they are known to fit."""

import numpy as np


class LazyArray:
    """An array of a file, of known shape and type, whose numbers are read when NumPy asks for them.

    It is transposed, reshaped and sliced as an array is, without being read.

    Args:
        outline: An array of that shape and type, made by `np.broadcast_to`, so that it takes no memory.
        read: Function that returns the array.
    """

    def __init__(self, outline, read):
        self._outline, self._read = outline, read
        self.shape, self.ndim, self.dtype = outline.shape, outline.ndim, outline.dtype

    @classmethod
    def of(cls, shape, dtype, read):
        """The array of a shape and type that `read` returns."""
        return cls(np.broadcast_to(np.zeros((), dtype), shape), read)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self._read(), dtype)  # Read anew each time, so it is a copy already.

    def __getitem__(self, key):
        return self._changed(lambda array: array[key])

    @property
    def T(self):  # noqa: N802  (NumPy's name)
        return self.transpose()

    def transpose(self, *axes):
        return self._changed(lambda array: array.transpose(*axes))

    def reshape(self, *shape):
        return self._changed(lambda array: array.reshape(*shape))

    def _changed(self, change):
        return LazyArray(change(self._outline), lambda: change(np.asarray(self)))
