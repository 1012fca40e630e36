"""VGG16, ResNet and CaffeNet in plain PyTorch, and the convolutions that networks on them share."""

from torch import nn
from torch.nn import functional

VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
RESNETS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
# filters, kernel size, stride, padding, groups
CAFFENET = ((96, 11, 4, 100, 1), (256, 5, 1, 2, 2), (384, 3, 1, 1, 1), (384, 3, 1, 1, 2), (256, 3, 1, 1, 2))


def convolution(inputs, outputs, size=3, dilation=1, **options):
    """A convolution that keeps the size of its map."""
    return nn.Conv2d(inputs, outputs, size, padding=size // 2 * dilation, dilation=dilation, **options)


def convolution_bn_relu(inputs, outputs, size=3, dilation=1, bias=False):
    """The same with batch normalization and ReLU."""
    return nn.Sequential(
        convolution(inputs, outputs, size, dilation, bias=bias),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def vgg16_stages(batch_norm=False, last_dilation=1):
    """VGG16's convolutions and ReLUs, a list for each of its five stages; the pools are the network's own."""
    stages, depth = [], 3
    for stage, widths in enumerate(VGG16, 1):
        layers = []
        for width in widths:
            layers.append(convolution(depth, width, dilation=last_dilation if stage == 5 else 1))
            layers += [nn.BatchNorm2d(width)] * batch_norm
            layers.append(nn.ReLU(inplace=True))
            depth = width
        stages.append(layers)
    return stages


def rounded_up_pool(x):
    """2x2 max pooling that rounds up, as Caffe's does."""
    return functional.max_pool2d(x, 2, 2, ceil_mode=True)


class Bottleneck(nn.Module):
    """1x1, 3x3 with the stride, and 1x1 to four times the filters."""

    def __init__(self, inputs, filters, stride, dilation, projects):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, filters, 1, bias=False), nn.BatchNorm2d(filters)
        self.conv2 = convolution(filters, filters, 3, dilation, stride=stride, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.conv3, self.bn3 = nn.Conv2d(filters, 4 * filters, 1, bias=False), nn.BatchNorm2d(4 * filters)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if projects:
            projection = nn.Conv2d(inputs, 4 * filters, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(4 * filters))

    def forward(self, x):
        skip = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.relu(self.bn3(self.conv3(x)) + skip)


class ResNet(nn.Module):
    """torchvision's ResNet without its dense layer: an image to its stem's map and those of its four stages.

    Below output stride 32 the last stages dilate instead of striding, as with torchvision's
    `replace_stride_with_dilation`.
    """

    def __init__(self, name="resnet50", output_stride=32):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        inputs, total, dilation = 64, 4, 1
        for stage, depth in enumerate(RESNETS[name], 1):
            step = 1 if stage == 1 else 2
            stride = step if total * step <= output_stride else 1
            # A block whose 3x3 convolution would stride sees the finer grid with the dilation before.
            dilations, dilation = dilation, dilation * step // stride
            blocks, filters = [], 32 << stage
            for index in range(depth):
                first = index == 0
                rate = dilations if first else dilation
                blocks.append(Bottleneck(inputs, filters, stride if first else 1, rate, projects=first))
                inputs = 4 * filters
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
            total *= stride

    def forward(self, image):
        maps = [functional.relu(self.bn1(self.conv1(image)), inplace=True)]
        x = functional.max_pool2d(maps[0], 3, 2, 1)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
            maps.append(x)
        return maps


class CaffeNet(nn.Module):
    """The five convolutions of AlexNet in Caffe's form, the image padded by 100 pixels."""

    def __init__(self):
        super().__init__()
        inputs = 3
        for stage, (filters, size, stride, padding, groups) in enumerate(CAFFENET, 1):
            layer = nn.Conv2d(inputs, filters, size, stride, padding, groups=groups)
            self.add_module(f"conv{stage}", layer)
            inputs = filters

    def forward(self, x):
        for stage in range(1, 6):
            x = functional.relu(getattr(self, f"conv{stage}")(x), inplace=True)
            if stage in (1, 2, 5):
                x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
            if stage in (1, 2):
                x = functional.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=1.0)
        return x
