"""The examples run as they are."""

import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_seg.metrics import FIGURES

EXAMPLES = Path(__file__).parent.parent / "examples"


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
