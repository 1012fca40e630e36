"""Weight files: every format, read and refused."""

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from safetensors.numpy import save_file

from keras_seg.errors import InputError
from keras_seg.models import build_model
from keras_seg.pretrained import load_weights
from tests.pretrained.caffe_writer import write_caffemodel
from tests.pretrained.pth_writer import LAYOUTS, write_pth

NARROW = {"widths": (4, 4, 4, 4, 4), "decoder_widths": (4, 4, 4, 4)}


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def unet(num_classes=3, **options):
    model = build_model("unet", num_classes, **NARROW, **options)
    for index, variable in enumerate(model.weights):
        variable.assign(np.abs(noise(*variable.shape, seed=index)) + 0.1)
    return model


def assert_same_answer(model, other):
    x = noise(1, 9, 11, 3) * 100
    np.testing.assert_allclose(np.asarray(model(x)), np.asarray(other(x)), rtol=1e-5)


@pytest.fixture(scope="module")
def original():
    return unet()


@pytest.fixture
def fresh():
    return build_model("unet", 3, **NARROW)


@pytest.mark.parametrize("name", ["net.keras", "net.weights.h5"])
def test_a_networks_own_file_gives_it_back(tmp_path, original, fresh, name):
    path = tmp_path / name
    (original.save if name.endswith(".keras") else original.save_weights)(path)
    assert load_weights(fresh, path) == f"unet: loaded 37 layers from {path}."
    assert_same_answer(fresh, original)


@pytest.mark.parametrize("name", ["net.keras", "net.weights.h5"])
def test_score_layers_start_anew_for_other_classes(tmp_path, original, name):
    path = tmp_path / name
    (original.save if name.endswith(".keras") else original.save_weights)(path)
    model = build_model("unet", 5, **NARROW)
    line = load_weights(model, path)
    assert line == (
        f"unet: loaded 36 layers from {path}; re-initialized because of 3 classes there, 5 here: logits."
    )


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5", ".h5", ".pth", ".safetensors", ".caffemodel"])
def test_a_whole_networks_file_on_another_preprocessing_is_refused(tmp_path, original, suffix):
    path = tmp_path / f"net{suffix}"
    if suffix == ".weights.h5":
        original.save_weights(path)
    elif suffix in (".keras", ".h5"):
        original.save(path)
    elif suffix == ".pth":
        write_pth(path, "zip", {"stem.conv1.weight": noise(4, 3, 3, 3)})
    elif suffix == ".safetensors":
        save_file({"stem.conv1.weight": noise(4, 3, 3, 3)}, path)
    else:
        write_caffemodel(path, {"stem_conv1": [noise(4, 3, 3, 3)]})
    model = build_model("unet", 3, preprocessing="bgr", **NARROW)
    before = model.get_weights()
    theirs = "caffe" if suffix == ".caffemodel" else "torch"
    with pytest.raises(
        InputError, match=f"trained with preprocessing '{theirs}' and unet has 'bgr': build the"
    ):
        load_weights(model, path)
    assert all(map(np.array_equal, before, model.get_weights()))
    if suffix == ".weights.h5":  # Keras's own loader knows it too.
        with pytest.raises(ValueError, match="trained with preprocessing 'torch', not 'bgr'"):
            model.load_weights(path)


@pytest.mark.parametrize("name", ["net.keras", "net.weights.h5"])
def test_a_file_trained_on_measured_preprocessing_says_how_to_build_the_network(tmp_path, name):
    measured = {"mean": [100.0, 90.0, 80.0], "deviation": [50.0, 40.0, 30.0]}
    trained = build_model("unet", 3, preprocessing=measured, **NARROW)
    (trained.save if name.endswith(".keras") else trained.save_weights)(tmp_path / name)
    with pytest.raises(InputError, match=r'build the model with the statistics .* preprocessing={"mean": \['):
        load_weights(build_model("unet", 3, **NARROW), tmp_path / name)
    again = build_model("unet", 3, preprocessing=measured, **NARROW)
    load_weights(again, tmp_path / name)
    assert_same_answer(again, trained)


def test_weights_from_before_files_said_their_preprocessing_are_loaded(tmp_path, original, fresh):
    path = tmp_path / "net.weights.h5"
    original.save_weights(path)
    with h5py.File(path, "r+") as file:
        found = [group["vars"] for group in file["layers"].values() if "mode" in group["vars"]]
        assert len(found) == 1
        del found[0]["mode"]
    fresh.load_weights(path)
    assert_same_answer(fresh, original)
    load_weights(fresh, path)
    assert_same_answer(fresh, original)


def test_a_file_trained_on_another_preprocessing_is_refused(tmp_path, original):
    path = tmp_path / "net.keras"
    original.save(path)
    with pytest.raises(InputError, match="trained with preprocessing 'torch' and unet has 'caffe'"):
        load_weights(build_model("unet", 3, preprocessing="caffe", **NARROW), path)


def test_a_wider_network_is_refused_and_nothing_is_loaded(tmp_path, original):
    path = tmp_path / "net.keras"
    original.save(path)
    model = build_model("unet", 3, widths=(4, 4, 4, 4, 8), decoder_widths=(4, 4, 4, 4))
    before = model.get_weights()
    with pytest.raises(InputError, match="of another shape: down4_conv1/kernel"):
        load_weights(model, path)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))


def unet_state_dict(model):
    """`model`'s weights as the PyTorch class of the fixture holds them."""
    suffixes = {"kernel": "weight", "gamma": "weight", "beta": "bias"}
    suffixes |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
    tensors = {}
    for layer in model.layers:
        stem = layer.name
        if stem.startswith(("down", "up")):
            stem = stem.replace("_", ".conv.")
        stem = {"logits": "reduce"}.get(stem, stem.replace("stem_", "stem."))
        for variable in layer.weights:
            array = np.asarray(variable.value)
            array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
            tensors[f"{stem}.{suffixes.get(variable.name, variable.name)}"] = np.ascontiguousarray(array)
    return tensors


def test_safetensors_are_read(tmp_path, original, fresh):
    path = tmp_path / "net.safetensors"
    save_file(unet_state_dict(original), path)
    assert load_weights(fresh, path) == f"unet: loaded 37 layers from {path}."
    assert_same_answer(fresh, original)


def test_a_state_dict_of_other_classes_is_said_to_be_one(tmp_path, original):
    path = tmp_path / "net.safetensors"
    save_file(unet_state_dict(original), path)
    assert "because of 3 classes there, 2 here: logits." in load_weights(
        build_model("unet", 2, **NARROW), path
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("nested", [False, True])
def test_pth_is_read_without_torch(tmp_path, original, fresh, layout, nested):
    path = tmp_path / "net.pth"
    write_pth(path, layout, unet_state_dict(original), nested)
    assert load_weights(fresh, path) == f"unet: loaded 37 layers from {path}."
    assert_same_answer(fresh, original)


def score_model():
    image = x = keras.Input((None, None, 3))
    for layer in (
        layers.Conv2D(4, 3, name="block1_conv1"),
        layers.Conv2D(2, 1, name="score_fr"),
        layers.Conv2DTranspose(2, 4, strides=2, use_bias=False, name="upscore2", trainable=False),
    ):
        x = layer(x)
    return keras.Model(image, x, name="fcn")


@pytest.mark.parametrize("v1", [False, True])
def test_caffemodels_are_read(tmp_path, v1):
    path = tmp_path / "net.caffemodel"
    blobs = {
        "conv1_1": [noise(4, 3, 3, 3), noise(4)],
        "score_fr": [noise(2, 4, 1, 1), noise(2)],
        "upscore2": [noise(2, 2, 4, 4)],
    }
    write_caffemodel(path, blobs, v1)
    model = score_model()
    assert load_weights(model, path) == f"fcn: loaded 3 layers from {path}."
    kernel = np.asarray(model.get_layer("block1_conv1").kernel.value)
    np.testing.assert_array_equal(kernel[1, 2, 0], blobs["conv1_1"][0][:, 0, 1, 2])
    np.testing.assert_array_equal(model.get_layer("score_fr").bias, blobs["score_fr"][1])
    kernel = np.asarray(model.get_layer("upscore2").kernel.value)
    np.testing.assert_array_equal(kernel[3, 0, 1], blobs["upscore2"][0][:, 1, 3, 0])


def test_a_caffemodel_of_another_network_is_refused(tmp_path):
    path = tmp_path / "net.caffemodel"
    write_caffemodel(path, {"ip1": [noise(2, 3), noise(2)]})
    with pytest.raises(InputError, match="left over: ip1/kernel, ip1/bias"):
        load_weights(score_model(), path)


@pytest.mark.parametrize("content", [b"", b"no weights at all, but a text", b"\x89HDF\r\n\x1a\n" + bytes(64)])
@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras", ".safetensors", ".caffemodel", ".pth"])
def test_a_corrupt_file_is_one_clear_line(tmp_path, fresh, suffix, content):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_weights(fresh, path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".safetensors"])
def test_a_truncated_file_is_one_clear_line(tmp_path, original, fresh, suffix):
    path = tmp_path / f"net{suffix}"
    if suffix == ".safetensors":
        save_file(unet_state_dict(original), path)
    else:
        (original.save if suffix == ".keras" else original.save_weights)(path)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(InputError) as caught:
        load_weights(fresh, path)
    assert "\n" not in str(caught.value)


def test_missing_files_and_unknown_suffixes_are_refused(tmp_path, fresh):
    with pytest.raises(InputError, match="does not exist"):
        load_weights(fresh, tmp_path / "net.h5")
    with pytest.raises(InputError, match=r"may end with \.weights\.h5, \.h5, \.keras"):
        load_weights(fresh, tmp_path / "net.zip")
