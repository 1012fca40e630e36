"""PyTorch's `.pth` files, read without PyTorch: to the bit what it wrote, and nothing that they would run."""

import pickle
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from keras_seg.errors import InputError
from keras_seg.pretrained import load_weights
from keras_seg.pretrained.torch_files import read_pth
from tests.pth_writer import LAYOUTS, Call, as_global, dumps, tensor, write_pickle
from tests.torch_files import FOLDER, expected

FILES = sorted(FOLDER.glob("*.pth"))
WEIGHT = np.arange(24, dtype="f4").reshape(4, 3, 2, 1)


def read(path):
    with path.open("rb") as file:
        return {key: np.asarray(array) for key, array in read_pth(file, path).items()}


def assert_same_bits(found, wanted):
    assert list(found) == list(wanted)
    for key, array in wanted.items():
        assert found[key].dtype == array.dtype and found[key].shape == array.shape, key
        assert found[key].tobytes() == array.tobytes(), key


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_pytorch_wrote_is_read_to_the_bit(path):
    assert len(FILES) == 6
    assert_same_bits(read(path), expected())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_pytorch_reads_the_same_where_it_is_installed(path):
    torch = pytest.importorskip("torch")
    tensors = torch.load(path, weights_only=True)
    tensors = tensors.get("state_dict", tensors.get("model", tensors))
    tensors["bfloat16"] = tensors["bfloat16"].float()
    assert_same_bits(read(path), {key: tensor.detach().numpy() for key, tensor in tensors.items()})


@pytest.mark.parametrize("is_zip", [True, False], ids=LAYOUTS)
def test_so_does_it_of_a_network_written_now(tmp_path, is_zip):
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Linear(5, 4)
    ).half()
    torch.save(module.state_dict(), tmp_path / "net.pth", _use_new_zipfile_serialization=is_zip)
    wanted = {key: tensor.numpy() for key, tensor in module.state_dict().items()}
    assert_same_bits(read(tmp_path / "net.pth"), wanted)


def test_numbers_of_a_big_endian_machine_are_turned(tmp_path):
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(FOLDER / "zip.pth") as source, zipfile.ZipFile(path, "w") as archive:
        for name in source.namelist():
            content = b"big" if name == "zip/byteorder" else source.read(name)
            if name in ("zip/data/0", "zip/data/1", "zip/data/2"):  # float32, as all the tensors below.
                content = np.frombuffer(content, "<f4").astype(">f4").tobytes()
            archive.writestr(name, content)
    found, wanted = read(path), expected()
    for key in ("conv.weight", "conv.bias", "bn.weight"):
        np.testing.assert_array_equal(found[key], wanted[key])
        assert found[key].dtype == "f4"


def write(path, layout, pickled, storages=None, lengths=None):
    return write_pickle(path, layout, pickled, {"0": WEIGHT} if storages is None else storages, lengths)


def network():
    image = keras.Input((None, None, 3))
    return keras.Model(image, layers.Conv2D(4, (2, 1), use_bias=False, name="conv")(image), name="net")


@pytest.fixture(autouse=True)
def keys_are_layer_names(monkeypatch):
    monkeypatch.setattr("keras_seg.pretrained.torch_names.layer_name", lambda _, key: key.rpartition(".")[0])


def refusal(path):
    """The one line in which loading ends, with the model as it was."""
    model = network()
    before = model.get_weights()[0]
    with pytest.raises(InputError) as caught:
        load_weights(model, path)
    assert np.array_equal(model.get_weights()[0], before)
    assert str(path) in str(caught.value) and len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "made",
    [
        tensor(),
        tensor(view=(("view", 0, 24),)),
        Call(
            as_global("torch._utils", "_rebuild_tensor"), tensor().call[1][0], 0, (4, 3, 2, 1), (6, 2, 1, 1)
        ),
        Call(as_global("torch._utils", "_rebuild_parameter"), tensor(), True, OrderedDict()),
        tensor(kind=as_global("torch.cuda", "FloatStorage")),
    ],
    ids=["tensor", "part", "before 0.4", "parameter", "GPU"],
)
def test_a_state_dict_is_loaded(tmp_path, layout, made):
    path = write(tmp_path / "net.pth", layout, dumps({"conv.weight": made}))
    model = network()
    load_weights(model, path)
    np.testing.assert_array_equal(model.get_weights()[0], WEIGHT.transpose(2, 3, 1, 0))


def test_a_dict_as_python_2_pickled_it_is_loaded(tmp_path):
    ordered = Call(as_global("collections", "OrderedDict"), [["conv.weight", tensor()]])
    model = network()
    load_weights(model, write(tmp_path / "net.pth", "legacy", dumps(ordered)))
    np.testing.assert_array_equal(model.get_weights()[0], WEIGHT.transpose(2, 3, 1, 0))


def test_a_part_of_a_storage_begins_where_it_says(tmp_path):
    storage = np.concatenate([np.full(5, 9, "f4"), WEIGHT.ravel()])
    made = tensor(size=29, view=(("view", 3, 26),), offset=2)
    path = write(tmp_path / "net.pth", "legacy", dumps({"conv.weight": made}), {"0": storage})
    assert_same_bits(read(path), {"conv.weight": WEIGHT})


def calling(module, name, *arguments):
    return dumps({"conv.weight": Call(as_global(module, name), *arguments)})


ENTRY = b"\x80\x02}(X\x0b\x00\x00\x00conv.weight"  # A dict whose value follows, then b"u."
HOSTILE = {
    "os.system": (calling("posix", "system", "touch ran"), "'posix.system'"),
    "eval": (calling("__builtin__", "eval", "open('ran', 'w')"), "'__builtin__.eval'"),
    "getattr": (calling("builtins", "getattr", 1, "x"), "'builtins.getattr'"),
    "torch.load": (calling("torch", "load", "other.pth"), "'torch.load'"),
    "numpy": (calling("numpy.core.multiarray", "scalar"), "'numpy.core.multiarray.scalar'"),
    "a dotted name": (calling("torch._utils", "_rebuild_tensor_v2.__globals__"), "__globals__"),
    "a name in two lines": (b"\x80\x02cos\nsys\rtem\n.", "os.sys"),
    "a class made": (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "instruction NEWOBJ"),
    "an instance": (b"\x80\x02(S'touch ran'\nios\nsystem\n.", "instruction STRING"),
    "an instance without arguments": (b"\x80\x02(ios\nsystem\n.", "instruction INST"),
    "an extension": (b"\x80\x02\x82\x01.", "instruction EXT1"),
    "protocol 4": (pickle.dumps({}, protocol=4), "instruction MEMOIZE"),
    "attributes of a class": (b"\x80\x02ccollections\nOrderedDict\n}b.", "has a _Name where a dict belongs"),
    "a call of a string": (b"\x80\x02X\x02\x00\x00\x00os)R.", "has a str where a _Name belongs"),
    "a call of a storage": (b"\x80\x02ctorch\nFloatStorage\n)R.", "torch FloatStorage"),
    "no arguments": (ENTRY + b"ctorch._utils\n_rebuild_tensor_v2\n)Ru.", "missing 4 required"),
    "no end": (ENTRY, "cannot be read"),
    "an empty stack": (b"\x80\x02.", "pop from empty list"),
    "a memo that is not there": (b"\x80\x02h\x07.", "cannot be read (7)"),
    "a memo far out": (b"\x80\x02}r\xff\xff\xff\xff.", "has no key of this network"),
    "lists of lists": (b"\x80\x02]q\x00" + b"(h\x00h\x00e" * 100_000 + b".", "holds no state dict"),
    "a long string": (b"\x80\x02X\xff\xff\xff\xffshort", "expected 4294967295 bytes"),
    "deep lists": (b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".", "holds no state dict"),
    "a deep key": (b"\x80\x02})" + b"\x85" * 200_000 + b"Ns.", "has a tuple where a int belongs"),
    "too long": (b"\x80\x02" + b"N0" * 2_000_000 + b".", "cannot be read"),
    "a zip in a zip": (Path(FOLDER / "zip.pth").read_bytes(), "cannot be read"),
    "no dict": (dumps([tensor()]), "holds no state dict"),
    "a number": (dumps({"conv.weight": 3}), "holds no state dict"),
}
CLAIMS = {
    "beyond its storage": (tensor(offset=1), "goes beyond its storage"),
    "beyond by strides": (tensor(strides=(60, 2, 1, 1)), "goes beyond its storage"),
    "many numbers": (tensor(size=2**62), "0' "),
    "a large shape of one number": (tensor(shape=(2**40, 6), strides=(0, 0)), "3, 1099511627776) there"),
    "a shape without end": (tensor(shape=(2**62, 2**62), strides=(0, 0)), "cannot be read"),
    "a negative offset": (tensor(offset=-1), "has a size of -1"),
    "negative strides": (tensor(offset=23, strides=(-6, -2, -1, -1)), "has a size of -6"),
    "a negative length": (tensor(size=-24), "has a size of -24"),
    "other dimensions": (tensor(strides=(1,)), "zip() argument 2 is shorter"),
    "a path as a key": (tensor(key="../data.pkl"), "../data.pkl' is missing" ),
    "a storage that is not there": (tensor(key="1"), "1' is missing"),
    "another type's length": (tensor(kind=as_global("torch", "DoubleStorage")), "0' is missing or shorter"),
    "whole numbers": (tensor(kind=as_global("torch", "IntStorage")), "conv/kernel is int32 there"),
    "an unknown type": (tensor(kind=as_global("torch", "QInt8Storage")), "'torch.QInt8Storage'"),
    "to be negated": (tensor(changes=({"neg": True},)), "to be changed on reading: neg"),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", HOSTILE)
def test_what_a_pickle_would_run_is_refused(tmp_path, layout, case, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickled, reason = HOSTILE[case]
    storages = {"0": WEIGHT} if b"FloatStorage" in pickled else {}
    assert reason in refusal(write(tmp_path / "net.pth", layout, pickled, storages))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("case", CLAIMS)
def test_a_tensor_that_claims_what_is_not_there_is_refused(tmp_path, case):
    made, reason = CLAIMS[case]
    path = write(tmp_path / "net.pth", "zip", dumps({"conv.weight": made}))
    tracemalloc.start()
    assert reason in refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.parametrize("length", [23, -1, 2**61])
def test_a_length_in_the_older_layout_must_be_the_storages(tmp_path, length):
    pickled = dumps({"conv.weight": tensor(size=length)}) if length > 24 else dumps({"conv.weight": tensor()})
    line = refusal(write(tmp_path / "net.pth", "legacy", pickled, lengths={"0": length}))
    assert "it ends within its storage '0'" in line if length > 24 else "has another length" in line


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_cut_short_is_refused(tmp_path, layout):
    path = write(tmp_path / "net.pth", layout, dumps({"conv.weight": tensor()}))
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        refusal(path)


def test_views_of_one_large_storage_do_not_hold_it_each(tmp_path):
    storage = np.zeros(4_000_000, "f4")
    table = {str(i): tensor(size=storage.size, shape=(2,), strides=(storage.size - 1,)) for i in range(20)}
    path = write(tmp_path / "net.pth", "zip", dumps(table), {"0": storage})
    tracemalloc.start()
    read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * storage.nbytes


def test_another_byte_order_than_two_is_refused(tmp_path):
    path = write(tmp_path / "net.pth", "zip", dumps({"conv.weight": tensor()}))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("net/byteorder", b"middle")
    assert "middle" in refusal(path)
