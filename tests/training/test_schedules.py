"""Learning rates against their formulas."""

import math

import pytest

from keras_seg.training.optim.schedules import build_schedule
from keras_seg.training.run_state.history import epochs_without_better, plateau_factor

STEPS = 10


def rates(*arguments, **options):
    schedule = build_schedule(*arguments, **options)
    return [float(schedule(step)) if callable(schedule) else schedule for step in range(STEPS + 1)]


@pytest.mark.parametrize(
    ("name", "options", "formula"),
    [
        ("poly", {}, lambda step: (1 - step / 10) ** 0.9),
        ("poly", {"power": 2.0}, lambda step: (1 - step / 10) ** 2),
        ("cosine", {}, lambda step: (1 + math.cos(math.pi * step / 10)) / 2),
        ("step", {"drop_steps": 3, "drop_factor": 0.5}, lambda step: 0.5 ** (step // 3)),
        ("fixed", {}, lambda step: 1),
        ("plateau", {}, lambda step: 1),
        (
            "cosine",
            {"warmup_steps": 4},
            lambda step: (step + 1) / 4 if step < 4 else (1 + math.cos(math.pi * (step - 4) / 6)) / 2,
        ),
        ("fixed", {"warmup_steps": 4}, lambda step: min(1, (step + 1) / 4)),
    ],
)
def test_rates_follow_the_formula(name, options, formula):
    expected = [2.0 * formula(step) for step in range(STEPS + 1)]
    assert rates(name, 2.0, STEPS, **options) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def rows(*scores):
    return [{"epoch": index, "val_mean_iou": score} for index, score in enumerate(scores, 1)]


@pytest.mark.parametrize(
    ("scores", "factor"),
    [
        ((), 1),
        ((0.1, 0.2, 0.3), 1),
        ((0.3, 0.3), 1),
        ((0.3, 0.3, 0.3), 0.1),
        ((0.3, 0.2, 0.4, 0.3), 1),
        ((0.3, 0.2, 0.1, 0.2, 0.2), 0.01),
        ((0.3, 0.2, 0.1, 0.4, 0.2, 0.2), 0.01),
    ],
)
def test_the_rate_drops_after_two_epochs_without_a_better_one(scores, factor):
    assert plateau_factor(rows(*scores), patience=2, factor=0.1) == pytest.approx(factor)


def test_an_equal_epoch_is_no_better_one():
    assert epochs_without_better([]) == 0
    assert epochs_without_better(rows(0.1, 0.3)) == 0
    assert epochs_without_better(rows(0.1, 0.3, 0.3, 0.2)) == 2
