"""`python -m tests.auto_weights`: what each network says of `--weights auto` when its file is there.

The files have the names, layout, keys and shapes of the published ones and zeros for numbers, so their
checksums are not looked at. They are written one after the other, 0.6 GB at most, and removed. Exit status 1
if a network starts without its file, but for those for which nobody publishes an encoder.
"""

import importlib.util
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's remarks would stand between the rows.

import h5py
import keras
import numpy as np

from keras_seg.files import CACHE
from keras_seg.models import MODELS, build_model
from keras_seg.pretrained import downloads, load_weights, published, resolve_weights
from tests.models.helpers import build_narrow
from tests.parity import FIXTURES
from tests.pretrained.pth_writer import write_pth
from tests.pretrained_networks import write_caffemodel

WITHOUT = {"unet", "unet_paper"}
VGG16_WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
DENSE = {"classifier.0": (4096, 25088), "classifier.3": (4096, 4096), "classifier.6": (1000, 4096)}
CAFFENET = {
    "conv1": (96, 3, 11, 11),
    "conv2": (256, 48, 5, 5),
    "conv3": (384, 256, 3, 3),
    "conv4": (384, 192, 3, 3),
    "conv5": (256, 192, 3, 3),
    "fc6": (4096, 9216),
    "fc7": (4096, 4096),
    "fc8": (1000, 4096),
}


def keras_vgg16(path, include_top):
    """Keras's VGG16, in the layout of its files before Keras 3."""
    model = keras.applications.VGG16(weights=None, include_top=include_top)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            group.attrs["weight_names"] = [f"{layer.name}_{w.name}_1:0".encode() for w in layer.weights]
            for weight in layer.weights:
                group[f"{layer.name}_{weight.name}_1:0"] = np.zeros(weight.shape, "f4")


def torch_vgg16_bn(path):
    """torchvision's VGG16 with batch normalization."""
    shapes, place, depth = {}, 0, 3
    for widths in VGG16_WIDTHS:
        for width in widths:
            shapes |= {f"features.{place}.weight": (width, depth, 3, 3), f"features.{place}.bias": (width,)}
            parts = ("weight", "bias", "running_mean", "running_var")
            shapes |= {f"features.{place + 1}.{part}": (width,) for part in parts}
            place, depth = place + 3, width
        place += 1
    for name, shape in DENSE.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    write_pth(path, "legacy", {key: np.zeros(shape, "f4") for key, shape in shapes.items()})


def torch_resnet(path, name):
    """torchvision's ResNet, whose keys are those of its FCN's backbone."""
    tensors = json.loads((FIXTURES / f"torchvision-fcn_{name}.json").read_text())["tensors"]
    shapes = {
        key.removeprefix("backbone."): shape
        for key, (shape, _) in tensors.items()
        if key.startswith("backbone.")
    }
    shapes |= {"fc.weight": (1000, 2048), "fc.bias": (1000,)}
    write_pth(path, "zip", {key: np.zeros(shape, "f4") for key, shape in shapes.items()})


def caffenet(path):
    """Caffe's reference network."""
    write_caffemodel(path, {name: [np.zeros(shape), np.zeros(shape[0])] for name, shape in CAFFENET.items()})


# The beginning of a published file's name -> what writes one like it.
WRITERS = {
    "vgg16_weights_tf_dim_ordering_tf_kernels.h5": lambda path: keras_vgg16(path, include_top=True),
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop": lambda path: keras_vgg16(path, include_top=False),
    "vgg16_bn-": torch_vgg16_bn,
    "resnet50-": lambda path: torch_resnet(path, "resnet50"),
    "resnet101-": lambda path: torch_resnet(path, "resnet101"),
    "bvlc_reference_caffenet": caffenet,
}


def main():
    """Prints two lines for each network: where its weights come from, and what became of them."""
    torch = "with" if importlib.util.find_spec("torch") else "without"
    print(f"{len(MODELS)} networks, {torch} PyTorch")
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(downloads, "_open", side_effect=OSError("no network")),
        mock.patch.object(published, "other_checksum", return_value=None),
        mock.patch.dict(os.environ, {CACHE: f"{folder}/cache"}),
    ):
        os.chdir(folder)
        Path("weights").mkdir()
        wanted = {name: _file_of(name) for name in MODELS}
        failed = [
            name for name in sorted(wanted, key=lambda name: str(wanted[name])) if not _show(name, wanted)
        ]
    print(f"{len(MODELS) - len(failed)} of {len(MODELS)} as they should be")
    return 1 if failed else 0


def _file_of(name):
    """The published file that a network asks for where nothing lies, None if there is none for it."""
    line = resolve_weights(name, "auto", has_fc6=_has_fc6(build_narrow(name)))[1]
    keras.backend.clear_session()
    match = re.search(r"because (\S+) is not in weights", line)
    return match and match[1]


def _has_fc6(model):
    return any(layer.name == "fc6" for layer in model.layers)


def _show(name, wanted):
    file = wanted[name]
    for path in Path("weights").iterdir():
        if path.name != file:
            path.unlink()
    if file and not (Path("weights") / file).exists():
        next(write for start, write in WRITERS.items() if file.startswith(start))(Path("weights") / file)
    model = build_model(name, 21)
    path, line = resolve_weights(name, "auto", has_fc6=_has_fc6(model))
    print(f"{name}\n    {line}")
    if path:
        print(f"    {load_weights(model, path)}", flush=True)
    keras.backend.clear_session()
    return bool(path) != (name in WITHOUT) and (not path or path.name == file)


if __name__ == "__main__":
    sys.exit(main())
