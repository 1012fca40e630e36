"""The examples run as they are."""

import base64
import re
import runpy
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_seg.data import shapes
from keras_seg.metrics import FIGURES
from keras_seg.models import classifier
from tests.models.helpers import VGG16_STAGES

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_heatmap_draws_the_most_likely_classes(tmp_path, monkeypatch, capsys):
    """With a VGG16 of few channels, and the weights that it starts with."""
    narrow = partial(classifier.fully_convolutional, filters=16)
    monkeypatch.setattr(classifier, "fully_convolutional", narrow)
    monkeypatch.setattr(sys.modules["keras_seg.encoders.vgg16"], "STAGES", VGG16_STAGES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["heatmap.py"])
    monkeypatch.setattr("keras_seg.pretrained.resolve_weights", lambda *_: (None, "weights: none"))
    runpy.run_path(str(EXAMPLES / "heatmap.py"), run_name="__main__")
    pictures = sorted((tmp_path / "runs" / "heatmap").iterdir())
    assert len(pictures) == 3 and all(cv2.imread(str(path)).shape == (256, 320, 3) for path in pictures)
    assert capsys.readouterr().out.count("probability up to") == 3


def test_keras_native_learns_and_leaves_its_best_model_and_pictures(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(str(EXAMPLES / "keras_native.py"), run_name="__main__")
    losses, ious = (names["history"].history[name] for name in ("loss", "val_mean_iou"))
    assert losses[-1] < 0.9 * losses[0]
    assert names["figures"]["mean_iou"] == pytest.approx(max(ious), abs=1e-3)
    assert set(FIGURES) <= set(names["figures"])
    assert "star" in capsys.readouterr().out
    folder = tmp_path / "runs" / "keras-native"
    assert {path.name for path in folder.iterdir()} == {
        "best.keras", "curves.png", "history.csv", "samples.png",
    }  # fmt: skip
    for name in ("curves.png", "samples.png"):
        assert np.ptp(cv2.imread(str(folder / name))) > 0


def test_train_own_trains_objects_of_keras_and_leaves_a_run(eager, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    few = partial(shapes.draw_shapes, counts={"train": 4, "val": 4}, size=(32, 32))
    monkeypatch.setattr("keras_seg.data.folders.dataset.draw_shapes", few)
    names = runpy.run_path(str(EXAMPLES / "train_own.py"), run_name="__main__")
    run, prediction = names["run"], names["prediction"]
    assert run.path.name == "two_layers-dataset" and len(run.config["objects"]) == 6
    assert {path.name for path in run.export_path.iterdir() if path.is_dir()} == {"1", "2"}
    assert names["metrics"]["num_images"] == 4
    np.testing.assert_array_equal(cv2.imread(str(run.path / "mask.png"), -1), prediction.mask)
    for shown in (run, prediction, names["drawn"]):
        (image,) = re.findall(r"data:image/png;base64,([^\"]+)", shown._repr_html_())
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(image), "uint8"), cv2.IMREAD_COLOR)
        assert np.ptp(picture) > 0 and max(picture.shape) <= 480
    assert "star" in names["drawn"]._repr_html_() and "mean_iou" in run._repr_html_()
    assert "mean IoU" in capsys.readouterr().out
