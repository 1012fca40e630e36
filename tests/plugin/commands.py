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
    assert "acme_net" in capsys.readouterr().out


def train(folder, run, *model):
    fast = ("--image-size", 32, 32, "--epochs", 1, "--batch-size", 4, "--freeze-encoder", 2, "--head-rate", 2)
    command("train", "--model", *model, "--data", folder, "--output", run, "--weights", "none", *fast)
    assert (run / "export" / "1" / "saved_model.pb").is_file()


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    train(folder, run, "acme_net")
    return run


def test_its_network_trains_and_predicts(run, folder, tmp_path):
    assert json.loads((run / "config.json").read_text())["freeze_encoder"] == 2
    command("predict", "--run", run, folder / "images" / "val", "--output", tmp_path)
    assert len(list(tmp_path.glob("*.png"))) == 2


def test_its_network_is_exported_by_the_command_too(run, tmp_path):
    command("export", "--run", run, "--format", "onnx", "--output", tmp_path)
    assert list(tmp_path.rglob("*.onnx"))


def test_its_encoder_is_trained_under_a_network_of_ours(folder, tmp_path):
    train(folder, tmp_path / "run", "unet", "--model-option", "encoder=acme")
