"""The table of all networks; `python -m keras_seg.models.summary` computes its figures anew."""

import json
import math
from pathlib import Path
from typing import NamedTuple

from keras import layers

from keras_seg.models.building import MODELS, build_model

NUM_CLASSES = 21
SIZE = 512
FIGURES = Path(__file__).with_name("figures.json")
DOCS = Path(__file__).parents[2] / "docs"

FCN, UNET, DEEPLABV3 = "1411.4038", "1505.04597", "1706.05587"
# network -> (paper on arXiv, encoder, output stride of the encoder's last map)
NETWORKS = {
    **dict.fromkeys(("fcn8", "fcn16", "fcn32", "fcn8_atonce"), (FCN, "VGG16", 32)),
    **dict.fromkeys(("fcn8_caffe", "fcn16_caffe", "fcn32_caffe", "fcn8_atonce_caffe"), (FCN, "VGG16", 32)),
    "fcn_alexnet": (FCN, "CaffeNet", 32),
    "fcn8_resnet50": (FCN, "ResNet50", 32),
    "fcn_resnet50": (FCN, "ResNet50", 8),
    "fcn_resnet101": (FCN, "ResNet101", 8),
    "fcn8_vgg16_bn": (FCN, "VGG16-BN", 32),
    "unet": (UNET, "its own", 16),
    "unet_paper": (UNET, "its own", 16),
    "unet_vgg16": (UNET, "VGG16", 16),
    "segnet": ("1511.00561", "VGG16-BN", 32),
    "refinenet": ("1611.06612", "ResNet50", 32),
    "pspnet": ("1612.01105", "ResNet50", 16),
    "deeplabv1": ("1412.7062", "VGG16", 8),
    "deeplabv2": ("1606.00915", "ResNet50", 8),
    "deeplabv3": (DEEPLABV3, "ResNet50", 16),
    "deeplabv3_resnet50": (DEEPLABV3, "ResNet50", 8),
    "deeplabv3_resnet101": (DEEPLABV3, "ResNet101", 8),
    "deeplabv3plus": ("1802.02611", "ResNet50", 16),
    "fastfcn": ("1903.11816", "ResNet50", 16),
}
# Weights of the image classifier, and of the whole network where its authors published them.
CLASSIFIERS = {
    "VGG16": "VGG16: Keras, torchvision, Caffe",
    "VGG16-BN": "VGG16-BN: torchvision; VGG16: Keras, torchvision, Caffe",
    "ResNet50": "ResNet50: torchvision, Keras",
    "ResNet101": "ResNet101: torchvision, Keras",
    "CaffeNet": "CaffeNet: Caffe",
    "its own": "",
}
WHOLE_NETWORKS = {
    "fcn8_caffe": "voc-fcn8s",
    "fcn16_caffe": "voc-fcn16s",
    "fcn32_caffe": "voc-fcn32s",
    "fcn8_atonce_caffe": "voc-fcn8s-atonce",
    "fcn_alexnet": "voc-fcn-alexnet",
    "segnet": "SegNet: driving demo, SUN, Pascal",
    "deeplabv1": "DeepLab-LargeFOV",
    **{
        name: f"torchvision {name}"
        for name in ("fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50", "deeplabv3_resnet101")
    },
}
NOTES = f"""\
Parameters are the trainable ones with {NUM_CLASSES} classes; multiply-adds are those of all convolutions, for
one image of {SIZE} x {SIZE} pixels. Output stride: pixels of the image for one of the encoder's last map.
Every network also takes its own `.keras` and `.weights.h5` files and the state dict of the PyTorch or the
blobs of the Caffe network that it is compared with; the FCNs also take a state dict under Caffe's names.
A file wants the preprocessing it was trained with, `preprocessing="torch"` for torchvision's, `"caffe"` for
Keras's and Caffe's and `"bgr"` for SegNet's; Keras's ResNet files want `encoder="resnet50_keras"` or
`"resnet101_keras"`. SegNet's files hold a scale and a shift for each batch normalization, with its
statistics merged into them: they are for inference.
Parity: largest `max |ours - reference| / max |reference|` over the outputs, with the same weights
(`python -m tests.parity`). The references of `fcn8`, `fcn16`, `fcn32`, `fcn8_atonce`, `unet_paper` and
`unet_vgg16` were written for this comparison in plain PyTorch (`benchmarks/contenders`).
"""


class Row(NamedTuple):
    """A network's line in the table.

    Attributes:
        network: Key of `MODELS`.
        paper: Number on arXiv.
        encoder: Its name.
        output_stride: Pixels of the image for one of the encoder's last map.
        parameters: Trainable ones, with 21 classes.
        multiply_adds: Of the convolutions, for an image of 512 x 512 pixels.
        weights: Published files it can load.
        parity_error: Relative to the reference's largest logit; None without a reference.
    """

    network: str
    paper: str
    encoder: str
    output_stride: int
    parameters: int
    multiply_adds: int
    weights: str
    parity_error: float | None


def rows():
    """Returns a `Row` for each network, from the stored figures."""
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    return [
        Row(
            name,
            paper,
            encoder,
            stride,
            weights="; ".join(filter(None, (WHOLE_NETWORKS.get(name), CLASSIFIERS[encoder]))),
            **figures[name],
        )
        for name, (paper, encoder, stride) in NETWORKS.items()
    ]


def format_markdown(rows):
    """Returns the page `docs/models.md`: the table of `rows` and what its columns mean."""
    cells = [
        (
            f"`{row.network}`",
            f"[{row.paper}](https://arxiv.org/abs/{row.paper})",
            row.encoder,
            str(row.output_stride),
            f"{row.parameters:,}",
            f"{row.multiply_adds / 1e9:.1f} G",
            row.weights or "-",
            "-" if row.parity_error is None else f"{row.parity_error:.1e}",
        )
        for row in rows
    ]
    titles = ("Network", "Paper", "Encoder", "Stride", "Parameters", "Multiply-adds", "Weights", "Parity")
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    right = (3, 4, 5, 7)
    rule = tuple("-" * (width - 1) + (":" if i in right else "-") for i, width in enumerate(widths))
    lines = [
        "| "
        + " | ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in (titles, rule, *cells)
    ]
    return "# Networks\n\n" + "\n".join(lines) + "\n\n" + NOTES.rstrip()


def parameters(model):
    """Counts a model's trainable parameters."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def multiply_adds(model):
    """Counts the multiplications of all convolutions of a model of a known input size, for one image.

    A kernel's every weight is used once for each pixel of the answer, or of the input if it is transposed.
    Layers that do with fewer count as the convolutions that they stand for.
    """
    count = 0
    for layer in model.layers:
        if isinstance(layer, layers.Conv2DTranspose):
            count += math.prod(layer.input.shape[1:3]) * math.prod(layer.kernel.shape)
        elif isinstance(layer, layers.Conv2D):
            count += math.prod(layer.output.shape[1:3]) * math.prod(layer.kernel.shape)
    return count


def measure(name):
    """Returns a network's `{"parameters", "multiply_adds"}`."""
    model = build_model(name, NUM_CLASSES, (SIZE, SIZE, 3))
    return {"parameters": parameters(model), "multiply_adds": multiply_adds(model)}


def main():
    """Computes the figures, and writes them and `docs/models.md`."""
    errors = {
        fixture["network"]: max(fixture["errors"].values())
        for fixture in json.loads((DOCS / "parity.json").read_text(encoding="utf-8")).values()
    }
    figures = {name: {**measure(name), "parity_error": errors.get(name)} for name in MODELS}
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (DOCS / "models.md").write_text(format_markdown(rows()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
