"""Hostile and damaged weights files of every kind: what is loaded stands in them, the rest is refused."""

import functools
import io
import json
import tempfile
import zipfile
from functools import partial
from pathlib import Path
from unittest import mock

import h5py
import keras
import numpy as np
from safetensors.numpy import save

from keras_seg import load_model
from keras_seg.errors import InputError
from keras_seg.pretrained import load_weights
from keras_seg.training.run_state.state import Progress, newest_state, restore_state, states, write_state
from tests import test_weights_files
from tests.attack.case import ANSWERED, Case, pick, refusal
from tests.attack.mutations import mutated, mutated_json
from tests.pretrained import hostile_pickles
from tests.pretrained.caffe_writer import write_caffemodel
from tests.pretrained.pth_writer import LAYOUTS, dumps, write_pickle, write_pth
from tests.test_weights_files import SHAPE, network

IN_CHILD, NEEDS_SERVER, COUNT, SECONDS = True, False, 3000, 30.0
MOST_MEMORY = 256 << 20  # Bytes
KERNEL = np.arange(108, dtype="f4").reshape(SHAPE) / 8 - 5
BIAS = np.arange(4, dtype="f4") + 100
_TORCH = {"conv.weight": np.ascontiguousarray(KERNEL.transpose(3, 2, 0, 1)), "conv.bias": BIAS}


def _with_weights():
    model = network()
    model.set_weights([KERNEL, BIAS])
    return model


@functools.cache
def files():
    """Whole files, `{title: (contents, suffix)}`."""
    with tempfile.TemporaryDirectory() as folder:
        found = {}

        def keep(title, suffix, write):
            path = Path(folder, f"net{suffix}")
            write(path)
            found[title] = path.read_bytes(), suffix

        keep(".weights.h5", ".weights.h5", _with_weights().save_weights)
        keep(".keras", ".keras", _with_weights().save)
        keep("older .h5", ".h5", _write_h5)
        keep(".safetensors", ".safetensors", lambda path: path.write_bytes(save(_TORCH)))
        for layout in LAYOUTS:
            keep(f".pth, {layout}", ".pth", partial(write_pth, layout=layout, arrays=_TORCH))
        for v1 in (False, True):
            blobs = {"conv": list(_TORCH.values())}
            keep(f".caffemodel, {v1=}", ".caffemodel", partial(write_caffemodel, blobs=blobs, v1=v1))
        write_state(Path(folder), Progress(4, 4), {"weights": _with_weights().weights})
        found["checkpoint"] = states(Path(folder))[0].read_bytes(), ".npz"
        return found


def _write_h5(path):
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["conv"]
        file.create_group("conv").attrs["weight_names"] = ["kernel:0", "bias:0"]
        file["conv/kernel:0"], file["conv/bias:0"] = KERNEL, BIAS


@functools.cache
def hostile():
    """The hostile files of the tests, as cases."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        saved = {"model.weights.h5": files()[".weights.h5"][0]}
        for change in test_weights_files.HOSTILE:
            path = test_weights_files.hostile_h5(folder / "net.weights.h5", saved, change)
            found.append(Case(change.__name__, path.read_bytes(), ".weights.h5"))
        made = {title: pickled for title, (pickled, _) in hostile_pickles.HOSTILE.items()}
        made |= {
            title: dumps({"conv.weight": tensor}) for title, (tensor, _) in hostile_pickles.CLAIMS.items()
        }
        for title, pickled in made.items():
            for layout in LAYOUTS:
                path = write_pickle(folder / "net.pth", layout, pickled, {"0": _TORCH["conv.weight"]})
                found.append(Case(f"{title}, {layout}", path.read_bytes(), ".pth"))
    return found


def case(random, number):
    """The whole files and the hostile ones first; then damaged ones."""
    whole = [Case(title, *file) for title, file in files().items()]
    known = whole + hostile()
    if number < len(known):
        return known[number]
    chosen = pick(random, whole if random.random() < 0.8 else hostile())
    others = [case.contents for case in known if case.suffix == chosen.suffix]
    is_zip = chosen.contents.startswith(b"PK") and random.random() < 0.6
    damage = _damaged_member if is_zip else mutated
    return Case(f"damaged {chosen.title}", damage(chosen.contents, random, others), chosen.suffix)


def _damaged_member(contents, random, others):
    """Damages one member of an archive, whose checksums are right again."""
    with zipfile.ZipFile(io.BytesIO(contents)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = pick(random, list(members))
    if name.endswith(".json") and random.random() < 0.8:
        members[name] = json.dumps(mutated_json(json.loads(members[name]), random)).encode()
    else:
        members[name] = mutated(members[name], random)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return out.getvalue()


@functools.cache
def _fresh():
    return network()


def ask(case, place):
    """Loads the file into a network; of a `.keras` file also the network that it describes."""
    if case.suffix == ".npz":
        return _resume(case, Path(place.scratch, "checkpoints"))
    suffix = next(suffix for _, suffix in files().values() if suffix.endswith(case.suffix))
    path, model = Path(place.scratch, f"net{suffix}"), _fresh()
    path.write_bytes(case.contents)
    before = [np.full(weight.shape, 7, "f4") for weight in model.weights]
    model.set_weights(before)
    try:
        with mock.patch("keras_seg.pretrained.torch_names.layer_name", lambda _, key: key.rpartition(".")[0]):
            load_weights(model, path)
    except InputError as error:
        assert str(path) in str(error), error
        for weight, untouched in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(weight, untouched)
        outcome = refusal(error)
    else:
        _check_numbers(model.get_weights(), case)
        outcome = ANSWERED
    if case.suffix == ".keras":
        _load_model(path, case)
    return outcome


def _load_model(path, case):
    try:
        model = load_model(path)
    except InputError as error:
        refusal(error)
    else:
        assert isinstance(model, keras.Model)
        _check_numbers(model.get_weights(), case)


def _resume(case, folder):
    folder.mkdir(exist_ok=True)
    path = folder / "step-00000004.npz"
    path.write_bytes(case.contents)
    variables = _fresh().weights
    try:
        found, progress = newest_state(folder, lambda line: None)
        restore_state(found, {"weights": variables})
    except InputError as error:
        return refusal(error)
    assert type(progress.step) is int and progress.step >= 0, progress
    with np.load(io.BytesIO(case.contents)) as stored:
        for index, variable in enumerate(variables):
            np.testing.assert_array_equal(variable, stored[f"weights/{index:05d}"])
    return ANSWERED


def _check_numbers(arrays, case):
    """Checks that every number that was loaded stands in the file."""
    if case.suffix in (".h5", ".keras"):
        stored = _hdf5_arrays(case)
        for array in arrays:
            assert any(np.array_equal(array, each, equal_nan=True) for each in stored), array.shape
        return
    data = np.frombuffer(case.contents, np.uint8)
    words = np.lib.stride_tricks.sliding_window_view(data, 4).copy().view("<u4").ravel()
    words = {*words.tolist(), *words.byteswap().tolist()}
    for array in arrays:
        missing = set(array.view("u4").ravel().tolist()) - words
        assert not missing, f"{len(missing)} numbers of {array.shape} are not in the file"


def _hdf5_arrays(case):
    contents = case.contents
    if case.suffix == ".keras":
        with zipfile.ZipFile(io.BytesIO(contents)) as archive:
            contents = archive.read("model.weights.h5")
    found = []

    def note(_, item):
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
            found.append(item[()].astype("f4"))

    with h5py.File(io.BytesIO(contents), "r") as file:
        file.visititems(note)
    return found
