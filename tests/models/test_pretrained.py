"""Networks that are published whole, by name: one from a file as published, at full width, and bad input."""

import cv2
import numpy as np
import pytest

from keras_seg import load_pretrained
from keras_seg.cli import main
from keras_seg.errors import InputError
from keras_seg.files import CACHE
from keras_seg.models import MODELS
from keras_seg.models.pretrained import pretrained_networks
from keras_seg.pretrained import downloads
from tests import parity
from tests.pretrained_networks import fixture_path, write

PRETRAINED = pretrained_networks()
NAME = "fcn_resnet50_coco"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder that holds `weights` with one file as torchvision publishes it."""
    weights = tmp_path_factory.mktemp("published") / "weights"
    weights.mkdir()
    with write(NAME, weights):
        yield weights.parent


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    def refuse(request):
        raise OSError("no network")

    monkeypatch.setattr(downloads, "_open", refuse)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def pretrained(folder):
    return load_pretrained(NAME, folder / "weights")


def test_a_published_network_answers_as_its_reference(pretrained):
    model, classes, colors = pretrained
    found = parity.errors(model, fixture_path(NAME))
    assert set(found) == {"out", "aux"}
    assert max(found.values()) <= parity.LIMIT
    assert model.get_layer("preprocessing").mode == "torch"
    assert len(classes) == len(colors) == 21
    # Pascal VOC's development kit.
    assert (classes[0], classes[15], classes[20]) == ("background", "person", "tvmonitor")
    assert colors[0] == (0, 0, 0) and len(set(colors)) == 21


def test_predict_labels_an_image_with_it(folder, pretrained, monkeypatch, tmp_path):
    monkeypatch.chdir(folder)
    image = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
    cv2.imwrite("photo.png", image[..., ::-1])
    output = tmp_path / "masks"
    words = ["photo.png", "--pretrained", NAME, "--output", str(output), "--overlay"]
    assert main(words, program="predict.py") == 0
    mask = cv2.imread(str(output / "photo.png"), cv2.IMREAD_UNCHANGED)
    logits = pretrained.model(image[None], training=False)["out"][0]
    assert np.array_equal(mask, np.argmax(logits, axis=-1))
    assert (output / "overlays" / "photo.jpg").is_file()


@pytest.mark.parametrize(("name", "trained"), PRETRAINED.items(), ids=list(PRETRAINED))
def test_each_is_a_network_of_ours_with_a_reference(name, trained):
    assert trained.network.name in MODELS
    assert fixture_path(name).is_file()
    if trained.file.name.endswith(".pth"):  # torchvision's names end in the checksum's first digits.
        assert trained.file.name == f"{name}-{trained.file.digest}.pth"


def test_an_unknown_name_lists_those_that_are_known():
    with pytest.raises(InputError, match=r"'fcn9' is no published network; there are fcn8s_voc, "):
        load_pretrained("fcn9")


def test_a_file_that_cannot_be_had_says_where_it_is(tmp_path):
    with pytest.raises(InputError) as caught:
        load_pretrained("fcn8s_voc", tmp_path)
    line = (
        f"fcn8s_voc: fcn8s-heavy-pascal.caffemodel is not in {tmp_path} and cannot be downloaded (OSError: no"
    )
    assert str(caught.value).startswith(line)
    assert f"put http://dl.caffe.berkeleyvision.org/fcn8s-heavy-pascal.caffemodel into {tmp_path}" in str(
        caught.value
    )


def test_an_altered_file_is_refused(tmp_path):
    (tmp_path / PRETRAINED[NAME].file.name).write_bytes(b"PK")
    with pytest.raises(InputError, match="its sha256 is"):
        load_pretrained(NAME, tmp_path)


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--pretrained", NAME, "--run", "runs/x"], "two models; drop --pretrained, or --run and --server"),
        (["--pretrained", NAME, "--server", "host:1"], "two models"),
        (["--pretrained", "fcn9"], "'fcn9' is no published network"),
        ([], "no model; name a run folder with --run, a published network with --pretrained, or"),
    ],
)
def test_wrong_use_ends_in_one_line(tmp_path, capsys, flags, line):
    assert main(["photo.png", *flags, "--output", str(tmp_path / "masks")], program="predict.py") == 2
    assert line in capsys.readouterr().err
    assert not (tmp_path / "masks").exists()


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in PRETRAINED if name != NAME])
def test_the_others_answer_as_their_references(tmp_path, name):
    with write(name, tmp_path):
        model = load_pretrained(name, tmp_path).model
    assert max(parity.errors(model, fixture_path(name)).values()) <= parity.LIMIT
