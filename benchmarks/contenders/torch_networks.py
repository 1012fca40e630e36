"""The networks of `speed.py` in PyTorch: torchvision's, or written on torchvision's encoders."""

import importlib
import sys

import torch
from torch import nn
from torch.nn.functional import interpolate


def import_models():
    """torchvision's networks, also where its compiled operators do not fit PyTorch's build for CPUs alone."""
    try:
        return importlib.import_module("torchvision.models")
    except RuntimeError:
        # The networks need none of the operators, but importing them wants these two to be declared.
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou) -> Tensor")
        return importlib.import_module("torchvision.models")


models = import_models()
BINS = (1, 2, 3, 6)


class FCN8(nn.Module):
    """FCN-8s on torchvision's VGG16, with padding 3 at fc6 and maps that are cropped to their skips.

    Args:
        num_classes: Classes C.
        is_original: Whether the geometry is that of the authors' Caffe network: an image padded by 100
            pixels, no other padding where maps shrink, and maps cut at fixed offsets.
    """

    def __init__(self, num_classes, is_original=False):
        super().__init__()
        self.is_original = is_original
        features = models.vgg16(weights=None).features
        for layer in features:
            if isinstance(layer, nn.MaxPool2d):
                layer.ceil_mode = True
        if is_original:
            features[0].padding = (100, 100)
        self.stages = nn.ModuleList((features[:17], features[17:24], features[24:]))
        self.head = nn.Sequential(
            nn.Conv2d(512, 4096, 7, padding=0 if is_original else 3),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Conv2d(4096, 4096, 1),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Conv2d(4096, num_classes, 1),
        )
        self.scores = nn.ModuleList(nn.Conv2d(channels, num_classes, 1) for channels in (512, 256))
        self.upsamplings = nn.ModuleList(
            nn.ConvTranspose2d(
                num_classes, num_classes, 2 * factor, factor, 0 if is_original else factor // 2, bias=False
            )
            for factor in (2, 2, 8)
        )

    def forward(self, image):
        pool3 = self.stages[0](image)
        pool4 = self.stages[1](pool3)
        x = self.head(self.stages[2](pool4))
        offsets = (5, 9, 31) if self.is_original else (0, 0, 0)
        for index, pool in enumerate((pool4, pool3)):
            x, skip = self.upsamplings[index](x), self.scores[index](pool)
            if self.is_original:
                skip = cut(skip, x, offsets[index])
            else:
                x = cut(x, skip, 0)
            x = x + skip
        return cut(self.upsamplings[2](x), image, offsets[2])


def cut(x, reference, offset):
    height, width = reference.shape[2:]
    return x[:, :, offset : offset + height, offset : offset + width]


class PSPNet(nn.Module):
    """PSPNet on torchvision's ResNet50 with output stride 16."""

    def __init__(self, num_classes):
        super().__init__()
        resnet = models.resnet50(weights=None, replace_stride_with_dilation=(False, False, True))
        self.encoder = nn.Sequential(*list(resnet.children())[:-2])
        self.branches = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(bins), *convolution(2048, 512, 1)) for bins in BINS
        )
        self.head = nn.Sequential(
            *convolution(2048 + 512 * len(BINS), 512, 3), nn.Dropout2d(0.1), nn.Conv2d(512, num_classes, 1)
        )

    def forward(self, image):
        x = self.encoder(image)
        size = x.shape[2:]
        maps = [interpolate(branch(x), size, mode="bilinear", align_corners=True) for branch in self.branches]
        x = self.head(torch.cat([x, *maps], 1))
        return interpolate(x, image.shape[2:], mode="bilinear", align_corners=True)


def convolution(inputs, outputs, size):
    return (
        nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class TorchvisionNetwork(nn.Module):
    """A network of `torchvision.models.segmentation`, without its auxiliary head, to logits alone."""

    def __init__(self, name, num_classes):
        super().__init__()
        build = getattr(models.segmentation, name)
        self.network = build(weights=None, weights_backbone=None, num_classes=num_classes, aux_loss=False)

    def forward(self, image):
        return self.network(image)["out"]


def build(network, num_classes):
    """Returns the counterpart of a network of keras_seg."""
    if network in ("fcn8", "fcn8_caffe"):
        return FCN8(num_classes, is_original=network == "fcn8_caffe")
    return PSPNet(num_classes) if network == "pspnet" else TorchvisionNetwork(network, num_classes)
