"""What a process is told before TensorFlow starts: by purpose, after the user, in known words."""

import os
import subprocess
import sys

import numpy as np
import pytest

from keras_seg.cli import main
from keras_seg.errors import InputError
from keras_seg.process import FROZEN_WEIGHTS, ONEDNN, ONEDNN_LIMIT, prepare, refuse_frozen_weights
from keras_seg.training import TrainConfig, train

NAMES = (ONEDNN, FROZEN_WEIGHTS)


def fresh_process(code, *arguments, **environment):
    """What a Python program prints in a process without any of the variables but those given."""
    without = {key: value for key, value in os.environ.items() if key not in NAMES}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**without, **environment},
    ).stdout.strip()


def prepared(purpose, **environment):
    code = "import os, sys; from keras_seg.process import *; prepare(sys.argv[1] or None)\n"
    code += f"print([os.environ.get(name) for name in {NAMES}], 'tensorflow' in sys.modules)"
    return fresh_process(code, purpose, **environment)


@pytest.mark.parametrize(
    ("purpose", "expected"),
    [("training", ["1", None]), ("inference", ["1", "1"]), ("", [None, None])],
)
def test_a_process_is_prepared_for_its_purpose_without_tensorflow(purpose, expected):
    assert prepared(purpose) == f"{expected} False"


def test_what_the_user_decided_stays():
    assert prepared("training", **{ONEDNN: "0"}) == "['0', None] False"
    assert prepared("inference", **{FROZEN_WEIGHTS: "0"}) == "['1', '0'] False"


def test_nothing_is_set_once_tensorflow_has_read_it(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    assert "tensorflow" in sys.modules
    prepare("inference")
    assert not set(NAMES) & os.environ.keys()


@pytest.mark.parametrize(
    ("name", "value"), [(ONEDNN, "yes"), (FROZEN_WEIGHTS, "always"), (ONEDNN_LIMIT, "AVX512")]
)
def test_a_value_that_would_mean_nothing_ends_in_one_line(name, value, monkeypatch, capsys):
    monkeypatch.setenv(name, value)
    assert main(["models"]) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"error: {name} is {value}, and must be one of ") and line.count("\n") == 1


@pytest.mark.parametrize(("name", "value"), [(ONEDNN, "TRUE"), (ONEDNN_LIMIT, "avx2"), (FROZEN_WEIGHTS, "")])
def test_values_that_are_known_in_any_case_are_taken(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    prepare()


@pytest.mark.parametrize("value", ["1", "true"])
def test_no_network_is_trained_where_weights_are_said_never_to_change(monkeypatch, tmp_path, value):
    monkeypatch.setenv(FROZEN_WEIGHTS, value)
    with pytest.raises(InputError, match=f"{FROZEN_WEIGHTS} is {value}.*unset it to train"):
        train(TrainConfig(model="unet", output=str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("value", ["0", "false", ""])
def test_a_promise_not_made_is_no_obstacle(monkeypatch, value):
    monkeypatch.setenv(FROZEN_WEIGHTS, value)
    refuse_frozen_weights()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's memory")
def test_memory_that_is_freed_stays_with_the_process():
    code = """
import resource, sys
from keras_seg.process import keep_memory
if sys.argv[1]:
    keep_memory()
import numpy as np
np.ones(1 << 24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(1 << 24)  # 128 MB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    given_back, kept = int(fresh_process(code, "")), int(fresh_process(code, "keep"))
    assert kept < 100 < given_back


def test_the_promise_changes_no_output(tmp_path):
    code = """
import sys
from keras_seg.process import prepare
prepare(sys.argv[1] or None)
import keras, numpy as np
from keras_seg.acceleration import accelerate
from tests.backend_answers import randomize
from tests.models.helpers import build_narrow
keras.utils.set_random_seed(0)
model = build_narrow("pspnet", 5)
randomize(model)
model = accelerate(model, "inference")
image = np.random.default_rng(0).integers(0, 256, (1, 61, 94, 3)).astype("float32")
np.save(sys.argv[2], [model.predict_on_batch(image) for _ in range(2)])
"""
    outputs = []
    for purpose in ("inference", ""):
        path = tmp_path / f"{purpose}.npy"
        fresh_process(code, purpose, str(path))
        outputs.append(np.load(path))
    promised, plain = outputs
    assert np.abs(plain).max() > 0.1
    np.testing.assert_allclose(promised, plain, rtol=0, atol=1e-5 * np.abs(plain).max())
