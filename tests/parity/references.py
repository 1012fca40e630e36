"""`python -m tests.parity.references FOLDER`: answers for the networks that came without a reference's.

torchvision's own networks on ResNet101, and the others written in plain PyTorch from their papers; needs
`torch` and `torchvision`. It wrote those fixtures of `tests/parity/fixtures` whose names it lists in
`REFERENCES`.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tests.parity import tensor

CLASSES = 21
SIZE = (71, 101)  # Odd, and no multiple of any stride.
SALT, INPUT_SCALE = "a", 10
STRIDE = 3  # Of the pixels that a fixture keeps: coprime to every upsampling, so each phase is among them.
VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
KINDS = {"running_mean": "mean", "running_var": "var", "bias": "bias"}


def convolution(inputs, outputs, size=3):
    return nn.Conv2d(inputs, outputs, size, padding=size // 2)


def vgg16_stages():
    """VGG16's convolutions, `{"conv1_1": ...}` in five dicts."""
    stages, depth = [], 3
    for stage, widths in enumerate(VGG16, 1):
        layers = {}
        for index, width in enumerate(widths, 1):
            layers[f"conv{stage}_{index}"] = convolution(depth, width)
            depth = width
        stages.append(layers)
    return stages


class FCN(nn.Module):
    """FCN-32s, 16s or 8s: VGG16, fc6 with pad 3, skips, transposed convolutions that start as bilinear.

    Long, Shelhamer and Darrell, 2015, as it is built for images of any size: pools round up, and what an
    upsampled map has too much is cut off below and on the right.
    """

    def __init__(self, stride, scales=(1.0, 1.0)):
        super().__init__()
        self.stride, self.scales = stride, scales
        self.stages = vgg16_stages()
        for stage in self.stages:
            for name, layer in stage.items():
                self.add_module(name, layer)
        self.fc6, self.fc7 = convolution(512, 4096, 7), convolution(4096, 4096, 1)
        self.score_fr = convolution(4096, CLASSES, 1)
        if stride <= 16:
            self.score_pool4, self.upscore2 = convolution(512, CLASSES, 1), self.doubling(2)
        if stride <= 8:
            self.score_pool3, self.upscore_pool4 = convolution(256, CLASSES, 1), self.doubling(2)
        self.last = "upscore" if stride == 32 else f"upscore{stride}"
        self.add_module(self.last, self.doubling(stride))

    @staticmethod
    def doubling(factor):
        return nn.ConvTranspose2d(CLASSES, CLASSES, 2 * factor, factor, padding=factor // 2, bias=False)

    def forward(self, image):
        x, pools = image, []
        for stage in self.stages:
            for layer in stage.values():
                x = functional.relu(layer(x))
            x = functional.max_pool2d(x, 2, 2, ceil_mode=True)
            pools.append(x)
        x = self.score_fr(functional.relu(self.fc7(functional.relu(self.fc6(x)))))
        if self.stride <= 16:
            skip = self.score_pool4(pools[3] * self.scales[0])
            x = self.upscore2(x)[:, :, : skip.shape[2], : skip.shape[3]] + skip
        if self.stride <= 8:
            skip = self.score_pool3(pools[2] * self.scales[1])
            x = self.upscore_pool4(x)[:, :, : skip.shape[2], : skip.shape[3]] + skip
        x = getattr(self, self.last)(x)
        return x[:, :, : image.shape[2], : image.shape[3]]


class DoubleConv(nn.Module):
    """Two 3x3 convolutions, each with batch norm and ReLU."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv1, self.bn1 = convolution(inputs, outputs), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = convolution(outputs, outputs), nn.BatchNorm2d(outputs)

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)))


class Level(nn.Module):
    """A level of a U-Net: its convolutions, called `conv`, and on the way up perhaps its upsampling."""

    def __init__(self, inputs, outputs, upsample=None):
        super().__init__()
        self.conv = DoubleConv(inputs, outputs)
        if upsample is not None:
            self.upsample = upsample

    def forward(self, x):
        return self.conv(x)


class UNet(nn.Module):
    """The paper's widths: Ronneberger, Fischer and Brox, 2015, with maps that keep their size.

    Pools round down, 2x2 transposed convolutions double the maps and halve the channels, and zeros around
    a doubled map bring it to the size of its skip.
    """

    def __init__(self):
        super().__init__()
        self.stem = DoubleConv(3, 64)
        for level in range(1, 5):
            self.add_module(f"down{level}", Level(32 << level, 64 << level))
        for level in range(1, 5):
            width = 1024 >> level
            upsample = nn.ConvTranspose2d(2 * width, width, 2, 2)
            self.add_module(f"up{level}", Level(2 * width, width, upsample))
        self.reduce = convolution(64, CLASSES, 1)

    def forward(self, image):
        maps = [self.stem(image)]
        for level in range(1, 5):
            maps.append(getattr(self, f"down{level}")(functional.max_pool2d(maps[-1], 2)))
        x = maps.pop()
        for level in range(1, 5):
            up, skip = getattr(self, f"up{level}"), maps.pop()
            x = up.upsample(x)
            missing = [skip.shape[axis] - x.shape[axis] for axis in (3, 2)]
            x = functional.pad(x, [margin for m in missing for margin in (m // 2, m - m // 2)])
            x = up(torch.cat([skip, x], 1))
        return self.reduce(x)


class UNetVGG16(nn.Module):
    """U-Net's way up on VGG16's five stages before their pools, which round up; bilinear upsampling."""

    def __init__(self):
        super().__init__()
        layers = []
        for stage in vgg16_stages():
            for layer in stage.values():
                layers += [layer, nn.ReLU()]
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        self.features = nn.Sequential(*layers[:-1])
        for level, (inputs, outputs) in enumerate(((1024, 512), (768, 256), (384, 128), (192, 64)), 1):
            self.add_module(f"up{level}", Level(inputs, outputs))
        self.reduce = convolution(64, CLASSES, 1)

    def forward(self, x):
        skips = []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                skips.append(x)
            x = layer(x)
        for level in range(1, 5):
            skip = skips.pop()
            x = functional.interpolate(x, skip.shape[2:], mode="bilinear", align_corners=False)
            x = getattr(self, f"up{level}")(torch.cat([skip, x], 1))
        return self.reduce(x)


def torchvision_network(name):
    """One of torchvision's segmentation networks, with its auxiliary head."""
    from torchvision.models import segmentation  # The others do without torchvision.

    build = getattr(segmentation, name)
    return build(weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=True)


# Fixture -> how to build the reference.
REFERENCES = {
    "fcn8": partial(FCN, 8),
    "fcn16": partial(FCN, 16),
    "fcn32": partial(FCN, 32),
    "fcn8_atonce": partial(FCN, 8, (0.01, 0.0001)),
    "unet_paper": UNet,
    "unet_vgg16": UNetVGG16,
    "torchvision-fcn_resnet101": partial(torchvision_network, "fcn_resnet101"),
    "torchvision-deeplabv3_resnet101": partial(torchvision_network, "deeplabv3_resnet101"),
}


def describe(module):
    """The fixture's `.json` for a reference: how to make its parameters and its input."""
    return {
        "salt": SALT,
        "input": [1, 3, *SIZE],
        "input_scale": INPUT_SCALE,
        "stride": STRIDE,
        "framework": "torch",
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
    fixture = describe(module)
    (Path(folder) / f"{name}.json").write_text(json.dumps(fixture, indent=0) + "\n", encoding="utf-8")
    np.savez_compressed(Path(folder) / f"{name}.npz", **answer(module, fixture))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.parity.references")
    parser.add_argument("folder", type=Path)
    for name in REFERENCES:
        print(name, flush=True)
        write(name, parser.parse_args().folder)
