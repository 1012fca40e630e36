"""Writes the state dicts beside this file with PyTorch."""

from collections import OrderedDict

import torch

from tests.pretrained.pth_writer import LAYOUTS
from tests.pretrained.torch_files import FOLDER, expected


def state_dict():
    """The tensors of `expected`, some of which share a storage, one a parameter, one in another order."""
    # `tensor` copies, and so drops NumPy's strides.
    tensors = OrderedDict((key, torch.tensor(array)) for key, array in expected().items())
    table = tensors["table"]
    return OrderedDict(
        tensors,
        **{
            "conv.weight": torch.nn.Parameter(tensors["conv.weight"]),
            "bfloat16": tensors["bfloat16"].bfloat16(),
            "table.transposed": table.T,
            "table.part": table[1:5:2, 2:7:3],
            "table.row": table[3],
            "table.expanded": table[0, :1].expand(5, 4),
            "channels_last": tensors["channels_last"].contiguous(memory_format=torch.channels_last),
        },
    )


def main():
    tensors = state_dict()
    tensors._metadata = OrderedDict({"": {"version": 1}, "bn": {"version": 2}})  # As a module's has.
    optimizer = {
        "state": {0: {"step": 3, "momentum": torch.ones(2)}},
        "param_groups": [{"lr": 0.1, "params": [0]}],
    }
    for layout in LAYOUTS:
        is_zip = layout == "zip"
        torch.save(tensors, FOLDER / f"{layout}.pth", _use_new_zipfile_serialization=is_zip)
        for key in ("state_dict", "model"):
            checkpoint = {key: tensors, "optimizer": optimizer, "epoch": 12, "best": None, "done": True}
            path = FOLDER / f"{layout}_{key}.pth"
            torch.save(checkpoint, path, _use_new_zipfile_serialization=is_zip)


if __name__ == "__main__":
    main()
