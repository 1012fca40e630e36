"""PSPNet, the DeepLabs, FastFCN and RefineNet in plain PyTorch, as keras_seg cites them."""

import torch
from torch import nn
from torch.nn import functional

from .torch_encoders import ResNet, convolution, convolution_bn_relu, vgg16_stages
from .torch_unet import resize

BINS = (1, 2, 3, 6)


class PSPNet(nn.Module):
    """PSPNet on ResNet50 with output stride 16."""

    def __init__(self, num_classes):
        super().__init__()
        self.encoder = ResNet(output_stride=16)
        self.branches = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(bins), convolution_bn_relu(2048, 512, 1)) for bins in BINS
        )
        self.head = nn.Sequential(
            convolution_bn_relu(2048 + 512 * len(BINS), 512),
            nn.Dropout2d(0.1),
            nn.Conv2d(512, num_classes, 1),
        )

    def forward(self, image):
        x = self.encoder(image)[-1]
        maps = [resize(branch(x), x.shape[2:]) for branch in self.branches]
        return resize(self.head(torch.cat([x, *maps], 1)), image.shape[2:])


class DeepLabV1(nn.Module):
    """DeepLab-LargeFOV: VGG16 at output stride 8, its fc6 a 3x3 convolution of dilation 12."""

    def __init__(self, num_classes):
        super().__init__()
        layers = []
        for stage, stride in zip(vgg16_stages(last_dilation=2), (2, 2, 2, 1, 1), strict=True):
            layers += [*stage, nn.MaxPool2d(3, stride, 1)]
        layers.append(nn.AvgPool2d(3, 1, 1))
        for inputs, size, dilation in ((512, 3, 12), (1024, 1, 1)):
            layers += [convolution(inputs, 1024, size, dilation), nn.ReLU(inplace=True), nn.Dropout(0.5)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(1024, num_classes, 1))

    def forward(self, image):
        return resize(self.layers(image), image.shape[2:])


class DeepLabV2(nn.Module):
    """DeepLab v2: the sum of one classifier for each rate over a dilated ResNet50."""

    def __init__(self, num_classes):
        super().__init__()
        self.encoder = ResNet(output_stride=8)
        self.aspp = nn.ModuleList(convolution(2048, num_classes, 3, rate) for rate in (6, 12, 18, 24))

    def forward(self, image):
        x = self.encoder(image)[-1]
        return resize(sum(classifier(x) for classifier in self.aspp), image.shape[2:])


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: a 1x1, a dilated 3x3 for each rate and the image's mean, projected."""

    def __init__(self, rates, dropout=0.5):
        super().__init__()
        self.branches = nn.ModuleList([convolution_bn_relu(2048, 256, 1)])
        self.branches.extend(convolution_bn_relu(2048, 256, 3, rate) for rate in rates)
        self.mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), convolution_bn_relu(2048, 256, 1))
        self.project = nn.Sequential(convolution_bn_relu(256 * (len(rates) + 2), 256, 1), nn.Dropout(dropout))

    def forward(self, x):
        maps = [branch(x) for branch in self.branches]
        maps.append(resize(self.mean(x), x.shape[2:], align_corners=False))
        return self.project(torch.cat(maps, 1))


class DeepLabV3(nn.Module):
    """DeepLab v3; torchvision's has output stride 8 and the rates 12, 24 and 36."""

    def __init__(self, num_classes, encoder="resnet50", output_stride=8, rates=(12, 24, 36)):
        super().__init__()
        self.encoder = ResNet(encoder, output_stride)
        self.head = nn.Sequential(ASPP(rates), convolution_bn_relu(256, 256), nn.Conv2d(256, num_classes, 1))

    def forward(self, image):
        return resize(self.head(self.encoder(image)[-1]), image.shape[2:], align_corners=False)


class LowLevelDecoder(nn.Module):
    """DeepLab v3+'s decoder: 48 channels of the second stage beside ASPP's map, two 3x3 convolutions."""

    def __init__(self, num_classes, align_corners=False, dropout=None):
        super().__init__()
        self.align_corners = align_corners
        self.reduce = convolution_bn_relu(256, 48, 1)
        self.fuse = nn.Sequential(convolution_bn_relu(304, 256), convolution_bn_relu(256, 256))
        self.dropout = nn.Dropout2d(dropout) if dropout else nn.Identity()
        self.classifier = nn.Conv2d(256, num_classes, 1)

    def forward(self, x, low, image):
        low = self.reduce(low)
        x = torch.cat([resize(x, low.shape[2:], self.align_corners), low], 1)
        x = self.classifier(self.dropout(self.fuse(x)))
        return resize(x, image.shape[2:], self.align_corners)


class DeepLabV3Plus(nn.Module):
    """DeepLab v3+ on ResNet50 with output stride 16."""

    def __init__(self, num_classes):
        super().__init__()
        self.encoder, self.aspp = ResNet(output_stride=16), ASPP((6, 12, 18))
        self.decoder = LowLevelDecoder(num_classes)

    def forward(self, image):
        _, c2, _, _, c5 = self.encoder(image)
        return self.decoder(self.aspp(c5), c2, image)


class FastFCN(nn.Module):
    """FastFCN: joint pyramid upsampling, ASPP and DeepLab v3+'s decoder on ResNet50 with output stride 16."""

    def __init__(self, num_classes):
        super().__init__()
        self.encoder = ResNet(output_stride=16)
        self.reduce = nn.ModuleList(convolution_bn_relu(inputs, 512) for inputs in (512, 1024, 2048))
        self.dilated = nn.ModuleList(convolution_bn_relu(3 * 512, 512, 3, rate) for rate in (1, 2, 4, 8))
        self.aspp = ASPP((6, 12, 18), dropout=0)
        self.decoder = LowLevelDecoder(num_classes, align_corners=True, dropout=0.1)

    def forward(self, image):
        _, c2, *stages = self.encoder(image)
        fine, *coarse = (reduce(x) for reduce, x in zip(self.reduce, stages, strict=True))
        x = torch.cat([*(resize(x, fine.shape[2:]) for x in reversed(coarse)), fine], 1)
        x = torch.cat([branch(x) for branch in self.dilated], 1)
        return self.decoder(self.aspp(x), c2, image)


class ResidualConvUnit(nn.Module):
    """ReLU and convolution twice, added to the rectified input."""

    def __init__(self, filters):
        super().__init__()
        self.conv1, self.conv2 = convolution(filters, filters), convolution(filters, filters, bias=False)

    def forward(self, x):
        x = functional.relu(x, inplace=True)
        return self.conv2(functional.relu(self.conv1(x), inplace=True)) + x


class RefineBlock(nn.Module):
    """One RefineNet block: refines a stage of the encoder by the coarser block's output, if there is one."""

    def __init__(self, filters):
        super().__init__()
        self.units = nn.ModuleList(
            nn.Sequential(ResidualConvUnit(each), ResidualConvUnit(each)) for each in filters
        )
        last = filters[-1]
        joined = filters if len(filters) == 2 else ()
        self.resolve = nn.ModuleList(convolution(each, last, bias=False) for each in joined)
        self.pooled = nn.ModuleList(convolution(last, last, bias=False) for _ in range(2))
        self.output = ResidualConvUnit(last)

    def forward(self, *paths):
        paths = [units(path) for units, path in zip(self.units, paths, strict=True)]
        if len(paths) == 2:
            coarse, fine = (resolve(path) for resolve, path in zip(self.resolve, paths, strict=True))
            paths = [resize(coarse, fine.shape[2:]) + fine]
        x = total = functional.relu(paths[0], inplace=True)
        for convolve in self.pooled:
            x = convolve(functional.max_pool2d(x, 5, 1, 2))
            total = total + x
        return self.output(total)


class RefineNet(nn.Module):
    """RefineNet: four cascaded blocks refine the stages of ResNet50, the coarsest first."""

    def __init__(self, num_classes):
        super().__init__()
        self.encoder = ResNet()
        widths = ((256, 256), (512, 256), (1024, 256), (2048, 512))
        self.reduce = nn.ModuleList(convolution(*channels, bias=False) for channels in widths)
        self.blocks = nn.ModuleList(map(RefineBlock, ((512,), (512, 256), (256, 256), (256, 256))))
        units = (ResidualConvUnit(256) for _ in range(2))
        self.head = nn.Sequential(*units, nn.Conv2d(256, num_classes, 1))

    def forward(self, image):
        skips = [reduce(x) for reduce, x in zip(self.reduce, self.encoder(image)[1:], strict=True)]
        x = self.blocks[0](skips[3])
        for block, skip in zip(self.blocks[1:], reversed(skips[:3]), strict=True):
            x = block(x, skip)
        return resize(self.head(x), image.shape[2:])
