"""The run folder: one training at a time, and what it cannot be, before anything costs time."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from keras_seg import InputError, Run, TrainConfig, train
from keras_seg.training import session
from keras_seg.training.run_state.lock import locked
from keras_seg.training.run_state.resume import find_state
from keras_seg.training.run_state.run_folder import note_finished
from keras_seg.training.run_state.state import Progress, write_state

HOLD = """
import sys, time
from keras_seg.training.run_state.lock import locked
with locked(sys.argv[1], "run"):
    print("held", flush=True)
    time.sleep(600)
"""


def config(data, output, **settings):
    small = {"widths": [4, 8], "decoder_widths": [4]}
    return TrainConfig("unet", str(data), output=str(output), image_size=(32, 32), batch_size=5, epochs=1,
                       weights="none", augment=False, model_options=small, **settings)  # fmt: skip


@pytest.fixture
def no_work(monkeypatch):
    """Fails where a training reads its data."""
    monkeypatch.setattr(session, "_load", lambda *_: pytest.fail("it was refused too late"))


@pytest.fixture
def stopped(tmp_path):
    """The folder of a run that was killed before its first checkpoint."""
    classes = {"num_classes": 1, "classes": ["a"], "colors": [[0, 0, 0]]}
    settings = {**config("x", tmp_path).resolve().to_dict(), **classes}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


def refusal(*arguments, **settings):
    with pytest.raises(InputError) as error:
        train(*arguments, **settings, report=lambda line: None)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_a_run_that_another_process_trains_is_refused_until_that_is_gone(stopped, no_work):
    lock = stopped / "checkpoints" / "lock"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    try:
        assert process.stdout.readline() == b"held\n"
        (stopped / "checkpoints" / ".step-00000003.77.npz").write_bytes(b"half")
        assert f"{stopped}: is being trained by another process; wait" in refusal(resume=stopped)
        assert (stopped / "checkpoints" / ".step-00000003.77.npz").exists()
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    with locked(lock, stopped):
        pass


def test_a_training_holds_its_folder_to_the_end(eager, shapes_folder, tmp_path, monkeypatch):
    seen = []

    def finish(run, *_):
        seen.append(refusal(resume=run.path))

    monkeypatch.setattr(session, "finish", finish)
    run = train(config(shapes_folder, tmp_path / "run"), report=lambda line: None)
    assert len(seen) == 1 and "is being trained by another process" in seen[0]
    with locked(run.path / "checkpoints" / "lock", run.path):
        pass


def test_a_run_goes_on_from_its_start_only_where_nothing_is_left_of_a_training(stopped):
    assert find_state(Run.open(stopped), 4, lambda line: None) == (None, Progress(4))
    for name in ("best.keras", "history.csv", "metrics.json", "curves.png", "samples.png", "export"):
        (stopped / name).touch()
        with pytest.raises(InputError, match=f"holds {name}, but no checkpoint to resume from"):
            find_state(Run.open(stopped), 4, lambda line: None)
        (stopped / name).unlink()
    (stopped / "best.keras").touch()
    write_state(stopped / "checkpoints", Progress(4), {})  # It was stopped before its first step.
    assert find_state(Run.open(stopped), 4, lambda line: None)[1] == Progress(4)


def test_a_finished_run_does_not_go_on_from_before_its_end(stopped):
    write_state(stopped / "checkpoints", Progress(4, 8), {})
    note_finished(Run.open(stopped), 12)
    with pytest.raises(InputError, match="was trained to step 12, and its checkpoints go no further"):
        find_state(Run.open(stopped), 4, lambda line: None)
    note_finished(Run.open(stopped), 8)
    assert find_state(Run.open(stopped), 4, lambda line: None)[1].step == 8


def test_a_training_that_fails_leaves_no_lock(stopped):
    for _ in range(2):
        assert "being trained" not in refusal(resume=stopped)  # Its data folder is missing.


def test_a_file_system_without_locks_is_no_obstacle(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path / "lock", tmp_path), locked(tmp_path / "lock", tmp_path):
        pass


def test_a_folder_with_a_run_is_refused_before_anything_else(stopped, no_work):
    assert f"{stopped}: already holds a run; name another output" in refusal(config("x", stopped))


def test_a_name_that_is_not_utf8_is_refused_before_anything_else(stopped, no_work, tmp_path):
    name = tmp_path / os.fsdecode(b"r\xff")
    text = refusal(config("x", name))
    assert "is no name in UTF-8" in text and "name another output" in text and not name.exists()
    name.mkdir()
    (stopped / "config.json").rename(name / "config.json")
    assert "rename the folder" in refusal(resume=name)
