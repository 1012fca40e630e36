"""The U-Nets (arXiv:1505.04597) and SegNet (arXiv:1511.00561) in plain PyTorch."""

import torch
from torch import nn
from torch.nn import functional

from .torch_encoders import VGG16, convolution, convolution_bn_relu, vgg16_stages


class DoubleConv(nn.Module):
    """Two 3x3 convolutions, each with batch norm and ReLU."""

    def __init__(self, inputs, outputs, middle=None):
        super().__init__()
        middle = middle or outputs
        self.conv1, self.bn1 = convolution(inputs, middle), nn.BatchNorm2d(middle)
        self.conv2, self.bn2 = convolution(middle, outputs), nn.BatchNorm2d(outputs)

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        return functional.relu(self.bn2(self.conv2(x)), inplace=True)


class Level(nn.Module):
    """A level of a U-Net: its convolutions, called `conv`, and on the way up perhaps its upsampling."""

    def __init__(self, inputs, outputs, middle=None, upsample=None):
        super().__init__()
        self.conv = DoubleConv(inputs, outputs, middle)
        if upsample is not None:
            self.upsample = upsample

    def forward(self, x):
        return self.conv(x)


class UNet(nn.Module):
    """A U-Net whose maps keep their size: Ronneberger, Fischer and Brox, 2015.

    Pools round down, and zeros around a doubled map bring it to the size of its skip.

    Args:
        num_classes: Classes C.
        widths: Channels on the way down, finest first.
        decoder_widths: Channels on the way up, coarsest first.
        transposed: Whether 2x2 transposed convolutions double the maps and halve the channels, as in the
            paper; else bilinear interpolation does.
    """

    def __init__(self, num_classes, widths, decoder_widths, transposed):
        super().__init__()
        self.depth = len(decoder_widths)
        self.stem = DoubleConv(3, widths[0])
        for level in range(1, self.depth + 1):
            self.add_module(f"down{level}", Level(*widths[level - 1 : level + 1]))
        below = widths[-1]
        for level, (skip, width) in enumerate(zip(widths[-2::-1], decoder_widths, strict=True), 1):
            doubled = below // 2 if transposed else below
            upsample = nn.ConvTranspose2d(below, doubled, 2, 2) if transposed else None
            joined = skip + doubled
            self.add_module(f"up{level}", Level(joined, width, joined // 2, upsample))
            below = width
        self.reduce = convolution(below, num_classes, 1)

    def forward(self, image):
        maps = [self.stem(image)]
        for level in range(1, self.depth + 1):
            maps.append(getattr(self, f"down{level}")(functional.max_pool2d(maps[-1], 2)))
        x = maps.pop()
        for level in range(1, self.depth + 1):
            up, skip = getattr(self, f"up{level}"), maps.pop()
            x = up.upsample(x) if hasattr(up, "upsample") else resize(x, [2 * size for size in x.shape[2:]])
            missing = [skip.shape[axis] - x.shape[axis] for axis in (3, 2)]
            x = functional.pad(x, [margin for m in missing for margin in (m // 2, m - m // 2)])
            x = up(torch.cat([skip, x], 1))
        return self.reduce(x)


def resize(x, size, align_corners=True):
    """Bilinear interpolation."""
    return functional.interpolate(x, size, mode="bilinear", align_corners=align_corners)


class UNetVGG16(nn.Module):
    """U-Net's way up on VGG16's five stages before their pools, which round up; bilinear upsampling."""

    def __init__(self, num_classes):
        super().__init__()
        layers = []
        for stage in vgg16_stages():
            layers += [*stage, nn.MaxPool2d(2, ceil_mode=True)]
        self.features = nn.Sequential(*layers[:-1])
        for level, (inputs, outputs) in enumerate(((1024, 512), (768, 256), (384, 128), (192, 64)), 1):
            self.add_module(f"up{level}", Level(inputs, outputs))
        self.reduce = convolution(64, num_classes, 1)

    def forward(self, x):
        skips = []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                skips.append(x)
            x = layer(x)
        for level in range(1, 5):
            skip = skips.pop()
            x = resize(x, skip.shape[2:], align_corners=False)
            x = getattr(self, f"up{level}")(torch.cat([skip, x], 1))
        return self.reduce(x)


class SegNet(nn.Module):
    """SegNet: VGG16 with batch norm, and its mirror image that unpools by the pools' indices."""

    def __init__(self, num_classes):
        super().__init__()
        self.stages = nn.ModuleList(nn.Sequential(*layers) for layers in vgg16_stages(batch_norm=True))
        self.decoders = nn.ModuleList()
        for stage in (5, 4, 3, 2, 1):
            width, depth = VGG16[stage - 1][0], len(VGG16[stage - 1])
            layers = [convolution_bn_relu(width, width, bias=True) for _ in range(depth - 1)]
            if stage == 1:
                layers.append(convolution(width, num_classes))
            else:
                layers.append(convolution_bn_relu(width, VGG16[stage - 2][0], bias=True))
            self.decoders.append(nn.Sequential(*layers))

    def forward(self, x):
        pooled = []
        for stage in self.stages:
            x = stage(x)
            size = x.shape
            x, indices = functional.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
            pooled.append((indices, size))
        for decoder in self.decoders:
            indices, size = pooled.pop()
            x = decoder(functional.max_unpool2d(x, indices, 2, 2, output_size=size))
        return x
