"""The papers' own forms of networks of which the seeds have others: plain PyTorch, written apart from ours.

FastFCN's JPU and head, RefineNet's residual unit and U-Net's valid convolutions, as the papers and their
authors' code describe them. Their keys are those of the seeds' networks where these have the same part.
"""

import math

import torch
from torch import nn
from torch.nn import functional

from benchmarks.contenders.torch_encoders import ResNet


def stretch(x, size):
    """Bilinear, corners aligned."""
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=True)


class Convolution(nn.Module):
    """`conv`, `bn` and ReLU; with `groups` a depthwise convolution and its normalization before."""

    def __init__(self, inputs, outputs, size, dilation=1, separable=False):
        super().__init__()
        self.separable = separable
        if separable:
            self.depthwise = nn.Conv2d(
                inputs, inputs, 3, padding=dilation, dilation=dilation, groups=inputs, bias=False
            )
            self.depthwise_bn = nn.BatchNorm2d(inputs)
            self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        else:
            padding = dilation * (size // 2)
            self.conv = nn.Conv2d(inputs, outputs, size, padding=padding, dilation=dilation, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        if self.separable:
            x = self.depthwise_bn(self.depthwise(x))
        return torch.relu(self.bn(self.conv(x)))


class JPU(nn.Module):
    """Joint pyramid upsampling: the coarsest stage first, four separable convolutions beside each other."""

    def __init__(self):
        super().__init__()
        self.conv2, self.conv3, self.conv4 = (Convolution(n, 512, 3) for n in (512, 1024, 2048))
        self.dilated_convs = nn.ModuleList(
            Convolution(1536, 512, 3, rate, separable=True) for rate in (1, 2, 4, 8)
        )

    def forward(self, c3, c4, c5):
        fine = self.conv2(c3)
        size = fine.shape[-2:]
        joined = torch.cat((stretch(self.conv4(c5), size), stretch(self.conv3(c4), size), fine), dim=1)
        return torch.cat([convolve(joined) for convolve in self.dilated_convs], dim=1)


class ASPP(nn.Module):
    """A 1x1, three dilated 3x3 and the mean of the map, side by side, and their projection."""

    def __init__(self):
        super().__init__()
        branches = [Convolution(2048, 256, 1)]
        branches += [Convolution(2048, 256, 3, rate) for rate in (12, 24, 36)]
        mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), Convolution(2048, 256, 1))
        self.convs = nn.ModuleList([*branches, mean])
        self.project = Convolution(5 * 256, 256, 1)

    def forward(self, x):
        *branches, mean = (branch(x) for branch in self.convs)
        return self.project(torch.cat((*branches, mean.expand(-1, -1, *x.shape[-2:])), dim=1))


class FastFCN(nn.Module):
    """FastFCN on ResNet50 of output stride 32 with DeepLab v3's head."""

    def __init__(self, num_classes):
        super().__init__()
        self.backbone, self.jpu = ResNet("resnet50", 32), JPU()
        self.head = nn.ModuleDict(
            {"ASPP": ASPP(), "block": Convolution(256, 256, 3), "classifier": nn.Conv2d(256, num_classes, 1)}
        )

    def forward(self, image):
        x = self.jpu(*self.backbone(image)[2:])
        x = self.head["classifier"](self.head["block"](self.head["ASPP"](x)))
        return stretch(x, image.shape[-2:])


def plain(inputs, outputs, bias=False):
    """A 3x3 convolution that keeps the size of its map."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)


class Unit(nn.Module):
    """A residual convolution unit: the input itself is added."""

    def __init__(self, width):
        super().__init__()
        self.rcu = nn.Sequential(nn.ReLU(), plain(width, width, bias=True), nn.ReLU(), plain(width, width))

    def forward(self, x):
        return x + self.rcu(x)


class Block(nn.Module):
    """A RefineNet block: the coarser block's output, if there is one, and a stage of the encoder, refined."""

    def __init__(self, widths):
        super().__init__()
        last = widths[-1]
        self.rcu = nn.ModuleList(nn.Sequential(Unit(width), Unit(width)) for width in widths)
        if len(widths) > 1:
            self.mrf = nn.ModuleDict({f"resolve{i}": plain(width, last) for i, width in enumerate(widths)})
        pools = (nn.Sequential(nn.MaxPool2d(5, 1, 2), plain(last, last)) for _ in range(2))
        self.crp = nn.ModuleDict({f"block{i}": pool for i, pool in enumerate(pools, 1)})
        self.output_conv = Unit(last)

    def forward(self, *paths):
        paths = [units(path) for units, path in zip(self.rcu, paths, strict=True)]
        if len(paths) > 1:
            paths = [self.mrf[f"resolve{i}"](path) for i, path in enumerate(paths)]
            paths = [stretch(paths[0], paths[1].shape[-2:]) + paths[1]]
        x = torch.relu(paths[0])
        first = self.crp["block1"](x)
        return self.output_conv(x + first + self.crp["block2"](first))


class RefineNet(nn.Module):
    """RefineNet on ResNet50, with the residual units of the paper."""

    def __init__(self, num_classes):
        super().__init__()
        self.backbone = ResNet("resnet50", 32)
        for level, channels in enumerate(((256, 256), (512, 256), (1024, 256), (2048, 512)), 1):
            self.add_module(f"layer{level}_reduce", plain(*channels))
        for level, widths in ((4, (512,)), (3, (512, 256)), (2, (256, 256)), (1, (256, 256))):
            self.add_module(f"refinenet{level}", Block(widths))
        self.output_conv = nn.Sequential(nn.Sequential(Unit(256), Unit(256)), nn.Conv2d(256, num_classes, 1))

    def forward(self, image):
        stages = self.backbone(image)
        paths = []
        for level in (4, 3, 2, 1):
            paths.append(getattr(self, f"layer{level}_reduce")(stages[level]))
            paths = [getattr(self, f"refinenet{level}")(*paths)]
        return stretch(self.output_conv(paths[0]), image.shape[-2:])


class Pair(nn.Module):
    """Two 3x3 convolutions without padding, and ReLUs."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(inputs, outputs, 3), nn.Conv2d(outputs, outputs, 3)

    def forward(self, x):
        return torch.relu(self.conv2(torch.relu(self.conv1(x))))


class Up(nn.Module):
    """2x2 up-convolution with ReLU, the middle of the skip beside it, and two convolutions."""

    def __init__(self, inputs):
        super().__init__()
        self.upsample = nn.ConvTranspose2d(inputs, inputs // 2, 2, stride=2)
        self.conv = Pair(inputs, inputs // 2)

    def forward(self, x, skip):
        x = torch.relu(self.upsample(x))
        top, left = ((s - n) // 2 for s, n in zip(skip.shape[-2:], x.shape[-2:], strict=True))
        skip = skip[..., top : top + x.shape[-2], left : left + x.shape[-1]]
        return self.conv(torch.cat((skip, x), dim=1))


class UNet(nn.Module):
    """U-Net as published, over an image that is mirrored until the labels cover it: 388 of 572 pixels."""

    def __init__(self, num_classes):
        super().__init__()
        self.stem = Pair(3, 64)
        for level, width in enumerate((64, 128, 256, 512), 1):
            self.add_module(f"down{level}", nn.ModuleDict({"conv": Pair(width, 2 * width)}))
            self.add_module(f"up{level}", Up(1024 >> (level - 1)))
        self.reduce = nn.Conv2d(64, num_classes, 1)

    def forward(self, image):
        height, width = image.shape[-2:]
        # The labels' sides are 16 n + 4; `reflect` alone cannot pad by more than the image has, so in steps.
        bottom, right = (16 * math.ceil((side - 4) / 16) + 4 - side for side in (height, width))
        rest = [92, 92 + right, 92, 92 + bottom]
        x = image
        while any(rest):
            sides = (x.shape[-1], x.shape[-1], x.shape[-2], x.shape[-2])
            now = [min(pixels, side - 1) for pixels, side in zip(rest, sides, strict=True)]
            x = functional.pad(x, now, mode="reflect")
            rest = [pixels - done for pixels, done in zip(rest, now, strict=True)]
        skips = [self.stem(x)]
        for level in range(1, 5):
            pooled = functional.max_pool2d(skips[-1], 2)
            skips.append(getattr(self, f"down{level}")["conv"](pooled))
        x = skips.pop()
        for level in range(1, 5):
            x = getattr(self, f"up{level}")(x, skips.pop())
        return self.reduce(x)[..., :height, :width]
