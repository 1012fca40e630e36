"""A training that is killed, stopped or cut short by a full disk, and what it goes on with."""

import errno
import os
import random
import shutil
import signal
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import tensorflow as tf

from keras_seg import InputError, Predictor, Run, TrainConfig, train
from keras_seg.training import session
from keras_seg.training.distributed.distribution import Replicas
from keras_seg.training.loop.callbacks import History
from keras_seg.training.run_state.run_folder import note_finished
from keras_seg.training.run_state.state import newest_state, states
from tests.attack.kills import (
    EPOCHS,
    MORE_STATE,
    SETTINGS,
    STAGES,
    STEPS,
    assert_same,
    kill_after,
)

EAGER = {**MORE_STATE, "augment": False}


@pytest.fixture(autouse=True, scope="module")
def few_channels():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["keras_seg.encoders.vgg16"], "STAGES", STAGES)
        yield


@pytest.fixture(autouse=True)
def no_finish(monkeypatch):
    """Leaves out the evaluation and the export of the best model, which take longer than the training."""
    monkeypatch.setattr(session, "finish", lambda run, dataset, progress, report: None)


@pytest.fixture
def eager_whole(eager, shapes_folder, tmp_path_factory):
    """A run that was never interrupted, with all that has a state; trained once."""
    folder = tmp_path_factory.getbasetemp() / "eager_whole"
    if folder.exists():
        return Run.open(folder)
    return train(config(shapes_folder, folder, **EAGER), report=print)


def config(data, output, **settings):
    return TrainConfig(**{**SETTINGS, "data": str(data), "output": str(output), **settings})


def go_on(folder, **settings):
    return train(resume=folder, report=print, **settings)


def test_a_killed_run_goes_on_to_the_same_bits(shapes_folder, tmp_path):
    whole, folder = train(config(shapes_folder, tmp_path / "whole"), report=print), tmp_path / "run"
    settings = config(shapes_folder, folder, checkpoint_every="1").to_dict()
    chance = random.Random()
    steps, delay = chance.randrange(1, EPOCHS * STEPS - 1), chance.uniform(0, 0.1)
    status = kill_after(settings, folder, steps, delay)
    done = newest_state(folder / "checkpoints", print)[1].step
    print(f"killed {delay:.3f} s after step {steps}, status {status}; the newest state is of step {done}")
    assert_same(go_on(folder), whole, "killed and resumed")


def test_two_runs_with_one_seed_are_the_same(eager_whole, shapes_folder, tmp_path):
    run = train(config(shapes_folder, tmp_path / "run", **EAGER), report=print)
    assert_same(run, eager_whole, "second run")


def send(patch, number, hook, count):
    """Sends this process a signal when a training is at a hook for the `count`th time."""
    calls = []

    def call(self, *_, **__):
        calls.append(hook)
        if len(calls) == count:
            os.kill(os.getpid(), number)

    patch.setattr(session.StopRequests, hook, call, raising=False)


@contextmanager
def handling(number, handler):
    """A signal's handler, whatever it is where the tests run: a shell's background ignores SIGINT."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def test_a_signal_that_was_ignored_stays_so():
    with handling(signal.SIGINT, signal.SIG_IGN), session.StopRequests(Replicas()):
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def stop(monkeypatch, number, hook, count, status, **how):
    """Trains until the signal; returns the lines for the reader and what the training ended with."""
    lines = []
    with handling(number, signal.default_int_handler), monkeypatch.context() as patch:
        send(patch, number, hook, count)
        with pytest.raises(status) as ended:
            train(report=lines.append, **how)
        assert signal.getsignal(number) is signal.default_int_handler
    return lines, ended.value


def test_a_stopped_run_is_usable_and_goes_on_to_the_same_bits(
    eager_whole, shapes_folder, tmp_path, monkeypatch
):
    """Ctrl-C in the second epoch, and SIGTERM in the validation of the same."""
    folder = tmp_path / "run"
    settings = config(shapes_folder, folder, **EAGER)
    lines, _ = stop(monkeypatch, signal.SIGINT, "on_train_batch_begin", 7, KeyboardInterrupt, config=settings)
    assert f"resume it with --resume {folder}" in lines[-1]
    assert Predictor(folder).predict(np.zeros((8, 8, 3), "uint8")).mask.shape == (8, 8)
    assert newest_state(folder / "checkpoints", print)[1].step == 7

    lines, ended = stop(monkeypatch, signal.SIGTERM, "on_test_batch_begin", 1, SystemExit, resume=folder)
    assert ended.code == 143 and f"resume it with --resume {folder}" in lines[-1]
    progress = newest_state(folder / "checkpoints", print)[1]
    assert progress.step == 8 and progress.validation_is_pending

    assert_same(go_on(folder), eager_whole, "stopped by Ctrl-C and by SIGTERM, and resumed twice")


def test_a_trained_run_is_finished_once(eager_whole, monkeypatch):
    finished = []

    def finish(run, dataset, progress, report):
        finished.append(progress.step)
        note_finished(run, progress.step)

    monkeypatch.setattr(session, "finish", finish)
    go_on(eager_whole.path)
    with pytest.raises(InputError, match="is trained for 3 epochs; ask for more with epochs"):
        go_on(eager_whole.path)
    assert finished == [EPOCHS * STEPS]


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


def test_a_trained_run_whose_checkpoints_are_gone_is_left_as_it_is(eager_whole, tmp_path):
    run = Run(shutil.copytree(eager_whole.path, tmp_path / "run"), {})
    for path in states(run.path / "checkpoints"):
        path.unlink()
    before = content(run.path)
    with pytest.raises(InputError, match=r"holds best\.keras, history\.csv, but no checkpoint") as error:
        go_on(run.path)
    assert f"init_from {run.path}" in str(error.value) and len(str(error.value).splitlines()) == 1
    assert content(run.path) == before


def test_a_trained_run_keeps_two_checkpoints_and_goes_on_from_the_other_where_one_is_damaged(
    eager_whole, shapes_folder, tmp_path
):
    folder = tmp_path / "run"
    run = train(config(shapes_folder, folder, checkpoint_every="4", **EAGER), report=print)
    assert [path.name for path in states(folder / "checkpoints")] == [
        "step-00000012.npz",
        "step-00000008.npz",
    ]
    note_finished(run, EPOCHS * STEPS)
    states(folder / "checkpoints")[0].write_bytes(b"damaged")
    assert_same(go_on(folder), eager_whole, "resumed from the spare checkpoint")


def test_a_full_disk_keeps_the_last_checkpoint(eager, shapes_folder, tmp_path, monkeypatch):
    written = []

    def write_array(stream, array, **options):
        written.append(array.nbytes)
        if len(written) > 200:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(stream, array, **options)

    original = np.lib.format.write_array
    monkeypatch.setattr(np.lib.format, "write_array", write_array)
    folder = tmp_path / "run"
    with pytest.raises(InputError) as error:
        train(config(shapes_folder, folder, checkpoint_every="2", **EAGER), report=print)
    assert "cannot be written (No space left on device)" in str(error.value)
    assert f"then resume it with --resume {folder}" in error.value.command_line
    assert f"then resume it with train(resume={str(folder)!r})" in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    path, progress = newest_state(folder / "checkpoints", print)
    assert progress.step >= 2
    assert {each.name for each in (folder / "checkpoints").iterdir()} == {path.name, "lock"}
    Run.open(folder).load_model()


def test_a_loss_that_is_no_number_ends_in_one_line_and_keeps_the_best_model(
    eager, shapes_folder, tmp_path, monkeypatch
):
    def break_weights(self, epoch, logs=None):
        if epoch == 2:
            weight = self.model.trainable_variables[0]
            weight.assign(np.full(weight.shape, np.nan))

    monkeypatch.setattr(History, "on_epoch_begin", break_weights)
    folder = tmp_path / "run"
    with pytest.raises(InputError) as error:
        train(config(shapes_folder, folder, **EAGER), report=print)
    assert f"{folder}: the loss became NaN or infinite at step 9 in epoch 3" in str(error.value)
    assert "lower learning_rate" in str(error.value) and len(str(error.value).splitlines()) == 1
    assert all(np.isfinite(weights).all() for weights in Run.open(folder).load_model().get_weights())


OUT_OF_MEMORY = [
    (
        tf.errors.ResourceExhaustedError(None, None, "Graph error:\n\nOOM when allocating tensor\nat"),
        "(OOM when allocating tensor)",
    ),
    (MemoryError("Unable to allocate 6.4 GiB"), "(Unable to allocate 6.4 GiB)"),
    (MemoryError(), "(no more is to be had)"),
]


@pytest.mark.parametrize(("raised", "reason"), OUT_OF_MEMORY)
def test_a_lack_of_memory_ends_in_one_line_and_keeps_the_last_checkpoint(
    raised, reason, eager, shapes_folder, tmp_path, monkeypatch
):
    def run_out(self, epoch, logs=None):
        if epoch == 1:
            raise raised

    monkeypatch.setattr(History, "on_epoch_begin", run_out)
    folder = tmp_path / "run"
    with pytest.raises(InputError) as error:
        train(config(shapes_folder, folder, checkpoint_every="2", **EAGER), report=print)
    assert f"{folder}: out of memory {reason}; train again with a smaller" in str(error.value)
    assert (
        f"resume with --resume {folder}" in error.value.command_line
        and len(str(error.value).splitlines()) == 1
    )
    assert newest_state(folder / "checkpoints", print)[1].step == STEPS
    Run.open(folder).load_model()


def test_a_network_that_memory_does_not_hold_is_refused_before_there_is_a_run(
    shapes_folder, tmp_path, monkeypatch
):
    def run_out(*_, **__):
        raise OUT_OF_MEMORY[0][0]

    monkeypatch.setattr(session, "build_training", run_out)
    with pytest.raises(InputError) as error:
        train(config(shapes_folder, tmp_path / "run"), report=print)
    assert "out of memory" in str(error.value) and "resume" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_another_number_of_images_is_refused(eager_whole, monkeypatch):
    monkeypatch.setattr(session, "steps_per_epoch", lambda *_: 5)
    with pytest.raises(InputError, match="had 4 steps an epoch, and the data set now makes 5"):
        go_on(eager_whole.path, epochs=9)


def test_a_run_killed_before_its_first_checkpoint_starts_again(
    eager_whole, shapes_folder, tmp_path, monkeypatch
):
    def kill(self, epoch, logs=None):
        raise RuntimeError("as if killed")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(History, "on_epoch_begin", kill)
        train(config(shapes_folder, tmp_path / "run", **EAGER), report=print)
    assert states(tmp_path / "run" / "checkpoints") == []
    assert_same(go_on(tmp_path / "run"), eager_whole, "stopped at the start and resumed")
