"""PyTorch's `.pth` files, read without PyTorch: to the bit what it wrote, and nothing that they would run."""

import tracemalloc
import zipfile
from collections import OrderedDict

import keras
import numpy as np
import pytest
from keras import layers

from keras_seg.errors import InputError
from keras_seg.pretrained import load_weights
from keras_seg.pretrained.torch_files import read_pth
from tests.pretrained.hostile_pickles import CLAIMS, HOSTILE, WEIGHT
from tests.pretrained.pth_writer import LAYOUTS, Call, as_global, dumps, tensor, write_pickle
from tests.pretrained.torch_files import FOLDER, expected

FILES = sorted(FOLDER.glob("*.pth"))


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
        Call(as_global("torch.nn.parameter", "Parameter"), tensor(), state=(True, False, OrderedDict())),
        tensor(kind=as_global("torch.cuda", "FloatStorage")),
    ],
    ids=["tensor", "part", "before 0.4", "parameter", "parameter before 0.4", "GPU"],
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


def test_numbers_that_are_not_their_checksum_are_refused(tmp_path):
    path = write(tmp_path / "net.pth", "zip", dumps({"conv.weight": tensor()}))
    content = bytearray(path.read_bytes())
    content[content.index(WEIGHT.tobytes()) + 5] ^= 1
    path.write_bytes(content)
    assert "Bad CRC-32 of net/data/0" in refusal(path)


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
