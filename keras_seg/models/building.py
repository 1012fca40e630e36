"""Every network by its name."""

import inspect
from functools import partial

from keras_seg.models.deeplab import deeplabv3, deeplabv3plus
from keras_seg.models.deeplab_early import deeplabv1, deeplabv2
from keras_seg.models.fastfcn import fastfcn
from keras_seg.models.fcn import fcn
from keras_seg.models.fcn_caffe import fcn_alexnet, fcn_caffe
from keras_seg.models.fcn_resnet import fcn8_resnet, fcn_resnet
from keras_seg.models.fcn_vgg16_bn import fcn8_vgg16_bn
from keras_seg.models.pspnet import pspnet
from keras_seg.models.refinenet import refinenet
from keras_seg.models.segnet import segnet
from keras_seg.models.unet import unet, unet_vgg16

AT_ONCE = {"stride": 8, "skip_scales": (0.01, 0.0001)}
UNET_PAPER = {"widths": (64, 128, 256, 512, 1024), "decoder_widths": (512, 256, 128, 64), "transposed": True}
TORCHVISION_DEEPLABV3 = {"output_stride": 8, "atrous_rates": (12, 24, 36)}

MODELS = {
    "fcn8": partial(fcn, stride=8),
    "fcn16": partial(fcn, stride=16),
    "fcn32": partial(fcn, stride=32),
    "fcn8_atonce": partial(fcn, **AT_ONCE),
    "fcn8_caffe": partial(fcn_caffe, stride=8),
    "fcn16_caffe": partial(fcn_caffe, stride=16),
    "fcn32_caffe": partial(fcn_caffe, stride=32),
    "fcn8_atonce_caffe": partial(fcn_caffe, **AT_ONCE),
    "fcn_alexnet": fcn_alexnet,
    "fcn8_resnet50": fcn8_resnet,
    "fcn_resnet50": fcn_resnet,
    "fcn_resnet101": partial(fcn_resnet, encoder="resnet101"),
    "fcn8_vgg16_bn": fcn8_vgg16_bn,
    "unet": unet,
    "unet_paper": partial(unet, **UNET_PAPER),
    "unet_vgg16": unet_vgg16,
    "segnet": segnet,
    "refinenet": refinenet,
    "pspnet": pspnet,
    "deeplabv1": deeplabv1,
    "deeplabv2": deeplabv2,
    "deeplabv3": deeplabv3,
    "deeplabv3_resnet50": partial(deeplabv3, **TORCHVISION_DEEPLABV3),
    "deeplabv3_resnet101": partial(deeplabv3, encoder="resnet101", **TORCHVISION_DEEPLABV3),
    "deeplabv3plus": deeplabv3plus,
    "fastfcn": fastfcn,
}


def build_model(name, num_classes, input_shape=(None, None, 3), **options):
    """Builds a network with fresh weights.

    Args:
        name: A key of `MODELS`.
        num_classes: Number of classes, the channels of the logits.
        input_shape: `(H, W, 3)` of the images, None for any height or width.
        **options: Of that network's builder. Several have:
            `preprocessing`, what the first layer does to the pixels, a key of
            `keras_seg.layers.PREPROCESSINGS`; by default what the encoder's weights were trained on.
            `encoder`, a key of `keras_seg.encoders.RESNETS`.
            `output_stride`, pixels of the image for one of the ResNet's last map: 8, 16 or 32.
            `dropout`, the fraction dropped after fc6 and fc7 of VGG16 and CaffeNet.
            `aux_head`, whether a second head reads the ResNet's fourth stage; the model then returns a
            dict of logits, `out` and `aux`.

    Returns:
        A `keras.Model` called `name`, from RGB pixels in 0..255 `[B, H, W, 3]` to float32 logits
        `[B, H, W, num_classes]`.

    Raises:
        ValueError: The name is unknown, an option is not the builder's, or a value is out of range.
    """
    if name not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}, received {name!r}.")
    if num_classes < 1:
        raise ValueError(f"num_classes must be 1 or more, received {num_classes}.")
    builder = MODELS[name]
    known = [key for key in inspect.signature(builder).parameters if key != "name"]
    for option in options:
        if option not in known:
            raise ValueError(f"{name} has no option {option!r}; it has {', '.join(known[2:])}.")
    return builder(num_classes, input_shape, name=name, **options)
