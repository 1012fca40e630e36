"""The file that a training goes on from: whole, or recognized as damaged."""

import itertools
import struct
import zipfile

import keras
import numpy as np
import pytest

from keras_seg import InputError
from keras_seg.training.run_state.checkpoints import Checkpoints
from keras_seg.training.run_state.history import is_better
from keras_seg.training.run_state.state import (
    NOTES,
    Progress,
    newest_state,
    read_group,
    remove_leftovers,
    restore_state,
    states,
    write_state,
)
from keras_seg.training.settings.values import parse_interval


def variables(value):
    kernel = keras.Variable(np.full((2, 3), value), dtype="float32", name="kernel")
    return [kernel, keras.Variable(int(value), dtype="int64", name="step", trainable=False)]


def write(folder, *steps):
    for step in steps:
        write_state(folder, Progress(10, step), {"model": variables(step), "metrics": [np.arange(3.0)]})


def test_what_is_restored_is_what_was_written(tmp_path):
    rows = [{"epoch": 1, "val_mean_iou": 0.1 + 0.2}]
    write_state(tmp_path, Progress(10, 12, rows, 0.3), {"model": variables(1 / 3), "metrics": []})
    path, progress = newest_state(tmp_path, print)
    assert progress == Progress(10, 12, rows, 0.3) and progress.epoch == 1
    restored = variables(0)
    restore_state(path, {"model": restored})
    for found, expected in zip(restored, variables(1 / 3), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert read_group(path, "metrics") == []


def test_the_newest_two_are_kept(tmp_path):
    write(tmp_path, 1, 2, 3, 12)
    assert [path.name for path in states(tmp_path)] == ["step-00000012.npz", "step-00000003.npz"]
    np.testing.assert_array_equal(read_group(states(tmp_path)[0], "metrics"), [np.arange(3.0)])


def test_a_step_that_is_written_again_leaves_the_one_before(tmp_path):
    write(tmp_path, 1, 3, 12, 12)
    assert [path.name for path in states(tmp_path)] == ["step-00000012.npz", "step-00000003.npz"]


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_a_damaged_state_is_passed_over_and_removed(tmp_path, damage):
    write(tmp_path, 1, 2)
    newest = states(tmp_path)[0]
    content = bytearray(newest.read_bytes())
    content[200] ^= 1  # In the first array
    newest.write_bytes({"cut": content[:-30], "changed": content, "empty": b""}[damage])
    (tmp_path / ".step-00000003.77.npz").write_bytes(b"half")
    lines = []
    path, progress = newest_state(tmp_path, lines.append)
    assert progress.step == 1
    assert len(lines) == 1 and f"{newest}: is damaged" in lines[0]
    remove_leftovers(tmp_path, path)
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_states_alone_are_named(tmp_path):
    write(tmp_path, 1)
    states(tmp_path)[0].write_bytes(b"PK")
    with pytest.raises(InputError, match="is damaged, and there is no other checkpoint"):
        newest_state(tmp_path, print)
    assert newest_state(tmp_path / "none", print) == (None, None)


@pytest.mark.parametrize("other", ["shape", "fewer", "more"])
def test_variables_of_another_network_are_refused_untouched(tmp_path, other):
    write(tmp_path, 1)
    wanted = variables(0)
    if other == "shape":
        wanted[1] = keras.Variable(np.zeros(4), dtype="float32")
    wanted = {"shape": wanted, "fewer": wanted[:1], "more": [*wanted, *variables(0)]}[other]
    with pytest.raises(InputError, match="is not of this network and optimizer"):
        restore_state(states(tmp_path)[0], {"model": wanted})
    assert not np.any(wanted[0])


@pytest.mark.parametrize(
    ("text", "interval"), [("200", (200, None)), ("30s", (None, 30.0)), (None, (None,) * 2)]
)
def test_intervals_are_steps_or_seconds(text, interval):
    assert parse_interval(text) == interval


@pytest.mark.parametrize("text", ["0", "-1", "s", "1.5", "soon", "-3s", "infs"])
def test_an_interval_that_is_neither_is_refused(text):
    with pytest.raises(InputError, match="--checkpoint-every must be a number of steps"):
        parse_interval(text)


def test_writing_takes_a_twentieth_of_the_time_at_most(tmp_path, monkeypatch):
    """Batches of 3 s and writes of 11 s: one in 220 s, and none in the first minute."""
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    class Run:
        path, best_path = tmp_path, tmp_path / "best.keras"

    checkpoints, writes = Checkpoints(Run, None, Progress(1000)), []

    def write():
        writes.append(clock[0])
        clock[0] += 11
        checkpoints._written, checkpoints._duration = clock[0], 11

    monkeypatch.setattr(checkpoints, "write", write)
    while clock[0] < 1000:
        clock[0] += 3
        checkpoints.on_train_batch_end(0)
    assert writes[0] == 60
    assert all(later - earlier >= 231 for earlier, later in itertools.pairwise(writes))
    assert len(writes) == 5


@pytest.mark.parametrize(
    ("scores", "kept"),
    [((0.1, 0.3, 0.2, 0.3), 2), ((0.0, 0.0, 0.0), 3), ((0.0, 0.2, 0.0), 2), ((0.3, 0.2), 1)],
)
def test_the_best_model_is_the_first_of_the_highest_score_and_the_last_where_there_is_none(scores, kept):
    best, found = None, None
    for epoch, score in enumerate(scores, start=1):
        if is_better(score, best):
            best, found = score, epoch
    assert found == kept


def rewrite(path, name, content):
    """Replaces a member of a state, whose checksum is right again."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for member, kept in {**members, name: content}.items():
            archive.writestr(member, kept)


@pytest.mark.parametrize(
    "notes",
    [
        b"[" * 100_000,
        b'{"steps_per_epoch": 4, "step": 0.5}',
        b'{"steps_per_epoch": 0, "step": 1}',
        b'{"steps_per_epoch": 4, "step": -1}',
        b'{"steps_per_epoch": 4, "step": 1, "rows": [{"epoch": "one", "val_mean_iou": 1}]}',
        b'{"steps_per_epoch": 4, "step": 1, "rows": [{}]}',
        b'{"steps_per_epoch": 4, "step": 1, "best": "all"}',
        b'{"steps_per_epoch": 4, "step": 1, "more": 1}',
    ],
)
def test_a_state_whose_notes_are_those_of_no_training_is_damaged(tmp_path, notes):
    write(tmp_path, 1)
    rewrite(states(tmp_path)[0], NOTES, notes)
    with pytest.raises(InputError, match="is damaged, and there is no other checkpoint") as error:
        newest_state(tmp_path, lambda line: None)
    assert len(str(error.value).splitlines()) == 1


def array_bytes(header, data=bytes(24)):
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        array_bytes(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), "),
        array_bytes(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", bytes(4)),
        array_bytes(b"{'descr': 'V4000000000', 'fortran_order': False, 'shape': (2, 3), }"),
        array_bytes(b"{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }"),
        b"\x93NUMPY\2\0" + b"\xff" * 4,
    ],
    ids=["nothing", "text", "open header", "too short", "claims", "objects", "long header"],
)
def test_an_array_that_is_none_or_declares_more_than_there_is_is_one_line(tmp_path, content):
    write(tmp_path, 1)
    path = states(tmp_path)[0]
    rewrite(path, "model/00000.npy", content)
    rewrite(path, "metrics/00000.npy", content)
    restored = variables(0)
    for read in (lambda: restore_state(path, {"model": restored}), lambda: read_group(path, "metrics")):
        with pytest.raises(InputError, match="train the run again") as error:
            read()
        assert str(path) in str(error.value) and len(str(error.value).splitlines()) == 1
    np.testing.assert_array_equal(restored[0], variables(0)[0])
