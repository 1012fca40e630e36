"""The same weights give the same logits on Keras's other backends; `-m backends` runs it."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_seg.models import MODELS

BACKENDS = ("jax", "torch")
LIMIT = 1e-4  # Of max |theirs - TensorFlow's| / max |TensorFlow's|.

pytestmark = pytest.mark.backends


def run(backend, folder):
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run(
        [sys.executable, "-m", "tests.backend_answers", str(folder)],
        cwd=Path(__file__).parents[2],
        env=environment,
        check=True,
    )
    with np.load(folder / f"{backend}.npz") as answers:
        return dict(answers), json.loads((folder / f"{backend}.json").read_text())


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    """A folder with the weights, and TensorFlow's logits."""
    folder = tmp_path_factory.mktemp("backends")
    return folder, run("tensorflow", folder)[0]


@pytest.fixture(scope="module", params=BACKENDS)
def other(request, references):
    """Another backend's logits of all networks, and its errors."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return run(request.param, references[0])


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_tensorflow(name, other, references, record_property):
    answers, failures = other
    assert name not in failures, failures[name]
    reference = references[1][name]
    error = np.max(np.abs(answers[name] - reference)) / np.max(np.abs(reference))
    record_property("error", float(error))
    assert error <= LIMIT
