"""The page of networks, docs/reference/networks.md; `python -m tools.networks_page` computes the figures."""

import json
import math
from pathlib import Path

from keras import layers

from keras_seg.models import MODELS, build_model
from keras_seg.models.summary import FIGURES, TITLES, cells, rows
from keras_seg.texts import markdown_table
from tools.combinations import format_combinations

NUM_CLASSES = 21
SIZE = 512
DOCS = Path(__file__).parents[1] / "docs"
NOTES = f"""\
Parameters are the trainable ones with {NUM_CLASSES} classes; multiply-adds are those of all convolutions, for
one image of {SIZE} x {SIZE} pixels. Output stride: pixels of the image for one of the encoder's last map.
Learning rate: what a training takes where `--learning-rate` is left out, with Adam, SGD, and Adam on the
built-in shapes.
Every network also takes its own `.keras` and `.weights.h5` files and the state dict of the PyTorch or the
blobs of the Caffe network that it is compared with; the FCNs also take a state dict under Caffe's names.
A file wants the preprocessing it was trained with, `preprocessing="torch"` for torchvision's, `"keras"` for
Keras's, `"caffe"` for FCN's and DeepLab's and `"bgr"` for SegNet's; VGG16 alone may also start one that has
`"caffe"`, as it started FCN. Keras's ResNet files want `encoder="resnet50_keras"` or `"resnet101_keras"`.
SegNet's files hold a scale and a shift for each batch normalization, with its statistics merged into them:
they are for inference.
Parity: largest `max |ours - reference| / max |reference|` over the outputs, with the same weights
(`python -m tests.parity`). Reference: `authors`, the network as its authors published it in Caffe;
`torchvision`, torchvision's; `seed`, the PyTorch implementation that the network was written after; `apart`,
one written for this comparison in plain PyTorch (`benchmarks/contenders`). Each network is compared with its
own preprocessing, which is given the RGB pixels that its authors' arithmetic turns into the reference's
input.

## As published

Some seeds differ from their papers. `as_published=True`, on the command line
`--model-option as_published=true`, builds the paper's form:

| network | as published | parameters | parity |
| --- | --- | ---: | ---: |
| `unet_paper` | only the image is padded, by mirroring; no batch normalization | 31,033,045 | 1.8e-06 |
| `refinenet` | a residual unit adds its input itself, not rectified | 90,759,765 | 2.6e-06 |
| `fastfcn` | separable JPU, output stride 32, DeepLab's head, no decoder | 59,374,421 | 1.6e-06 |

Their references were written apart from them in plain PyTorch (`tests/parity/papers.py`).
The first convolution of FastFCN's authors is three of 3 x 3, ours the plain ResNet's.
"""

ENCODERS_HEAD = """\
## Encoders

These networks take an encoder by its name: `--model unet --model-option encoder=efficientnet_b0`, or
`build_model("unet", 21, encoder="efficientnet_b0")`. `--weights auto` then takes the encoder's published
file. The table says `yes`; or which `output_stride` has to be given because the encoder cannot be dilated as
far as the network asks for; or `-`: ConvNeXt has no map at stride 2, which U-Net reads.

ResNets are torchvision's, those called `_keras` Keras's. MobileNets, EfficientNets, ConvNeXts, DenseNets and
Xception are those of `keras.applications`, rebuilt for images of any size and with dilation. On images whose
sides are multiples of 32 they have the outputs of Keras's own networks, of the weights in a file as Keras
publishes it (`python -m tests.applications`). Xception's first two convolutions pad here, as those do that it
is compared with.
"""


def format_page():
    """Returns the page."""
    lines = []
    for row in rows():
        name, paper, *others = cells(row)
        link = f"[{paper}](https://arxiv.org/abs/{paper})" if row.paper else paper
        lines.append((f"`{name}`", link, *others))
    table = markdown_table(TITLES, lines, right=("Stride", "Parameters", "Multiply-adds", "Parity"))
    return f"# Networks\n\n{table}\n\n{NOTES.rstrip()}\n\n{ENCODERS_HEAD}\n{format_combinations()}\n"


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
        elif isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
            count += math.prod(layer.output.shape[1:3]) * math.prod(layer.kernel.shape)
    return count


def measure(name):
    """Returns a network's `{"parameters", "multiply_adds"}`."""
    model = build_model(name, NUM_CLASSES, (SIZE, SIZE, 3))
    return {"parameters": parameters(model), "multiply_adds": multiply_adds(model)}


def main():
    """Computes the figures and writes them; `python -m tools.site --write` writes the page."""
    errors = {
        fixture["network"]: max(fixture["errors"].values())
        for fixture in json.loads((DOCS / "parity.json").read_text(encoding="utf-8")).values()
        if fixture["is_default"]
    }
    figures = {name: {**measure(name), "parity_error": errors.get(name)} for name in MODELS}
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
