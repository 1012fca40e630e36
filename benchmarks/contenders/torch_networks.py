"""Every network of keras_seg in PyTorch, at full width: `build`.

They are plain modules, and none needs torchvision. `tests/benchmark/test_torch.py` compares them with ours.
"""

from functools import partial

from .torch_fcn import FCN, FCN8VGG16BN, FCN8ResNet, FCNAlexNet, FCNResNet
from .torch_resnet_heads import DeepLabV1, DeepLabV2, DeepLabV3, DeepLabV3Plus, FastFCN, PSPNet, RefineNet
from .torch_unet import SegNet, UNet, UNetVGG16

AT_ONCE = (0.01, 0.0001)
UNET = {"widths": (32, 64, 128, 256, 256), "decoder_widths": (128, 64, 32, 32), "transposed": False}
UNET_PAPER = {"widths": (64, 128, 256, 512, 1024), "decoder_widths": (512, 256, 128, 64), "transposed": True}

# Key of keras_seg's MODELS -> function of the number of classes.
NETWORKS = {
    "fcn8": partial(FCN, stride=8),
    "fcn16": partial(FCN, stride=16),
    "fcn32": partial(FCN, stride=32),
    "fcn8_atonce": partial(FCN, stride=8, scales=AT_ONCE),
    "fcn8_caffe": partial(FCN, stride=8, is_original=True),
    "fcn16_caffe": partial(FCN, stride=16, is_original=True),
    "fcn32_caffe": partial(FCN, stride=32, is_original=True),
    "fcn8_atonce_caffe": partial(FCN, stride=8, scales=AT_ONCE, is_original=True),
    "fcn_alexnet": FCNAlexNet,
    "fcn8_resnet50": FCN8ResNet,
    "fcn_resnet50": FCNResNet,
    "fcn_resnet101": partial(FCNResNet, encoder="resnet101"),
    "fcn8_vgg16_bn": FCN8VGG16BN,
    "unet": partial(UNet, **UNET),
    "unet_paper": partial(UNet, **UNET_PAPER),
    "unet_vgg16": UNetVGG16,
    "segnet": SegNet,
    "refinenet": RefineNet,
    "pspnet": PSPNet,
    "deeplabv1": DeepLabV1,
    "deeplabv2": DeepLabV2,
    "deeplabv3": partial(DeepLabV3, output_stride=16, rates=(6, 12, 18)),
    "deeplabv3_resnet50": DeepLabV3,
    "deeplabv3_resnet101": partial(DeepLabV3, encoder="resnet101"),
    "deeplabv3plus": DeepLabV3Plus,
    "fastfcn": FastFCN,
}


def build(network, num_classes):
    """Returns the counterpart of a network of keras_seg, from images [B, 3, H, W] to logits [B, C, H, W]."""
    return NETWORKS[network](num_classes)
