"""What the command line does with the package's networks, where `tests/test_registry.py` installed it."""

import json
import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from keras_seg.cli import main
from keras_seg.data import write_shapes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_shapes(
        tmp_path_factory.mktemp("data") / "shapes", counts={"train": 4, "val": 2}, size=(32, 40)
    )


def command(*words):
    assert main([*map(str, words)]) == 0


def test_it_is_listed(capsys):
    command("models")
    assert "`acme_net`" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options", [("acme_net",), ("unet", "--model-option", "encoder=acme")], ids=["acme_net", "acme"]
)
def test_it_trains_predicts_and_is_exported(options, folder, tmp_path):
    run = tmp_path / "run"
    fast = ("--image-size", 32, 32, "--epochs", 1, "--batch-size", 4, "--freeze-encoder", 2, "--head-rate", 2)
    command("train", "--model", *options, "--data", folder, "--output", run, "--weights", "none", *fast)
    command("predict", "--run", run, folder / "images" / "val", "--output", tmp_path / "masks")
    assert len(list((tmp_path / "masks").glob("*.png"))) == 2
    command("export", "--run", run, "--output", tmp_path / "export")
    assert list((tmp_path / "export").rglob("saved_model.pb"))
    assert json.loads((run / "config.json").read_text())["freeze_encoder"] == 2
