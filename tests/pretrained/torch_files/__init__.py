"""State dicts that PyTorch itself wrote, in both its layouts, and what is in them.

`python -m tests.pretrained.torch_files` wrote the files beside this one, with PyTorch 2.13; only that needs
PyTorch.
"""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
TYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")


def numbers(*shape, dtype="float32"):
    """Quarters from -1.25 up, which every floating type holds exactly; integers from 0 up for the rest."""
    count = np.arange(np.prod(shape, dtype=int))
    return ((count - 5) / 4 if dtype.startswith("float") else count).astype(dtype).reshape(shape)


def expected():
    """What the files hold, `{key: array}`; bfloat16 as float32."""
    table = numbers(6, 8)
    return {
        "conv.weight": numbers(4, 3, 3, 3),
        "conv.bias": numbers(4),
        "bn.weight": numbers(4),
        "bn.num_batches_tracked": np.array(7),
        "bfloat16": numbers(2, 3),
        **{name: numbers(2, 3, dtype=name) for name in TYPES},
        "table": table,
        "table.transposed": table.T,
        "table.part": table[1:5:2, 2:7:3],
        "table.row": table[3],
        "table.expanded": np.broadcast_to(table[0, :1], (5, 4)),
        "channels_last": numbers(2, 3, 4, 5),
        "empty": numbers(0, 3),
    }
