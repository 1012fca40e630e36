"""`--weights auto | imagenet | none | FILE`: which file it is, and how it is fetched."""

import hashlib

import pytest

from keras_seg.errors import InputError
from keras_seg.files import CACHE
from keras_seg.models import MODELS
from keras_seg.pretrained import downloads, published, resolve_weights
from keras_seg.pretrained.published import find_published
from keras_seg.registry import default_preprocessing, encoders, networks
from keras_seg.rows import Published

VGG16 = "vgg16_weights_tf_dim_ordering_tf_kernels.h5"
NOTOP = VGG16.replace(".h5", "_notop.h5")


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No network, and no downloads of former days."""

    def refuse(request):
        raise OSError("no network")

    monkeypatch.setattr(downloads, "_open", refuse)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))


@pytest.fixture
def unchecked(monkeypatch):
    """Takes any file for the published one of its name."""
    monkeypatch.setattr(published, "other_checksum", lambda file, path: None)


def test_every_network_but_the_unets_has_published_weights():
    known = {name for name, row in networks().items() if row.default_encoder}
    assert set(MODELS) - known == {"unet", "unet_paper"}
    assert known - set(MODELS) == {"vgg16_classifier"}


def test_none_is_he_initialization():
    assert resolve_weights("fcn8", "none") == (None, "weights: He initialization, as asked for.")


def test_a_file_is_taken_as_it_is(tmp_path):
    path = tmp_path / "mine.h5"
    path.touch()
    assert resolve_weights("fcn8", str(path)) == (path, f"weights: from {path}.")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(
        InputError, match=r"is not a file. Give a weights file or one of auto, imagenet, none"
    ):
        resolve_weights("fcn8", str(tmp_path / "mine.h5"))


@pytest.mark.parametrize("choice", ["auto", "imagenet"])
@pytest.mark.parametrize("name", [VGG16, NOTOP])
def test_the_file_in_the_folder_comes_first(tmp_path, choice, name, unchecked):
    (tmp_path / name).touch()
    expected = tmp_path / name, f"weights: {tmp_path / name}, which was there."
    assert resolve_weights("fcn8", choice, tmp_path) == expected


def test_auto_without_a_network_says_how_to_get_the_file(tmp_path):
    path, line = resolve_weights("fcn8", "auto", tmp_path)
    assert path is None
    assert line.startswith(f"weights: He initialization, because {VGG16} is not in {tmp_path} and cannot be")
    assert line.endswith(
        f"put https://storage.googleapis.com/tensorflow/keras-applications/vgg16/{VGG16} into {tmp_path}."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_imagenet_without_a_network_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"--weights imagenet: vgg16_weights.* cannot be downloaded"):
        resolve_weights("fcn8", "imagenet", tmp_path)


def test_a_network_without_published_weights_says_so():
    assert "nobody publishes ImageNet weights for unet" in resolve_weights("unet", "auto")[1]
    with pytest.raises(InputError, match="nobody publishes"):
        resolve_weights("unet", "imagenet")


def test_resnets_take_the_published_pth_or_else_safetensors(tmp_path, unchecked):
    line = resolve_weights("fcn_resnet50", "auto", tmp_path)[1]
    assert f"put https://download.pytorch.org/models/resnet50-0676ba61.pth into {tmp_path}" in line
    for name in ("resnet50.safetensors", "resnet50-0676ba61.pth"):
        (tmp_path / name).touch()
        assert resolve_weights("fcn_resnet50", "auto", tmp_path)[0] == tmp_path / name


@pytest.mark.parametrize(
    ("network", "built", "name"),
    [
        ("fcn8", {"preprocessing": "torch"}, "vgg16-397923af.pth"),
        ("fcn8", {"preprocessing": "none"}, VGG16),
        ("segnet", {}, VGG16),
        ("segnet", {"preprocessing": "torch"}, "vgg16_bn-6c64b313.pth"),
        ("fcn8_vgg16_bn", {"preprocessing": "none"}, "vgg16_bn-6c64b313.pth"),
        ("deeplabv3", {"encoder": "resnet101"}, "resnet101-63fe2227.pth"),
        ("pspnet", {"encoder": "resnet50_keras"}, "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"),
    ],
)
def test_a_network_gets_the_file_that_it_was_built_for(network, built, name, tmp_path, unchecked):
    for encoder in encoders().values():
        for file in encoder.weights:
            (tmp_path / file.name).touch()
    assert resolve_weights(network, "imagenet", tmp_path, **built)[0] == tmp_path / name


def test_vgg16_starts_a_network_with_the_mean_it_was_trained_with_or_fcns(tmp_path, unchecked):
    (tmp_path / VGG16).touch()
    for network, mode in (("fcn8", "keras"), ("unet_vgg16", "keras"), ("fcn8_caffe", "caffe")):
        assert default_preprocessing(networks()[network]) == mode
        assert resolve_weights(network, "auto", tmp_path)[0] == tmp_path / VGG16


def test_what_nobody_trained_with_such_preprocessing_says_so(tmp_path):
    path, line = resolve_weights("segnet", "auto", tmp_path, preprocessing="bgr")
    assert path is None
    assert "nobody publishes ImageNet weights for segnet with preprocessing 'bgr'" in line


def test_a_network_without_fc6_takes_the_file_without_it(tmp_path, unchecked):
    line = resolve_weights("unet_vgg16", "auto", tmp_path, has_fc6=False)[1]
    assert f"because {NOTOP} is not in" in line
    (tmp_path / VGG16).touch()
    assert resolve_weights("unet_vgg16", "auto", tmp_path, has_fc6=False)[0] == tmp_path / VGG16
    (tmp_path / NOTOP).touch()
    assert resolve_weights("unet_vgg16", "auto", tmp_path, has_fc6=False)[0] == tmp_path / NOTOP
    assert resolve_weights("fcn8", "auto", tmp_path)[0] == tmp_path / VGG16


def test_a_whole_network_is_taken_by_its_name(tmp_path, unchecked):
    file = networks()["fcn_resnet50"].weights[0]
    with pytest.raises(InputError, match=rf"^{file.name} is not in .* put {file.url} into"):
        resolve_weights("fcn_resnet50", "fcn_resnet50_coco", tmp_path)
    path = tmp_path / file.name
    path.touch()
    expected = path, f"weights: fcn_resnet50_coco, from {path}."
    assert resolve_weights("fcn_resnet50", "fcn_resnet50_coco", tmp_path) == expected
    with pytest.raises(
        InputError, match=r"not a file. Give a weights file or one of auto, imagenet, none\.$"
    ):
        resolve_weights("pspnet", "fcn_resnet50_coco", tmp_path)


def test_the_folder_comes_before_the_downloads_and_they_before_the_network(tmp_path, monkeypatch):
    content = b"weights"
    file = Published("https://example.org/file.h5", "md5", hashlib.md5(content).hexdigest())
    assert find_published(file, tmp_path) is None
    (tmp_path / "cache").mkdir()
    for folder in (tmp_path / "cache", tmp_path):
        (folder / "file.h5").write_bytes(content)
        assert find_published(file, tmp_path) == folder / "file.h5"


@pytest.mark.parametrize("folder", [".", "cache"])
def test_an_altered_or_half_file_is_recognized(tmp_path, folder):
    path = tmp_path / folder / VGG16
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"half of it")
    with pytest.raises(
        InputError, match=f"{VGG16}: its md5 is .*not all of it arrived. Remove it and get http"
    ):
        resolve_weights("fcn8", "auto", tmp_path)
