"""Networks trained alike, one after the other; what is done is not done again."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from benchmarks.zoo import _wait, main, train_zoo
from keras_seg.errors import InputError

ROOT = Path(__file__).parents[2]
FLAGS = ["--image-size", "32", "32", "--batch-size", "4", "--epochs", "5", "--weights", "none"]


class Stopped(NamedTuple):
    """A zoo of a U-Net whose process was told to end after an epoch.

    Attributes:
        folder: Path of the zoo.
        flags: Of its trainings.
        status: Exit status.
        files: Name to text of what was there then.
    """

    folder: Path
    flags: list
    status: int
    files: dict


@pytest.fixture(scope="module")
def stopped(shapes_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    flags = [*FLAGS, "--data", str(shapes_folder), "--model-option", "widths=[8,16]"]
    flags += ["--model-option", "decoder_widths=[8]"]
    command = [sys.executable, "benchmarks/zoo.py", "--output", str(folder), "--models", "unet", "--"]
    process = subprocess.Popen([*command, *flags], cwd=ROOT)
    history = folder / "unet" / "history.csv"
    while not history.exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.terminate()
    status = process.wait()
    return Stopped(folder, flags, status, {path.name: path.read_text() for path in folder.glob("*.*")})


@pytest.fixture(scope="module")
def zoo(stopped):
    """The same gone on with, and a network that cannot take the option that both are given."""
    folder, lines = stopped.folder, []
    failed = train_zoo(["unet", "segnet"], folder, stopped.flags, lines.append)
    return folder, stopped.flags, failed, lines


def test_each_network_has_a_row_and_a_failure_is_reported(zoo):
    folder, _, failed, lines = zoo
    assert failed == ["segnet"]
    assert lines[0].startswith("unet: mean IoU 0.") and lines[1].startswith("segnet: failed, see ")
    assert "segnet has no option 'widths'" in (folder / "segnet.log").read_text()
    (row,) = csv.DictReader((folder / "zoo.csv").open(newline=""))
    metrics = json.loads((folder / "unet" / "metrics.json").read_text())
    assert row["network"] == "unet" and row["mean IoU"] == f"{metrics['mean_iou']:.3f}"
    assert int(row["processor seconds"]) > 0 and int(row["seconds"]) > 0
    assert int(row["parameters"]) > 1000 and int(row["MiB"]) > 100
    assert (folder / "zoo.md").read_text().startswith("| network | parameters | mean IoU |")
    assert not list((folder / "unet" / "checkpoints").glob("*.npz"))


def test_what_is_trained_is_passed_over(zoo):
    folder, flags, *_ = zoo
    before = (folder / "unet" / "best.keras").stat().st_mtime_ns
    assert train_zoo(["unet"], folder, flags, lambda line: None) == []
    assert (folder / "unet" / "best.keras").stat().st_mtime_ns == before


def test_a_stopped_zoo_stops_its_training_and_counts_both_parts(stopped, zoo):
    assert stopped.status == 128 + signal.SIGTERM
    assert "resume it with --resume" in stopped.files["unet.log"]
    assert "zoo.csv" not in stopped.files

    first, both = json.loads(stopped.files["unet.json"]), json.loads((zoo[0] / "unet.json").read_text())
    assert both["seconds"] > first["seconds"] + 1 and both["memory"] >= first["memory"]
    assert both["processor_seconds"] > first["processor_seconds"] + 1


def test_memory_is_that_of_the_training_alone():
    held = np.ones(500 << 20, np.uint8)  # Of this process, which must not count.
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; x = bytes([1]) * (200 << 20); time.sleep(1)"]
    )
    processor_seconds, peak = _wait(process)
    assert 200 << 20 < peak < 300 << 20 < held.nbytes
    assert process.returncode == 0 and 0 < processor_seconds < 60


DAMAGES = [
    ("zoo.json", '{"fl', "cannot be read (Unterminated string", "remove it"),
    ("zoo.json", "[]", "does not have flags", "remove it"),
    ("unet.json", "", "cannot be read (Expecting value", "remove it"),
    ("unet.json", '{"parameters": 1}', "does not have seconds, processor_seconds, memory", "remove it"),
    (
        "unet/metrics.json",
        "{",
        "cannot be read (Expecting",
        "evaluate --run {folder}/unet",
    ),
]


@pytest.mark.parametrize(("name", "content", "found", "way_out"), DAMAGES)
def test_a_damaged_file_is_one_line(zoo, tmp_path, name, content, found, way_out):
    folder = tmp_path / "zoo"
    shutil.copytree(zoo[0], folder)
    (folder / name).write_text(content)
    with pytest.raises(InputError) as error:
        train_zoo(["unet"], folder, zoo[1], lambda line: None)
    text = str(error.value)
    assert f"{folder / name}: {found}" in text and way_out.format(folder=folder) in text
    assert len(text.splitlines()) == 1 and (folder / "unet" / "best.keras").exists()


def test_a_network_without_a_mean_iou_is_last_in_the_table(zoo, tmp_path):
    folder, lines = tmp_path / "zoo", []
    shutil.copytree(zoo[0], folder)
    shutil.copytree(folder / "unet", folder / "segnet")
    shutil.copy(folder / "unet.json", folder / "segnet.json")
    path = folder / "segnet" / "metrics.json"
    unlabeled = {**json.loads(path.read_text()), "mean_iou": None, "pixel_accuracy": None}
    path.write_text(json.dumps(unlabeled))
    assert train_zoo(["segnet", "unet"], folder, zoo[1], lines.append) == []
    assert lines[0].startswith("segnet: mean IoU -, ")
    rows = list(csv.DictReader((folder / "zoo.csv").open(newline="")))
    assert [(row["network"], row["mean IoU"] == "-") for row in rows] == [("unet", False), ("segnet", True)]


def test_other_flags_are_refused(zoo):
    with pytest.raises(InputError, match="was started with --image-size 32 32"):
        train_zoo(["unet"], zoo[0], ["--epochs", "2"])


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--", "--model", "unet"], "--model: the zoo sets it for each network"),
        (["--models", "fcn9"], "--models: there is no network fcn9"),
    ],
)
def test_wrong_use_is_one_line(argv, line, capsys, tmp_path):
    with pytest.raises(SystemExit) as left:
        main(["--output", str(tmp_path / "zoo"), *argv])
    assert left.value.code == 2
    assert line in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "zoo").exists()
