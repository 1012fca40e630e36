"""What is said of a model follows from its confusion matrix, and what it advises can be typed."""

import shlex

import numpy as np
import pytest

from keras_seg.cli.main import command_parser
from keras_seg.evaluation import verdict

NAMES = ("sky", "road", "car")


def metrics_of(matrix, calibration=()):
    """The metrics of a confusion matrix, by hand."""
    matrix = np.array(matrix, float)
    hits, truth, predicted = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    with np.errstate(invalid="ignore"):
        ious = hits / (truth + predicted - hits)
    rows = [
        {"name": name, "iou": None if np.isnan(iou) else iou, "pixels": int(pixels)}
        for name, iou, pixels in zip(NAMES, ious, truth, strict=True)
    ]
    mean_iou = None if np.isnan(ious).all() else np.nanmean(ious)
    return {"confusion": matrix.tolist(), "mean_iou": mean_iou, "classes": rows, "calibration": calibration}


def test_the_baseline_is_every_pixel_of_the_commonest_class():
    found = verdict.baseline(metrics_of([[50, 10, 0], [0, 30, 0], [5, 0, 5]]))
    # 60, 30 and 10 pixels: as sky everywhere the IoUs are 60 / 100, 0 and 0.
    assert found == ("sky", pytest.approx(0.2), pytest.approx(0.6))
    assert verdict.baseline(metrics_of([[5, 1, 0], [0, 0, 0], [0, 0, 0]])) is None


@pytest.mark.parametrize(
    ("matrix", "word"),
    [
        ([[60, 0, 0], [30, 0, 0], [10, 0, 0]], "Nothing learned yet"),
        ([[60, 0, 0], [0, 30, 0], [0, 0, 10]], "Excellent"),
        ([[55, 5, 0], [3, 27, 0], [3, 0, 7]], "Good"),
        ([[50, 5, 5], [5, 20, 5], [1, 2, 7]], "Fair"),
        ([[60, 0, 0], [20, 10, 0], [10, 0, 0]], "Weak"),
        ([[0] * 3] * 3, None),
    ],
)
def test_a_grade_is_how_much_of_the_way_from_the_baseline_was_gone(matrix, word):
    assert verdict.grade(metrics_of(matrix)) == word


def test_the_largest_confusions_come_first_with_their_parts():
    found = verdict.largest_confusions(metrics_of([[50, 8, 2], [10, 20, 0], [0, 0, 10]]))
    assert found == [
        ("road", "sky", pytest.approx(10 / 30), pytest.approx(0.5)),
        ("sky", "road", pytest.approx(8 / 60), pytest.approx(0.4)),
        ("sky", "car", pytest.approx(2 / 60), pytest.approx(0.1)),
    ]
    assert verdict.largest_confusions(metrics_of(np.eye(3))) == []


@pytest.mark.parametrize(
    ("confidence", "accuracy", "text"),
    [
        (0.9, 0.8, "Overconfident: on average it is 90% sure, and 80% of the pixels are right"),
        (0.7, 0.8, "Underconfident: on average it is 70% sure, and 80%"),
        (0.81, 0.8, "Well calibrated"),
    ],
)
def test_calibration_is_said_in_a_sentence(confidence, accuracy, text):
    bins = [
        {"pixels": 30, "confidence": confidence + 0.1, "accuracy": accuracy + 0.1},
        {"pixels": 10, "confidence": confidence - 0.3, "accuracy": accuracy - 0.3},
    ]
    assert verdict.calibration_sentence({"calibration": bins}).startswith(text)
    assert verdict.calibration_sentence({"calibration": []}) is None


def _history(*scores):
    return [{"val_mean_iou": score, "learning_rate": 3e-3} for score in scores]


EVEN, BEHIND = [[50, 5, 5], [5, 20, 5], [1, 2, 7]], [[60, 0, 0], [3, 27, 0], [8, 1, 1]]


@pytest.mark.parametrize(
    ("matrix", "rows", "can_train_anew", "flags"),
    [
        ([[60, 0, 0], [30, 0, 0], [10, 0, 0]], _history(0.2, 0.2), True, ["--learning-rate", "0.001"]),
        (EVEN, _history(0.1, 0.2, 0.3), True, ["--epochs", "6"]),
        (EVEN, _history(0.1, 0.2, 0.3), False, ["--epochs", "6"]),
        (BEHIND, _history(0.1, 0.3, 0.2, 0.2), True, ["--loss", "ce+dice"]),
        (EVEN, _history(0.1, 0.3, 0.2, 0.2), True, ["--rotation", "15", "--blur", "1"]),
        (EVEN, [], True, ["--report"]),
        (BEHIND, _history(0.1, 0.3, 0.2, 0.2), False, ["--report"]),
        ([[0] * 3] * 3, _history(0, 0), True, ["--data", "LABELED"]),
    ],
)
def test_the_next_steps_fit_the_run_and_are_commands(matrix, rows, can_train_anew, flags):
    steps = verdict.next_steps("my runs/unet", metrics_of(matrix), rows, can_train_anew)
    for step, wanted in zip(steps, (flags, ["--overlay"]), strict=True):
        words = shlex.split(step.command)
        assert words[:3] == ["python", "-m", "keras_seg"] and words[-len(wanted) :] == wanted
        given = vars(
            command_parser(words[3], "keras-seg").parse_args(words[4:])
        )  # A wrong flag would end it.
        assert any("my runs/unet" in str(value) for value in given.values())
