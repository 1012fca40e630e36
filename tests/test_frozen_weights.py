"""The promise that weights never change: made where only predictions are, refused where a network learns."""

import os
import subprocess
import sys

import numpy as np
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


def test_the_promise_changes_no_answer(tmp_path):
    code = """
import sys
from keras_seg.frozen_weights import promise_frozen_weights
if sys.argv[1] == "promised":
    promise_frozen_weights()
import keras, numpy as np
from keras_seg import build_model
keras.utils.set_random_seed(0)
model = build_model("pspnet", 5)
image = np.random.default_rng(0).integers(0, 256, (1, 61, 94, 3)).astype("float32")
np.save(sys.argv[2], [model.predict_on_batch(image) for _ in range(2)])
"""
    without = {key: value for key, value in os.environ.items() if key != VARIABLE}
    answers = []
    for word in ("promised", "plain"):
        path = tmp_path / f"{word}.npy"
        subprocess.run([sys.executable, "-c", code, word, str(path)], check=True, env=without)
        answers.append(np.load(path))
    promised, plain = answers
    np.testing.assert_allclose(promised, plain, rtol=0, atol=1e-5 * np.abs(plain).max())
