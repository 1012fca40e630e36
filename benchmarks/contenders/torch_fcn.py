"""The FCNs in plain PyTorch: Long, Shelhamer and Darrell, 2015 (arXiv:1411.4038)."""

import itertools

import torch
from torch import nn
from torch.nn import functional

from .torch_encoders import (
    CaffeNet,
    ResNet,
    convolution,
    convolution_bn_relu,
    rounded_up_pool,
    vgg16_stages,
)

# Stride, name, channels, and the upsampling that meets it.
SKIPS = ((16, "pool4", 512, "upscore2"), (8, "pool3", 256, "upscore_pool4"))
# Where the authors' networks cut a skip's scores, and the last map, by the stride of the finest scores.
SKIP_OFFSETS, LAST_OFFSETS = {"pool4": 5, "pool3": 9}, {32: 19, 16: 27, 8: 31}


def upsampling(classes, factor, size=None, padding=0):
    """A transposed convolution that starts as bilinear upsampling of each class by itself."""
    layer = nn.ConvTranspose2d(classes, classes, size or 2 * factor, factor, padding, bias=False)
    size = layer.kernel_size[0]
    half = (size + 1) // 2
    tent = 1 - (torch.arange(size) - (half - 1 if size % 2 else half - 0.5)).abs() / half
    with torch.no_grad():
        layer.weight.copy_(torch.eye(classes)[:, :, None, None] * torch.outer(tent, tent))
    return layer


def cut(x, reference, offset=0):
    """As much of a map, from a row and column on, as a reference has."""
    height, width = reference.shape[2:]
    return x[:, :, offset : offset + height, offset : offset + width]


class FullyConvolutional(nn.Module):
    """VGG16's or CaffeNet's dense layers as convolutions, and the class scores."""

    def __init__(self, num_classes):
        super().__init__()
        self.num_classes = num_classes

    def add_head(self, inputs, size, padding):
        self.fc6, self.fc7 = nn.Conv2d(inputs, 4096, size, padding=padding), nn.Conv2d(4096, 4096, 1)
        self.score_fr = nn.Conv2d(4096, self.num_classes, 1)

    def head(self, x):
        for layer in (self.fc6, self.fc7):
            x = functional.dropout(functional.relu(layer(x), inplace=True), 0.5, self.training)
        return self.score_fr(x)


class FCN(FullyConvolutional):
    """FCN-32s, 16s or 8s: VGG16, fc6 with pad 3, skips, transposed convolutions that start as bilinear.

    As it is built for images of any size: pools round up, and what an upsampled map has too much is cut off
    below and on the right.

    Args:
        num_classes: Classes C.
        stride: Of the finest scores: 8, 16 or 32 pixels.
        scales: Factors on pool4 and pool3 before they are scored.
        is_original: Whether the geometry is that of the authors' Caffe network: an image padded by 100
            pixels, no other padding where maps shrink, maps cut at fixed offsets, and upsampling that stays
            bilinear.
    """

    def __init__(self, num_classes, stride=8, scales=(1.0, 1.0), is_original=False):
        super().__init__(num_classes)
        self.stride, self.is_original = stride, is_original
        self.stages = vgg16_stages()
        for stage, layers in enumerate(self.stages, 1):
            for index, layer in enumerate(layers[::2], 1):
                self.add_module(f"conv{stage}_{index}", layer)
        if is_original:
            self.conv1_1.padding = (100, 100)
        self.add_head(512, 7, 0 if is_original else 3)
        self.skips = [(*skip, scale) for skip, scale in zip(SKIPS, scales, strict=True) if skip[0] >= stride]
        for _, name, channels, upscore, _ in self.skips:
            self.add_module(f"score_{name}", nn.Conv2d(channels, num_classes, 1))
            self.add_upsampling(upscore, 2)
        self.last = "upscore" if stride == 32 else f"upscore{stride}"
        self.add_upsampling(self.last, stride)

    def add_upsampling(self, name, factor):
        layer = upsampling(self.num_classes, factor, padding=0 if self.is_original else factor // 2)
        self.add_module(name, layer.requires_grad_(not self.is_original))

    def forward(self, image):
        x, pools = image, {}
        for stage, layers in enumerate(self.stages, 1):
            for layer in layers:
                x = layer(x)
            x = pools[f"pool{stage}"] = rounded_up_pool(x)
        x = self.head(x)
        for _, name, _, upscore, scale in self.skips:
            x = getattr(self, upscore)(x)
            skip = pools[name] if scale == 1 else pools[name] * scale
            skip = getattr(self, f"score_{name}")(skip)
            x = x + cut(skip, x, SKIP_OFFSETS[name]) if self.is_original else cut(x, skip) + skip
        return cut(getattr(self, self.last)(x), image, LAST_OFFSETS[self.stride] if self.is_original else 0)


class FCNAlexNet(FullyConvolutional):
    """The authors' FCN-32s on CaffeNet."""

    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.encoder = CaffeNet()
        self.add_head(256, 6, 0)
        self.upscore = upsampling(num_classes, 32, 63).requires_grad_(False)

    def forward(self, image):
        return cut(self.upscore(self.head(self.encoder(image))), image, 18)


class FCN8ResNet(nn.Module):
    """FCN-8s on the last three stages of ResNet50, with the at-once network's scaled skips."""

    def __init__(self, num_classes):
        super().__init__()
        self.encoder = ResNet()
        self.scores = nn.ModuleList(nn.Conv2d(channels, num_classes, 1) for channels in (512, 1024, 2048))
        self.doublings = nn.ModuleList(upsampling(num_classes, 2, padding=1) for _ in range(2))
        self.upscore8 = upsampling(num_classes, 8, padding=4)

    def forward(self, image):
        _, _, c3, c4, c5 = self.encoder(image)
        x = self.scores[2](c5)
        skips = self.scores[1](c4 * 0.01), self.scores[0](c3 * 0.0001)
        for doubling, skip in zip(self.doublings, skips, strict=True):
            x = cut(doubling(x), skip) + skip
        return cut(self.upscore8(x), image)


class FCN8VGG16BN(nn.Module):
    """FCN-8s of features: VGG16 with batch norm, five transposed convolutions, scores at full size."""

    def __init__(self, num_classes):
        super().__init__()
        self.stages = nn.ModuleList(nn.Sequential(*layers) for layers in vgg16_stages(batch_norm=True))
        widths = (512, 512, 256, 256, 256, 256)
        self.doublings = nn.ModuleList(
            nn.ConvTranspose2d(inputs, outputs, 4, 2, 1) for inputs, outputs in itertools.pairwise(widths)
        )
        self.score = nn.Conv2d(256, num_classes, 1)

    def forward(self, image):
        x, pools = image, []
        for stage in self.stages:
            x = rounded_up_pool(stage(x))
            pools.append(x)
        for doubling, skip in zip(self.doublings, (pools[3], pools[2], None, None, None), strict=True):
            x = doubling(x)
            x = x if skip is None else cut(x, skip) + skip
        return cut(self.score(x), image)


class FCNResNet(nn.Module):
    """torchvision's FCN: a dilated ResNet, a 3x3 and a 1x1 convolution, bilinear upsampling."""

    def __init__(self, num_classes, encoder="resnet50"):
        super().__init__()
        self.encoder = ResNet(encoder, output_stride=8)
        self.head = nn.Sequential(
            convolution_bn_relu(2048, 512), nn.Dropout(0.1), convolution(512, num_classes, 1)
        )

    def forward(self, image):
        x = self.head(self.encoder(image)[-1])
        return functional.interpolate(x, image.shape[2:], mode="bilinear", align_corners=False)
