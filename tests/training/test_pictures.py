"""What a training shows while it runs and at its end."""

import numpy as np
import pytest

from keras_seg import sheets
from keras_seg.training.loop import pictures
from keras_seg.training.loop.callbacks import TimeToGo
from keras_seg.training.loop.pictures import comparison_sheet, curves

SCORES = (0.1, 0.5, 0.4, 0.5, 0.3)
ROWS = [
    {
        **{"epoch": epoch, "loss": 1 / epoch, "val_loss": 2 / epoch, "mean_iou": 0.9},
        **{"val_mean_iou": score, "learning_rate": 10.0**-epoch},
    }
    for epoch, score in enumerate(SCORES, 1)
]


def test_curves_show_loss_score_and_rate_and_mark_the_best_epoch():
    loss, score, rate = curves(ROWS).axes
    assert [axes.get_ylabel() for axes in (loss, score, rate)] == ["loss", "mean IoU", "learning rate"]
    np.testing.assert_allclose(loss.lines[1].get_ydata(), [row["val_loss"] for row in ROWS])
    np.testing.assert_allclose(rate.lines[0].get_ydata(), [row["learning_rate"] for row in ROWS])
    assert rate.get_ylim()[0] == 0
    (star,) = [line for line in score.lines if line.get_marker() == "*"]
    assert (star.get_xdata(), star.get_ydata()) == ([2], [0.5])  # The first of two that are equal.
    assert star.get_label() == "best: 0.500 in epoch 2"


@pytest.mark.parametrize("rows", [[], ROWS[:1], [{**row, "learning_rate": 0} for row in ROWS]])
def test_curves_of_little_are_drawn_too(rows, tmp_path):
    pictures.draw_curves(rows, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"


def test_each_sample_has_its_errors_and_its_iou(monkeypatch):
    asked = {}
    monkeypatch.setattr(pictures, "contact_sheet", lambda *arguments: asked.update(all=arguments))
    image = np.zeros((2, 4, 3), np.uint8)
    truth = np.array([[0, 0, 1, 1], [255, 0, 1, 1]], np.uint8)
    mask = np.array([[0, 1, 1, 1], [1, 0, 1, 1]], np.uint8)
    void = np.full((2, 4), 255, np.uint8)
    rows = [(image, truth, mask), (image, void, mask)]
    comparison_sheet(rows, ("a", "b"), [(0, 0, 0)] * 2, ["x.png", "y.png"])
    cells, titles, *_, captions = asked["all"]
    assert titles[-1] == "errors in red" and isinstance(cells[0][-1], sheets.Errors)
    # Of 7 labeled pixels 6 are right; the IoUs are 2 / 3 and 4 / 5.
    assert captions == ["x.png: mean IoU 0.73, 86% of the pixels right", "y.png: no pixel is labeled"]


def test_the_time_to_go_is_told_where_it_is_long():
    lines, seconds = [], iter((0, 100, 230, 300, 330))
    callback = TimeToGo(44, lines.append, lambda: next(seconds))
    callback.on_epoch_end(3)  # An epoch that was stopped in its validation.
    for epoch in (40, 41, 42, 43):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch)
    assert lines == [
        "epoch 41 of 44 is done: about 5 min to go",  # 3 x 100 s
        "epoch 42 of 44 is done: about 4 min to go",  # 2 x 115 s
        "epoch 43 of 44 is done: about 2 min to go",  # 100 s
    ]
    lines.clear()
    callback = TimeToGo(100, lines.append, iter((0, 100)).__next__)
    callback.on_epoch_begin(0)
    callback.on_epoch_end(0)
    assert lines == ["epoch 1 of 100 is done: about 2 h 45 min to go"]
