"""CamVid at 480 x 360, 11 classes: from a weights file to the mean IoU, a recipe for each network.

    python benchmarks/camvid.py --data FOLDER --model fcn8 --weights FILE                # the whole recipe
    python benchmarks/camvid.py --data FOLDER --model fcn8 --weights FILE --until 0.65   # seconds to it
    python benchmarks/camvid.py --data FOLDER --model fcn8 --resume                      # goes on with it

FOLDER holds train, trainannot, val and valannot, as SegNet's authors divide the frames. FILE is VGG16's
`vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5`; without it the weights are taken from `weights/` or
downloaded, and with `--weights none` the network starts at random.

Trains by `train.py`, so that nothing is done here that its flags do not say, and adds a line to `camvid.log`
in the run folder for each epoch: validation mean IoU, loss, seconds of this epoch and of all before. The log
begins with the command, the machine, the versions and this file's own text, again after each `--resume`.
In the end the best model is evaluated on the validation images, and with flips and scales.
"""

import argparse
import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.harness.machine import describe_machine
from benchmarks.harness.report import format_machine

ROOT = Path(__file__).resolve().parent.parent
# What all share; on two cores a step of FCN-8s on four crops of 256 x 256 takes about 5 s.
COMMON = {
    "image-size": "256 256",
    "batch-size": "4",
    "epochs": "40",
    "learning-rate": "1e-4",
    "schedule": "cosine",
    "loss": "ce+dice",
    "seed": "0",
}
# The notop file has no weights for fc6 and fc7, so these have as many filters as 367 images can teach.
NARROW = {"model-option": "fc_filters=1024"}
RECIPES = {
    "fcn8": {**NARROW, "freeze-encoder": "2"},
    "fcn16": {**NARROW, "freeze-encoder": "2"},
    "deeplabv1": {"freeze-encoder": "2"},
    "unet_vgg16": {"freeze-encoder": "2"},
    "segnet": {"learning-rate": "1e-3"},
    "unet": {"weights": "none", "learning-rate": "1e-3", "epochs": "100"},
    "fcn8_vgg16_bn": {"weights": "none", "learning-rate": "1e-3", "epochs": "100"},
}
SCORE = "val_mean_iou"


def main():
    arguments = _arguments()
    run = Path(arguments.output or f"runs/camvid-{arguments.model}")
    command = [sys.executable, str(ROOT / "train.py"), *_flags(arguments, run)]
    run.parent.mkdir(parents=True, exist_ok=True)
    log = Path(f"{run}.log")
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{' '.join(command)}\n{format_machine(describe_machine())}\ncommit {_commit()}\n")
        file.write(Path(__file__).read_text(encoding="utf-8") + "\n")
    process = subprocess.Popen(command)
    try:
        has_reached = _follow(process, run, log, arguments.until)
    except KeyboardInterrupt:
        process.wait()  # It got the signal too, and keeps its state.
        raise
    if process.returncode and not has_reached:
        raise SystemExit(process.returncode)
    if arguments.until is None:
        for flags in ([], ["--tta"]):
            evaluate = [sys.executable, "-m", "keras_seg", "evaluate", "--run", str(run), *flags]
            print(" ".join(evaluate[1:]), flush=True)
            subprocess.run(evaluate, check=True, cwd=ROOT)


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", metavar="FOLDER", required=True, help="train, trainannot, val, valannot")
    parser.add_argument("--model", choices=RECIPES, default="fcn8", help="(default: fcn8)")
    parser.add_argument("--weights", metavar="FILE", help="VGG16's, or none")
    parser.add_argument("--epochs", metavar="N", type=int, help="in all, instead of the recipe's")
    parser.add_argument("--seed", metavar="N", type=int, help="instead of 0")
    parser.add_argument("--until", metavar="IOU", type=float, help="stop at that validation mean IoU")
    parser.add_argument("--output", metavar="RUN", help="run folder (default: runs/camvid-MODEL)")
    parser.add_argument("--resume", action="store_true", help="go on with the run folder")
    return parser.parse_args()


def _flags(arguments, run):
    """The flags of `train.py`."""
    if arguments.resume:
        epochs = [] if arguments.epochs is None else ["--epochs", str(arguments.epochs)]
        return ["--resume", str(run), *epochs]
    settings = {"weights": "imagenet", **COMMON, **RECIPES[arguments.model]}
    given = {name: getattr(arguments, name) for name in ("model", "data", "weights", "epochs", "seed")}
    settings.update((name, str(value)) for name, value in given.items() if value is not None)
    if settings["weights"] == "none":
        settings.pop("freeze-encoder", None)
    flags = [word for name, value in settings.items() for word in (f"--{name}", *value.split(" "))]
    return [*flags, "--output", str(run)]


def _follow(process, run, log, until):
    """Prints and logs each epoch until the training ends; tells whether it reached the score."""
    state = run.with_name(f"{run.name}.seconds.json")  # Of the epochs before this process.
    total = json.loads(state.read_text()) if state.exists() else 0.0
    started, seen = time.monotonic(), len(_history(run))
    while True:
        has_ended = process.poll() is not None
        for row in _history(run)[seen:]:
            seen += 1
            now = time.monotonic()
            total, seconds, started = total + now - started, now - started, now
            state.write_text(json.dumps(total))
            line = (
                f"epoch {row['epoch']}: validation mean IoU {float(row[SCORE]):.4f}, "
                f"loss {float(row['loss']):.4f}, {seconds:.0f} s, {total:.0f} s in all"
            )
            print(line, flush=True)
            with log.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
            if until is not None and float(row[SCORE]) >= until:
                print(f"{until} was reached after {total:.0f} s", flush=True)
                process.send_signal(signal.SIGINT)
                process.wait()
                return True
        if has_ended:
            return False
        time.sleep(1)


def _history(run):
    path = run / "history.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _commit():
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
