"""Trainings that are killed at random moments and resumed, again and again: they end with the same bytes."""

import functools
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

from keras_seg import Run
from keras_seg.data import write_shapes
from keras_seg.training.run_state.state import NOTES, states
from tests.attack.case import ANSWERED, Case

IN_CHILD, NEEDS_SERVER, COUNT, SECONDS = False, False, 3, 600.0
EPOCHS, STEPS = 3, 4  # 10 images in batches of 3, the last of 1
SETTINGS = {
    "model": "fcn8",
    "model_options": {"fc_filters": 16},
    "image_size": (32, 32),
    "batch_size": 3,
    "epochs": EPOCHS,
    "weights": "none",
    "learning_rate": 1e-3,
    "average": 0.9,
    "augment": True,
}
# Besides dropout, Adam and the average, all else that has a state of its own or follows from the step.
MORE_STATE = {
    "weight_decay": 1e-4,
    "accumulate": 2,
    "freeze_epochs": 1,
    "schedule": "plateau",
    "drop_epochs": 1,
}
STAGES = ((1, 4), (1, 4), (1, 8), (1, 8), (1, 8))  # Of VGG16, narrow
CHILD = """
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras_seg.encoders.vgg16
sys.modules["keras_seg.encoders.vgg16"].STAGES = json.loads(sys.argv[1])
from keras_seg import TrainConfig, train
from keras_seg.training import session
session.finish = lambda *_: None  # It takes longer than the training.
settings = json.loads(sys.argv[2])
if "resume" in settings:
    train(**settings)
else:
    train(TrainConfig.from_dict(settings))
"""


def start(settings):
    """Starts a training as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(STAGES), json.dumps(settings)],
        cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
    )  # fmt: skip


def kill_after(settings, folder, steps, delay):
    """Trains in a process of its own, and kills it `delay` seconds after `steps` steps are on disk.

    Returns:
        Its exit status: 0 where it ended before.
    """
    process = start(settings)
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        if newest_step(folder) >= steps:
            time.sleep(delay)
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    errors = process.communicate()[1]
    assert process.returncode in (0, -signal.SIGKILL), errors[-500:]
    return process.returncode


def newest_step(folder):
    """The step of the newest checkpoint of a run; -1 where there is none."""
    newest = states(folder / "checkpoints")[:1] if folder.exists() else []
    return int(newest[0].stem.removeprefix("step-")) if newest else -1


def state_digest(run):
    """SHA-256 of all that the last state holds: weights, optimizer, random state."""
    with zipfile.ZipFile(states(run.path / "checkpoints")[0]) as archive:
        content = [archive.read(name) for name in sorted(archive.namelist()) if name != NOTES]
        return hashlib.sha256(b"".join(content)).hexdigest()


def best_digest(run):
    """SHA-256 of the weights of the best model."""
    return hashlib.sha256(b"".join(np.asarray(w).tobytes() for w in run.load_model().weights)).hexdigest()


def assert_same(run, whole, title):
    """Checks that a run ended with the bytes of one that was never interrupted."""
    for name, digest in (("state", state_digest), ("best.keras", best_digest)):
        assert digest(run) == digest(whole), f"{title}: another {name} than that of the uninterrupted run"
    assert (run.path / "history.csv").read_bytes() == (whole.path / "history.csv").read_bytes()
    assert not [path.name for path in (run.path / "checkpoints").glob(".*")]


def case(random, number):
    """Moments of kills: steps that are on disk by then, and seconds after."""
    steps = sorted(random.integers(0, EPOCHS * STEPS, int(random.integers(1, 5))).tolist())
    moments = [[step, float(random.uniform(0, 0.3))] for step in steps]
    return Case(f"kills after steps {steps}", json.dumps(moments).encode(), ".json")


def ask(case, place):
    """Trains, kills and resumes at the case's moments, then to the end; compares with a run never killed."""
    data, whole = _uninterrupted(place.scratch)
    folder = Path(tempfile.mkdtemp(dir=place.scratch), "run")
    settings = _settings(data, folder)
    for steps, delay in json.loads(case.contents):
        kill_after(settings, folder, max(steps, newest_step(folder)), delay)
        # Killed before there is a run, it starts anew.
        if (folder / "config.json").exists():
            settings = {"resume": str(folder), "checkpoint_every": "1"}
    _train_on(settings)  # Also after the last step: the last epoch's validation may be left to do.
    assert_same(Run.open(folder), whole, case.title)
    return ANSWERED


def _settings(data, folder):
    settings = {**SETTINGS, **MORE_STATE, "data": str(data), "output": str(folder), "checkpoint_every": "1"}
    return {**settings, "image_size": list(SETTINGS["image_size"])}


def _train_on(settings):
    process = start(settings)
    errors = process.communicate(timeout=SECONDS)[1]
    assert process.returncode == 0, errors[-500:]


@functools.cache
def _uninterrupted(scratch):
    """The data, and a run that was never killed."""
    data = write_shapes(Path(scratch, "shapes"), counts={"train": 10, "val": 3}, size=(32, 40))
    folder = Path(scratch, "whole")
    _train_on(_settings(data, folder))
    return data, Run.open(folder)
