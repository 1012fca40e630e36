"""The list of runs, from folders written by hand."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import pytest
from keras import layers

from keras_seg.cli import main

CONFIG = {
    "model": "unet",
    "data": "/data/camvid",
    "num_classes": 2,
    "classes": ["ground", "car"],
    "colors": [[0, 0, 0], [1, 1, 1]],
    "image_size": [180, 240],
    "epochs": 30,
    "batch_size": 8,
    "optimizer": "adam",
    "learning_rate": 0.0001,
    "loss": "ce+0.5*dice",
}
HISTORY = "epoch,loss,val_mean_iou,val_pixel_accuracy\n"


def write_run(path, rows=(), **settings):
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({**CONFIG, **settings}))
    lines = [f"{epoch},1.5,{iou},{accuracy}\n" for epoch, (iou, accuracy) in enumerate(rows, 1)]
    if lines:
        (path / "history.csv").write_text(HISTORY + "".join(lines))
    return path


@pytest.fixture
def runs(tmp_path):
    """A folder of three runs."""
    folder = tmp_path / "runs"
    write_run(folder / "a", [(0.25, 0.5), (0.5, 0.75), (0.375, 0.8)])
    write_run(folder / "deep" / "b", [(0.75, 0.9)], model="fcn8", data=None, learning_rate=1e-10)
    write_run(folder / "new", epochs=4)
    return folder


def list_runs(capsys, *argv):
    status = main(["runs", *map(str, argv)])
    captured = capsys.readouterr()
    assert status == 0
    return captured.out, captured.err


def listed(capsys, folder):
    out, err = list_runs(capsys, folder, "--json")
    return {row["run"]: row for row in json.loads(out)}, err


def test_runs_are_listed_side_by_side_the_best_first(runs, capsys):
    out, err = list_runs(capsys, runs)
    heading, *lines = out.splitlines()
    assert err == ""
    assert [line.split()[0] for line in lines] == [str(Path("deep", "b")), "a", "new"]
    assert lines[1].split()[1:12] == [
        "unet", "camvid", "0.500", "0.750", "3", "30", "ce+0.5*dice", "adam", "0.0001", "180x240", "8",
    ]  # fmt: skip
    assert lines[2].split()[3:7] == ["-", "-", "0", "4"]
    assert all(line.index("adam") == heading.index("optimizer") for line in lines)


def test_json_has_settings_and_figures_of_the_best_epoch(runs, capsys):
    rows, _ = listed(capsys, runs)
    a, b = rows["a"], rows[str(Path("deep", "b"))]
    assert (a["mean_iou"], a["pixel_accuracy"], a["best_epoch"], a["epochs_done"]) == (0.5, 0.75, 2, 3)
    assert a["image_size"] == [180, 240] and a["epochs"] == 30 and a["date"][:2] == "20"
    assert (b["model"], b["data"], b["learning_rate"]) == ("fcn8", "shapes", 1e-10)
    assert rows["new"]["mean_iou"] is None


def test_parameters_are_those_that_keras_counts(runs, capsys):
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(7, 3), layers.BatchNormalization()])
    model.add(layers.Dropout(0.5))  # Its random state is no parameter.
    model.save(runs / "a" / "best.keras")
    (runs / "new" / "best.keras").write_bytes(b"half")
    with zipfile.ZipFile(runs / "deep" / "b" / "best.keras", "w") as archive:
        archive.writestr("model.weights.h5", b"no HDF5 file")
    rows, err = listed(capsys, runs)
    assert [row["parameters"] for row in rows.values()] == [None, model.count_params(), None]
    assert err == ""


def test_what_lies_in_a_run_is_no_run(runs, capsys):
    write_run(runs / "a" / "checkpoints")
    assert len(listed(capsys, runs)[0]) == 3


def test_a_run_itself_can_be_listed(runs, capsys):
    assert list(listed(capsys, runs / "a")[0]) == ["a"]


@pytest.mark.parametrize(
    ("name", "contents"),
    [
        ("config.json", "{"),
        ("config.json", "[]"),
        ("config.json", '{"model": "unet"}'),
        ("config.json", json.dumps({**CONFIG, "image_size": None})),
        ("config.json", json.dumps({**CONFIG, "learning_rate": float("nan")})),
        ("history.csv", HISTORY + "nan,2,0.5,1\n"),
        ("history.csv", HISTORY + "1,2\n"),
        ("history.csv", HISTORY + "1,x,x,x\n"),
        ("history.csv", "a,b\n1,2\n"),
        ("history.csv", b"\xff\xfe\x00"),
    ],
)
def test_a_run_that_cannot_be_read_is_named_in_a_line_and_the_rest_listed(name, contents, runs, capsys):
    (runs / "a" / name).write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    rows, err = listed(capsys, runs)
    assert len(rows) == 2
    assert err.startswith("skipped: ") and str(runs / "a" / name) in err and err.count("\n") == 1


def test_a_diverged_run_comes_last(runs, capsys):
    (runs / "deep" / "b" / "history.csv").write_text(HISTORY + "1,nan,nan,nan\n")
    rows, _ = listed(capsys, runs)
    assert next(iter(rows)) == "a"
    assert rows[str(Path("deep", "b"))]["mean_iou"] is None


def test_an_empty_folder_says_how_to_get_a_run(capsys, tmp_path):
    assert list_runs(capsys, tmp_path)[0] == f"no runs below {tmp_path}; train one with train.py\n"
    assert list_runs(capsys, tmp_path, "--json")[0] == "[]\n"


def test_a_missing_folder_is_wrong_input(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["runs"]) == 2
    assert capsys.readouterr().err == "error: runs: no such folder; name the one that holds the runs\n"


def test_listing_imports_neither_keras_nor_tensorflow(runs):
    code = (
        "import sys; from keras_seg.cli import main; main(['runs', sys.argv[1]]);"
        "print([name for name in ('keras', 'tensorflow', 'cv2') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code, runs], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"
