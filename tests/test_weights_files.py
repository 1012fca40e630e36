"""Weights files that would read other files, claim more than they hold, or break their readers."""

import io
import json
import struct
import tracemalloc
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from keras_seg import InputError, Run
from keras_seg.pretrained import load_weights

KERNEL = "layers/conv2d/vars/0"
SHAPE = (3, 3, 3, 4)
CONFIG = {
    "model": "net",
    "num_classes": 4,
    "classes": list("abcd"),
    "colors": [[0, 0, 0]] * 4,
    "image_size": [8, 8],
}


def network():
    image = keras.Input((None, None, 3))
    return keras.Model(image, layers.Conv2D(4, 3, name="conv")(image), name="net")


def external_storage(file, folder):
    (folder / "secret").write_bytes(np.full(SHAPE, 7, "f4").tobytes())
    file.create_dataset(KERNEL, SHAPE, "f4", external=[(str(folder / "secret"), 0, h5py.h5f.UNLIMITED)])


def external_link(file, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["kernel"] = np.full(SHAPE, 7, "f4")
    file[KERNEL] = h5py.ExternalLink(str(folder / "other.h5"), "kernel")


def soft_link_out(file, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["kernel"] = np.full(SHAPE, 7, "f4")
    file["aside"] = h5py.ExternalLink(str(folder / "other.h5"), "/")
    file[KERNEL] = h5py.SoftLink("/aside/kernel")


def virtual(file, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["kernel"] = np.full(SHAPE, 7, "f4")
    layout = h5py.VirtualLayout(SHAPE, "f4")
    layout[...] = h5py.VirtualSource(str(folder / "other.h5"), "kernel", shape=SHAPE)
    file.create_virtual_dataset(KERNEL, layout)


def compressed(file, folder):
    file.create_dataset(KERNEL, (3, 3, 3, 60_000_000), "f4", chunks=(3, 3, 3, 1000), compression="gzip")


def unwritten(file, folder):
    file.create_dataset(KERNEL, (2**42,), "f4", chunks=(1024,))


def strings(file, folder):
    file[KERNEL] = np.full(SHAPE, b"x")


HOSTILE = {
    external_storage: "takes its numbers from another file",
    external_link: "is a link, which may lead to another file",
    soft_link_out: "is a link, which may lead to another file",
    virtual: "takes its numbers from another file",
    compressed: "is compressed",
    unwritten: "declares 17592186044416 bytes and holds fewer",
    strings: "is |S1 there",
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "net.keras"
    network().save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_keras(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def hostile_h5(path, saved, change):
    path.write_bytes(saved["model.weights.h5"])
    with h5py.File(path, "r+") as file:
        del file[KERNEL]
        change(file, path.parent)
    return path


def refusal(call, *arguments):
    """The one line that a call ends in, and that it took no memory for what the file claims."""
    tracemalloc.start()
    with pytest.raises(InputError) as caught:
        call(*arguments)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(str(caught.value).splitlines()) == 1 and peak < 50_000_000
    return str(caught.value)


def refused_by_load_weights(path):
    model = network()
    before = model.get_weights()
    line = refusal(load_weights, model, path)
    assert str(path) in line
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))
    return line


def refused_as_a_run(folder):
    (folder / "config.json").write_text(json.dumps(CONFIG))
    line = refusal(Run.open(folder).load_model)
    assert str(folder / "best.keras") in line
    return line


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: change.__name__)
def test_hdf5_that_is_not_all_there_is_refused(tmp_path, saved, change):
    path = hostile_h5(tmp_path / "net.weights.h5", saved, change)
    assert HOSTILE[change] in refused_by_load_weights(path)


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: change.__name__)
def test_so_it_is_in_keras_files_and_in_runs(tmp_path, saved, change):
    weights = hostile_h5(tmp_path / "weights", saved, change).read_bytes()
    write_keras(tmp_path / "best.keras", {**saved, "model.weights.h5": weights})
    assert HOSTILE[change] in refused_by_load_weights(tmp_path / "best.keras")
    line = refused_as_a_run(tmp_path)
    assert change is strings or HOSTILE[change] in line


def test_the_older_h5_layout_may_not_even_link_within_the_file(tmp_path):
    path = tmp_path / "net.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["conv"]
        file.create_group("conv").attrs["weight_names"] = ["kernel", "bias"]
        file["conv/bias"] = np.zeros(4, "f4")
        file["aside/kernel"] = np.zeros(SHAPE, "f4")
        file["conv/kernel"] = h5py.SoftLink("/aside/kernel")
    assert "is a link" in refused_by_load_weights(path)


def test_shapes_are_compared_before_anything_is_read(tmp_path, saved):
    def sparse(file, folder):
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((3, 3, 10_000_000, 4))
        h5py.h5d.create(file.id, KERNEL.encode(), h5py.h5t.NATIVE_FLOAT, space, dcpl=plan)

    path = hostile_h5(tmp_path / "net.weights.h5", saved, sparse)
    assert path.stat().st_size > 1_000_000_000  # A hole: it takes no room on the disk.
    assert "conv/kernel (3, 3, 3, 4) is (3, 3, 10000000, 4) there" in refused_by_load_weights(path)


def test_a_group_that_holds_itself_ends(tmp_path, saved):
    path = tmp_path / "net.weights.h5"
    path.write_bytes(saved["model.weights.h5"])
    with h5py.File(path, "r+") as file:
        file["layers/conv2d/again"] = file["layers"]
    assert load_weights(network(), path) == f"net: loaded 1 layers from {path}."


@pytest.mark.parametrize("seed", range(10))
def test_damaged_hdf5_is_one_line_or_is_read(tmp_path, saved, seed):
    path = tmp_path / "net.weights.h5"
    random, content = np.random.default_rng(seed), bytearray(saved["model.weights.h5"])
    for place in random.integers(0, len(content), 60):
        content[place] = random.integers(0, 256)
    path.write_bytes(content)
    try:
        load_weights(network(), path)
    except InputError as error:
        assert len(str(error).splitlines()) == 1


def change_headers(path, flags=0, method=None):
    """Claims in both headers of every member that it is encrypted, or packed by another method."""
    content = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = -1
        while (start := content.find(signature, start + 1)) >= 0:
            content[start + place] |= flags
            if method is not None:
                content[start + place + 2] = method
    path.write_bytes(content)


@pytest.mark.parametrize("claim", [{"flags": 1}, {"method": 97}, {"method": zipfile.ZIP_DEFLATED}], ids=str)
def test_encrypted_and_compressed_members_are_refused(tmp_path, saved, claim):
    write_keras(tmp_path / "best.keras", saved)
    change_headers(tmp_path / "best.keras", **claim)
    for line in (refused_by_load_weights(tmp_path / "best.keras"), refused_as_a_run(tmp_path)):
        assert "is compressed or encrypted" in line


def test_a_keras_file_whose_numbers_are_not_its_checksums_is_refused(tmp_path, saved):
    path = tmp_path / "net.keras"
    write_keras(path, saved)
    content = bytearray(path.read_bytes())
    with h5py.File(io.BytesIO(saved["model.weights.h5"])) as file:
        kernel = file[KERNEL][()].tobytes()
    content[content.index(kernel) + 5] ^= 1
    path.write_bytes(content)
    assert "Bad CRC-32 of model.weights.h5" in refused_by_load_weights(path)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"config.json": b"[" * 200_000}, "maximum recursion depth exceeded"),
        ({"config.json": b"[]"}, "object has no attribute"),
        ({"assets/bomb": bytes(10)}, "it holds 'assets/bomb', which no network needs"),
        ({"model.weights.h5": b"no HDF5"}, "file signature not found"),
    ],
    ids=["deep", "list", "assets", "text"],
)
def test_members_that_no_network_has_are_refused(tmp_path, saved, members, reason):
    write_keras(tmp_path / "best.keras", {**saved, **members})
    assert reason in refused_by_load_weights(tmp_path / "best.keras")
    refused_as_a_run(tmp_path)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b'{"a.weight":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}', "is of type F8_E4M3"),
        (b'{"a.weight":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4]}}', "cannot be read"),
        (b'{"a":' + b"[" * 200_000 + b"}", "recursion limit exceeded"),
    ],
    ids=["float8", "claim", "deep"],
)
def test_safetensors_of_other_types_or_claims_are_refused(tmp_path, header, reason):
    path = tmp_path / "net.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    assert reason in refused_by_load_weights(path)
