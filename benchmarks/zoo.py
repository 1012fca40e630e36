"""Trains many networks alike, one after the other, and writes a table of their metrics, time and memory.

    python benchmarks/zoo.py [--models NAME ...] [--output FOLDER] [-- FLAG ...]

The flags behind `--` are those of train.py, for all networks. The same command resumes after it was stopped.
"""

import argparse
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from keras_seg.cli import train
from keras_seg.cli.quiet import import_tensorflow
from keras_seg.errors import InputError
from keras_seg.evaluation.tables import fraction
from keras_seg.files import make_folder, regular_file, replacing
from keras_seg.memory import counted_bytes, peak_bytes
from keras_seg.runs import CONFIG, Run
from keras_seg.spreadsheets import write_rows
from keras_seg.texts import markdown_table
from keras_seg.training.run_state.run_folder import CHECKPOINTS

SETTINGS, TABLE, METRICS = "zoo.json", "zoo", "metrics.json"
_ROOT = str(Path(__file__).resolve().parent.parent)
OURS = ("model", "output", "resume")
_COSTS = ("seconds", "processor_seconds", "memory")  # The last two are not known on every system.
_MIB = 1 << 20
_PATIENCE = 0.2  # Seconds between two looks at a process


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
            # A zoo that was killed may have left a training that went on to its end.
            if not (folder / name / METRICS).exists() and _train(name, folder, flags):
                failed.append(name)
                log = folder / f"{name}.log"
                reason = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
                report(f"{name}: failed, see {log}: {reason}")
                continue
            row = _finish(folder, name)
        report(f"{name}: mean IoU {fraction(row['mean_iou'])}, {_rounded(row['seconds'])} s")
        _write_table(folder)
    return failed


def _check_settings(path, flags):
    if path.exists():
        before = _load(path, ("flags",))["flags"]
        if before != flags:
            raise InputError(
                f"{path.parent}: was started with {shlex.join(before) or 'no flags'}; continue with them, or "
                "name another --output"
            )
    _write(path, {"flags": flags})


def _train(name, folder, flags):
    """Trains a network, or goes on with it; returns the exit status and notes what it took."""
    run = folder / name
    start = (
        ["--resume", str(run)] if (run / CONFIG).exists() else ["--model", name, "--output", str(run), *flags]
    )
    # The process finds the package that this one has.
    paths = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
    begun, usage = time.perf_counter(), None
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "keras_seg", "train", *start],
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": paths},
        )
        try:
            usage = _wait(process)
        except BaseException:
            process.terminate()
            usage = _wait(process)
            raise
        finally:
            _add(folder / f"{name}.json", time.perf_counter() - begun, usage)
    return process.returncode


def _wait(process):
    """Waits for a process; returns `(processor seconds, peak bytes)`, None where neither is known."""
    if not hasattr(os, "wait4"):
        process.wait()
        return None
    peak = None
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak = peak_bytes(process.pid) or peak
        time.sleep(_PATIENCE)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime, counted_bytes(usage) if peak is None else peak


def _add(path, seconds, usage):
    """Adds what one process took to what those before it took, since a training may have been resumed."""
    row = _costs(path)
    row["seconds"] = (row["seconds"] or 0) + seconds
    if usage is not None:
        processor_seconds, peak = usage
        row["processor_seconds"] = (row["processor_seconds"] or 0) + processor_seconds
        row["memory"] = max(row["memory"] or 0, peak)
    _write(path, row)


def _finish(folder, name):
    run, path = Run.open(folder / name), folder / f"{name}.json"
    for checkpoint in (run.path / CHECKPOINTS).glob("*.npz"):
        checkpoint.unlink()
    _write(path, {**_costs(path), "parameters": run.load_model().count_params()})
    return _read(folder, name)


def _costs(path):
    return _load(path, _COSTS) if path.exists() else dict.fromkeys(_COSTS)


def _load(path, keys, way_out="remove it, to continue without it"):
    """The dict that a file holds.

    Raises:
        InputError: It cannot be read, or has not these keys.
    """
    try:
        row = json.loads(regular_file(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); {way_out}") from None
    if not isinstance(row, dict) or not row.keys() >= set(keys):
        raise InputError(f"{path}: does not have {', '.join(keys)}; {way_out}")
    return row


def _write(path, row):
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(row) + "\n", encoding="utf-8")


def _read(folder, name):
    """The row of a network that is trained, or None."""
    path = folder / f"{name}.json"
    row = _costs(path)
    if "parameters" not in row:
        return None
    run, path = folder / name, folder / name / METRICS
    anew = f"make it anew: python -m keras_seg evaluate --run {run} --output {path}"
    metrics = _load(path, ("mean_iou", "pixel_accuracy", "classes"), anew)
    return {**metrics, **row, "name": name}


def _write_table(folder):
    found = (_read(folder, path.parent.name) for path in folder.glob(f"*/{METRICS}"))
    rows = [row for row in found if row]
    rows.sort(key=lambda row: -(row["mean_iou"] or 0))
    classes = [each["name"] for each in rows[0]["classes"]]
    costs = ["seconds", "processor seconds", "MiB"]
    head = ["network", "parameters", "mean IoU", "pixel accuracy", *classes, *costs]
    lines = [
        [
            row["name"],
            f"{row['parameters']:,}",
            fraction(row["mean_iou"]),
            fraction(row["pixel_accuracy"]),
            *(fraction(each["iou"]) for each in row["classes"]),
            _rounded(row["seconds"]),
            _rounded(row["processor_seconds"]),
            _rounded(row["memory"] and row["memory"] / _MIB),
        ]
        for row in rows
    ]
    with replacing(folder / f"{TABLE}.md") as temporary:
        temporary.write_text(markdown_table(head, lines) + "\n", encoding="utf-8")
    text = io.StringIO()
    write_rows(text, [head, *([cell.replace(",", "") for cell in line] for line in lines)])
    with replacing(folder / f"{TABLE}.csv") as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def _rounded(number):
    return "-" if number is None else f"{number:.0f}"


def main(argv=None):
    """Trains what is not trained yet; one that fails is reported and the rest are done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output", metavar="FOLDER", default="zoo", help="run folders, zoo.md and zoo.csv (default: zoo)"
    )
    parser.add_argument("--models", metavar="NAME", nargs="+", help="networks to train (default: all)")
    parser.add_argument(
        "flags", metavar="FLAG", nargs=argparse.REMAINDER, help="behind --: flags of train.py for all of them"
    )
    arguments = parser.parse_args(argv)
    flags = [flag for flag in arguments.flags if flag != "--"]
    trainings = argparse.ArgumentParser(prog="zoo.py --", add_help=False)
    train.add_arguments(trainings)
    ours = [name for name in OURS if name in vars(trainings.parse_args(flags))]
    if ours:
        parser.error(f"--{ours[0]}: the zoo sets it for each network; drop it")
    import_tensorflow("training")
    from keras_seg.models import MODELS

    names = arguments.models or list(MODELS)
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        parser.error(f"--models: there is no network {unknown[0]}; see python -m keras_seg models")
    # The training of the moment is told to stop too, and saves its state.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        failed = train_zoo(names, arguments.output, flags)
    except InputError as error:
        parser.error(str(error))
    table = "" if len(failed) == len(names) else f"; the table is {arguments.output}/zoo.md"
    print(f"{len(names) - len(failed)} of {len(names)} networks{table}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
