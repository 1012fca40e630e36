"""Types that several signatures share."""

import os
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

PathLike: TypeAlias = str | os.PathLike[str]
Shape: TypeAlias = tuple[int | None, ...]
Size: TypeAlias = tuple[int, int]  # Height and width in pixels
Colors: TypeAlias = Any  # What NumPy makes [C, 3] of
Tensor: TypeAlias = Any  # A tensor of any backend, or a KerasTensor while a model is built
Progress: TypeAlias = Callable[..., Iterable[Any]]  # Wraps what is worked on, as tqdm.tqdm does
