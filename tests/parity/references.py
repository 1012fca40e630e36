"""`python -m tests.parity.references FOLDER`: answers for the networks that came without a reference's.

torchvision's own networks on ResNet101, and some of those that the benchmarks have in plain PyTorch, written
from their papers; needs `torch` and `torchvision`. It wrote those fixtures of `tests/parity/fixtures` whose
names it lists in `REFERENCES`.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.contenders.torch_networks import build
from tests.parity import PUBLISHED, papers, tensor

CLASSES = 21
SIZE = (71, 101)  # Odd, and no multiple of any stride.
SALT, INPUT_SCALE = "a", 10
STRIDE = 3  # Of the pixels that a fixture keeps: coprime to every upsampling, so each phase is among them.
KINDS = {"running_mean": "mean", "running_var": "var", "bias": "bias"}


def torchvision_network(name):
    """One of torchvision's segmentation networks, with its auxiliary head."""
    from torchvision.models import segmentation  # The others do without torchvision.

    build = getattr(segmentation, name)
    return build(weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=True)


# Fixture -> how to build the reference.
REFERENCES = {
    **{
        name: partial(build, name, CLASSES)
        for name in ("fcn8", "fcn16", "fcn32", "fcn8_atonce", "unet_paper", "unet_vgg16")
    },
    **{
        f"{name}{PUBLISHED}": partial(network, CLASSES)
        for name, network in {
            "fastfcn": papers.FastFCN,
            "refinenet": papers.RefineNet,
            "unet_paper": papers.UNet,
        }.items()
    },
    "torchvision-fcn_resnet101": partial(torchvision_network, "fcn_resnet101"),
    "torchvision-deeplabv3_resnet101": partial(torchvision_network, "deeplabv3_resnet101"),
}


def options(name):
    """What `describe` says of a fixture besides its reference: the options of our network, if it has some."""
    return {"options": {"as_published": True}} if name.endswith(PUBLISHED) else {}


def describe(module, **more):
    """The fixture's `.json` for a reference: how to make its parameters and its input."""
    return {
        "salt": SALT,
        "input": [1, 3, *SIZE],
        "input_scale": INPUT_SCALE,
        "stride": STRIDE,
        "framework": "torch",
        **more,
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "tensors": {
            key: [list(value.shape), _kind(key, value)]
            for key, value in module.state_dict().items()
            if not key.endswith("num_batches_tracked")
        },
    }


def _kind(key, value):
    kind = "kernel" if value.ndim == 4 else "scale"
    return KINDS.get(key.rpartition(".")[2], kind)


def answer(module, fixture):
    """A reference's answers to the fixture's input, `{output: [1, C, h, w]}`, thinned out by its stride."""
    salt = fixture["salt"]
    tensors = {key: torch.from_numpy(tensor(key, *entry, salt)) for key, entry in fixture["tensors"].items()}
    module.load_state_dict(tensors, strict=False)
    image = tensor("input", fixture["input"], "bias", salt) * np.float32(fixture["input_scale"])
    with torch.inference_mode():
        outputs = module.eval()(torch.from_numpy(image))
    outputs = outputs if isinstance(outputs, dict) else {"out": outputs}
    step = fixture["stride"]
    return {key: value[:, :, ::step, ::step].numpy() for key, value in outputs.items()}


def write(name, folder):
    """Writes the fixture of a key of `REFERENCES`: `NAME.json` and `NAME.npz`."""
    module = REFERENCES[name]()
    fixture = describe(module, **options(name))
    (Path(folder) / f"{name}.json").write_text(json.dumps(fixture, indent=0) + "\n", encoding="utf-8")
    np.savez_compressed(Path(folder) / f"{name}.npz", **answer(module, fixture))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.parity.references")
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", metavar="FIXTURE", default=list(REFERENCES))
    arguments = parser.parse_args()
    for name in arguments.names:
        print(name, flush=True)
        write(name, arguments.folder)
