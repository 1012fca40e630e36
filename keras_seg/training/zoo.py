"""Trains many networks alike, one after the other, and writes the table of what became of them."""

import csv
import io
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from keras_seg.errors import InputError
from keras_seg.files import make_folder, replacing
from keras_seg.runs import CONFIG, Run
from keras_seg.training.run_folder import CHECKPOINTS

SETTINGS, TABLE = "zoo.json", "zoo"
_ROOT = str(Path(__file__).resolve().parents[2])
_MIB = 1 << 20


def train_zoo(names, folder, flags=(), report=print):
    """Trains networks with the same flags, each in a process of its own, and writes `zoo.md` and `zoo.csv`.

    Stopped, it goes on where it was: networks that are trained are passed over, one that was not finished is
    resumed. Their checkpoints are deleted when they are done, as each may have gigabytes.

    Args:
        names: of the networks.
        folder: where run folders, logs and the table go; made if missing.
        flags: of `train.py`, for all of them.
        report: function that is given each line for the reader.

    Returns:
        Names of the networks whose training failed.

    Raises:
        InputError: the folder holds a zoo with other flags, or cannot be written.
    """
    folder = make_folder(Path(folder))
    _check_settings(folder / SETTINGS, list(flags))
    failed = []
    for name in names:
        row = _read(folder, name)
        if row is None:
            seconds, memory, status = _train(name, folder, flags)
            if status == 0:
                row = _note(folder, name, seconds, memory)
            else:
                failed.append(name)
                log = folder / f"{name}.log"
                reason = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
                report(f"{name}: failed, see {log}: {reason}")
                continue
        report(f"{name}: mean IoU {row['mean_iou']:.3f}, {row['seconds']:.0f} s")
        _write_table(folder)
    return failed


def _check_settings(path, flags):
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))["flags"]
        if before != flags:
            raise InputError(
                f"{path.parent}: was started with {shlex.join(before) or 'no flags'}; go on with them, or "
                "name another --output"
            )
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({"flags": flags}) + "\n", encoding="utf-8")


def _train(name, folder, flags):
    """Trains a network, or goes on with it; returns seconds, peak memory in bytes or None, and the status."""
    run = folder / name
    start = (
        ["--resume", str(run)] if (run / CONFIG).exists() else ["--model", name, "--output", str(run), *flags]
    )
    # The process finds the package that this one has.
    paths = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
    begun = time.perf_counter()
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "keras_seg", "train", *start],
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": paths},
        )
        try:
            memory, status = _wait(process)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    return time.perf_counter() - begun, memory, status


def _wait(process):
    if not hasattr(os, "wait4"):
        return None, process.wait()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    # Linux counts in KiB, macOS in bytes.
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), process.returncode


def _note(folder, name, seconds, memory):
    run = Run.open(folder / name)
    for checkpoint in (run.path / CHECKPOINTS).glob("*.npz"):
        checkpoint.unlink()
    row = {"seconds": seconds, "memory": memory, "parameters": run.load_model().count_params()}
    with replacing(folder / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(row) + "\n", encoding="utf-8")
    return _read(folder, name)


def _read(folder, name):
    """The row of a network that is trained, or None."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    metrics = json.loads((folder / name / "metrics.json").read_text(encoding="utf-8"))
    row = json.loads(path.read_text(encoding="utf-8"))
    return {**metrics, **row, "name": name}


def _write_table(folder):
    rows = [_read(folder, path.stem) for path in folder.glob("*.json") if path.name != SETTINGS]
    rows.sort(key=lambda row: -row["mean_iou"])
    classes = [each["name"] for each in rows[0]["classes"]]
    head = ["network", "parameters", "mean IoU", "pixel accuracy", *classes, "seconds", "MiB"]
    lines = [
        [
            row["name"],
            f"{row['parameters']:,}",
            f"{row['mean_iou']:.3f}",
            f"{row['pixel_accuracy']:.3f}",
            *("-" if each["iou"] is None else f"{each['iou']:.3f}" for each in row["classes"]),
            f"{row['seconds']:.0f}",
            "-" if row["memory"] is None else f"{row['memory'] / _MIB:.0f}",
        ]
        for row in rows
    ]
    table = [head, ["---"] * len(head), *lines]
    with replacing(folder / f"{TABLE}.md") as temporary:
        temporary.write_text("".join(f"| {' | '.join(line)} |\n" for line in table), encoding="utf-8")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *([c.replace(",", "") for c in x] for x in lines)])
    with replacing(folder / f"{TABLE}.csv") as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
