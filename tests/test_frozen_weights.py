"""The promise that weights never change: made where only predictions are, refused where a network learns."""

import os
import subprocess
import sys

import pytest

from keras_seg.errors import InputError
from keras_seg.frozen_weights import VARIABLE, promise_frozen_weights, refuse_frozen_weights
from keras_seg.training import TrainConfig, train


def promised_in_a_fresh_process(code, **environment):
    code = f"{code}\nimport os; print(os.environ.get({VARIABLE!r}))"
    without = {key: value for key, value in os.environ.items() if key != VARIABLE}
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**without, **environment},
    )
    return answer.stdout.strip()


PROMISE = "from keras_seg.frozen_weights import promise_frozen_weights as promise; promise()"


def test_a_process_that_only_predicts_promises():
    assert promised_in_a_fresh_process(PROMISE) == "1"


def test_what_the_user_decided_stays():
    assert promised_in_a_fresh_process(PROMISE, **{VARIABLE: "0"}) == "0"


def test_no_promise_is_made_once_tensorflow_may_have_learnt(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert "tensorflow" in sys.modules
    promise_frozen_weights()
    assert VARIABLE not in os.environ


@pytest.mark.parametrize("value", ["1", "true"])
def test_no_network_is_trained_under_the_promise(monkeypatch, tmp_path, value):
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(InputError, match=f"{VARIABLE} is {value}.*unset it to train"):
        train(TrainConfig(model="unet", output=str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("value", ["0", "false", ""])
def test_a_promise_not_made_is_no_obstacle(monkeypatch, value):
    monkeypatch.setenv(VARIABLE, value)
    refuse_frozen_weights()
