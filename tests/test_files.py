"""Pipes, sockets, devices and links that lead back to themselves, given where a file is wanted."""

import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from keras_seg import InputError, Run
from keras_seg.cli import main
from keras_seg.data import read_image
from keras_seg.files import regular_file
from keras_seg.pretrained import load_weights
from keras_seg.training.run_state.state import newest_state

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes")


def make_pipe(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def make_endless(path):
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


def make_loop(path):
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)


KINDS = {"is a pipe": make_pipe, "is a device": make_endless, "Too many levels of symbolic links": make_loop}


@pytest.fixture(params=KINDS, ids=[make.__name__ for make in KINDS.values()])
def no_file(request):
    """A function that puts what is no file in the place of a path, and what is said of it."""
    return KINDS[request.param], request.param


def assert_refused(capsys, path, found, *argv):
    status = main([str(word) for word in argv])
    captured = capsys.readouterr()
    assert status in (1, 2)
    (line,) = [line for line in (captured.err + captured.out).splitlines() if str(path) in line]
    assert found in line


def test_a_socket_is_refused_and_a_file_and_a_folder_are_not(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # The path of a socket is short.
        server.bind("s.png")
        with pytest.raises(InputError, match="is a socket and no file"):
            read_image("s.png")
    assert regular_file(__file__) == Path(__file__) and regular_file(tmp_path) == tmp_path


@pytest.mark.parametrize("name", ["images/train/{}.png", "masks/train/{}.png", "dataset.json", "train.csv"])
def test_a_data_folder_with_what_is_no_file_is_refused(name, no_file, shapes_folder, tmp_path, capsys):
    make, found = no_file
    folder = shutil.copytree(shapes_folder, tmp_path / "data")
    stem = sorted((folder / "images" / "train").iterdir())[0].stem
    path = folder / name.format(stem)
    if name == "train.csv":
        (folder / "dataset.json").unlink()  # It says where the masks are, and wins.
    make(path)
    assert_refused(capsys, path, found, "doctor", folder)


def test_what_is_no_file_is_no_annotation(no_file, tmp_path, capsys):
    make, found = no_file
    path = tmp_path / "labels"
    path.mkdir()
    make(path / "a.json")
    assert_refused(capsys, path / "a.json", found, "convert", path, "--output", tmp_path / "out")


def test_what_is_no_file_is_no_input_of_predict(run, tmp_path, capsys):
    make_pipe(tmp_path / "a.png")
    flags = ["predict", "--run", run.path, "--output", tmp_path / "out"]
    assert_refused(capsys, tmp_path / "a.png", "is a pipe and no file", *flags, tmp_path / "a.png")


def test_what_is_no_file_is_no_run_and_no_weights(no_file, run, tmp_path):
    make, found = no_file
    make(tmp_path / "config.json")
    with pytest.raises(InputError, match=found):
        Run.open(tmp_path)
    make(tmp_path / "a.h5")
    with pytest.raises(InputError, match="is not a file"):
        load_weights(None, tmp_path / "a.h5")
    make(tmp_path / "step-00000001.npz")
    with pytest.raises(InputError, match="is damaged, and there is no other checkpoint"):
        newest_state(tmp_path, print)


def test_a_best_model_that_is_a_pipe_does_not_stop_the_list_of_runs(run, tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps(run.config))
    make_pipe(tmp_path / "best.keras")
    make_pipe(tmp_path / "history.csv")
    assert main(["runs", str(tmp_path)]) == 0
    assert tmp_path.name in capsys.readouterr().out
