"""Answers of other implementations, and whether our networks give the same.

A fixture is `NAME.json` and `NAME.npz`: a network's input, parameters and answers. It stores no weights:
each parameter, and the input, is made again from its name by `tensor`.
"""

import gc
import json
import zlib
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_seg.errors import InputError
from keras_seg.pretrained import load_blobs, load_state_dict
from keras_seg.registry import networks

FIXTURES = Path(__file__).parent / "fixtures"
PUBLISHED = "-published"  # Ends the names of fixtures of the papers' forms, which have options.
LIMIT = 1e-4  # Of max |ours - theirs| / max |theirs|.

# Fixture -> network; a fixture's name may go on after a hyphen: `unet-other-size`.
NETWORKS = {
    fixture: name
    for name, row in networks().items()
    for fixture in (row.fixture, name)
    if row.reference and fixture
}

# Preprocessing -> the RGB pixels of which it makes `x`: FCN's of voc_layers.py, VGG's of its page,
# torchvision's of its recipes, SegNet's of webcam_demo.py.
UNDO = {
    "caffe": lambda x: np.add(x, (104.00699, 116.66877, 122.67892))[..., ::-1],
    "keras": lambda x: np.add(x, (103.939, 116.779, 123.68))[..., ::-1],
    "torch": lambda x: np.add(x * (0.229, 0.224, 0.225), (0.485, 0.456, 0.406)) * 255,
    "bgr": lambda x: x[..., ::-1],
    "none": lambda x: x,
}


class Result(NamedTuple):
    """A network's comparison with its reference.

    Attributes:
        name: Of the fixture.
        parameters: Ours and the reference's, trainable ones.
        errors: `{output: largest relative error}`.
    """

    name: str
    parameters: tuple
    errors: dict

    @property
    def passed(self):
        """Whether every error is within the limit and the parameters are as many."""
        return self.parameters[0] == self.parameters[1] and all(e <= LIMIT for e in self.errors.values())


def tensor(key, shape, kind, salt):
    """Makes a parameter or an input from its name: the generator of every fixture.

    Args:
        key: Name, such as `backbone.conv1.weight`.
        shape: Of the answer.
        kind: `"kernel"`, `"bias"`, `"mean"`, `"scale"` or `"var"`.
        salt: Seed of the fixture.

    Returns:
        float32 array.

    Raises:
        ValueError: Unknown kind.
    """
    random = np.random.default_rng(zlib.crc32(f"{salt}:{key}".encode()))
    if kind == "kernel":
        deviation = np.sqrt(2 / (np.prod(shape[1:], dtype=int) or 1))
        return random.standard_normal(shape, dtype=np.float32) * np.float32(deviation)
    if kind in ("bias", "mean"):
        return random.standard_normal(shape, dtype=np.float32) * np.float32(0.1)
    if kind in ("scale", "var"):
        return random.random(shape, dtype=np.float32) + np.float32(0.5)
    raise ValueError(f"kind must be one of ('kernel', 'bias', 'mean', 'scale', 'var'), received {kind!r}.")


def find_fixtures(folder):
    """Returns the fixtures' `.json` files in a folder, by name.

    Raises:
        InputError: There are none.
    """
    paths = sorted(Path(folder).glob("*.json"))
    if not paths:
        raise InputError(f"{folder} holds no fixture, a .json file beside an .npz. Give a folder that does.")
    return paths


def compare(path):
    """Builds a fixture's network, gives it the fixture's weights, and compares the answers.

    Args:
        path: The fixture's `.json` file.

    Returns:
        `Result`.

    Raises:
        InputError: The fixture is of no network here, or its weights do not fit.
    """
    fixture, references = _read(path)
    model = _build(path.stem, fixture.get("options", {}), references)
    if fixture["framework"] == "caffe":
        blobs = fixture_blobs(fixture)
        parameters = sum(
            array.size
            for name, arrays in blobs.items()
            if not name.startswith(("upscore", "scale_"))
            for array in arrays
        )
        load_blobs(model, blobs, source=path.name)
    else:
        parameters = fixture["parameters"]
        load_state_dict(model, fixture_tensors(fixture), source=path.name)
    return Result(path.stem, (_count(model.trainable_weights), parameters), errors(model, path))


def errors(model, path):
    """A network's `{output: largest relative error}` with the weights of a fixture, which it has already."""
    fixture, references = _read(path)
    ours = model(raw_image(fixture, model), training=False)
    ours = ours if isinstance(ours, dict) else {"out": ours}
    return {
        name: relative_error(ours[name], reference, fixture["stride"])
        for name, reference in references.items()
    }


def fixture_blobs(fixture):
    """The weights of a Caffe network, `{layer name: [arrays]}`."""
    return {name: caffe_blobs(name, entry, fixture["salt"]) for name, entry in fixture["blobs"].items()}


def fixture_tensors(fixture):
    """The weights of a PyTorch network, `{key: array}`."""
    return {
        key: tensor(key, shape, kind, fixture["salt"]) for key, (shape, kind) in fixture["tensors"].items()
    }


def _read(path):
    with np.load(path.with_suffix(".npz")) as answers:
        return json.loads(path.read_text()), dict(answers)


def raw_image(fixture, model):
    """RGB pixels of which a network's own preprocessing makes the fixture's input, `[B, H, W, 3]`.

    They undo what the authors of its weights publish, not what the network does.
    """
    image = tensor("input", fixture["input"], "bias", fixture["salt"]) * np.float32(fixture["input_scale"])
    return UNDO[model.get_layer("preprocessing").mode](np.float64(image.transpose(0, 2, 3, 1)))


def compare_and_free(path):
    """`compare`, and gives the network's memory back."""
    try:
        return compare(path)
    finally:
        keras.backend.clear_session()
        gc.collect()


def relative_error(ours, reference, stride):
    """`max |ours - theirs| / max |theirs|`; ours is `[B, H, W, C]`, theirs NCHW thinned out by `stride`."""
    ours = keras.ops.convert_to_numpy(ours).transpose(0, 3, 1, 2)
    ours = ours[:, :, ::stride, ::stride] if reference.ndim == 4 else ours.reshape(len(ours), -1)
    if ours.shape != reference.shape:
        return float("inf")
    return float(np.abs(ours - reference).max() / np.abs(reference).max())


def caffe_blobs(name, entry, salt):
    """A Caffe layer's blobs from the fixture's entry: shapes, or a shape and the constant that fills it."""
    if name.startswith("scale_"):
        return [np.full(entry[0], entry[1], np.float32)]
    if name.startswith("upscore"):
        return [bilinear_blob(entry[0])]
    keys = (f"{name}.weight", "kernel"), (f"{name}.bias", "bias")
    return [tensor(key, shape, kind, salt) for shape, (key, kind) in zip(entry, keys, strict=True)]


def bilinear_blob(shape):
    """`[classes, classes, size, size]`: a tent for each class by itself (surgery.py's `upsample_filt`)."""
    size = shape[-1]
    factor = (size + 1) // 2
    center = factor - 1 if size % 2 == 1 else factor - 0.5
    rows, columns = np.ogrid[:size, :size]
    tent = (1 - abs(rows - center) / factor) * (1 - abs(columns - center) / factor)
    return np.float32(np.eye(shape[0])[:, :, None, None] * tent)


def network_of(name):
    """The network that a fixture is of, by its name.

    Raises:
        InputError: There is none.
    """
    for key in sorted(NETWORKS, key=len, reverse=True):
        if f"{name}-".startswith(f"{key}-"):
            return NETWORKS[key]
    raise InputError(f"{name}.json is of no network here. Its name may be one of {', '.join(NETWORKS)}.")


def _build(name, options, references):
    network = network_of(name)
    classes = references["out"].shape[1]
    options = {**options, **({"aux_head": True} if "aux" in references else {})}
    return networks()[network].build(classes, name=network, **options)


def _count(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)
