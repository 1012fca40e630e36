"""`python -m tests.large_pictures [NETWORK ...]`: large images under limits on the address space.

Each network is exported for each amount of memory, and asked by TensorFlow Serving's loader in a process
whose address space (`RLIMIT_AS`) is just that, without and with oneDNN. Prints a row for each image; exit
status 1 if one gets neither a mask nor `INVALID_ARGUMENT`, or ends the process.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

NETWORKS = ("unet", "fcn8", "segnet", "deeplabv3plus")
MEMORY = (4.0, 8.0, 16.0)  # GB
MEGAPIXELS = (1.0, 4.0, 12.0, 33.0, 40.0, 120.0)
KERNELS = {
    "Eigen": {"TF_ENABLE_ONEDNN_OPTS": "0"},
    "oneDNN": {"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_MAX_CPU_ISA": "AVX2"},
}
CLASSES = 21
REFUSED = 3  # INVALID_ARGUMENT
ROW = "{:14} {:>6} {:>9} {:>8} {:24} {:>9} {:>9} {:>8}"
HEADER = ("network", "limit", "kernels", "Mpixels", "outcome", "peak GB", "resident", "CPU s")


def export(name, memory, path, narrow=False):
    """Exports a network with random weights for an amount of memory in GB."""
    import keras

    from keras_seg.models import build_model
    from keras_seg.palette import default_colors
    from keras_seg.serving import export_saved_model
    from tests.backend_answers import randomize
    from tests.models.helpers import build_narrow

    keras.utils.set_random_seed(0)
    model = build_narrow(name) if narrow else build_model(name, CLASSES)
    randomize(model)
    count = model.output.shape[-1]
    about = {"classes": [f"class {index}" for index in range(count)], "colors": default_colors(count)}
    export_saved_model(model, path, **about, memory=int(memory * 1e9))


def image_file(megapixels, folder):
    """Writes a PNG of 4:3, random patterns side by side; returns its path."""
    import cv2  # Not where the address space is counted.

    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    width = round(megapixels * 1e6 / height)
    path = Path(folder, f"{width}x{height}.png")
    if not path.exists():
        noise = np.random.default_rng(0).integers(0, 256, (521, 521, 3), np.uint8)
        repeats = -(-height // 521), -(-width // 521), 1
        image = np.tile(cv2.GaussianBlur(noise, (0, 0), 3), repeats)[:height, :width]
        cv2.imwrite(str(path), image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return path


def ask(folder, signature, paths):
    """Asks a signature for each image and prints a line of JSON for each; runs in a limited process."""
    from tests.serving.savedmodel_runner import LoaderError, Session

    session = Session(folder)
    for path in paths:
        inputs = {"image_bytes": np.array([Path(path).read_bytes()], object)}
        if signature == "tiled":
            inputs["flips"] = np.array([False])
        begun = time.process_time()
        try:
            (found,) = list(session.run(signature, inputs).values())[:1]
            outcome = f"mask of {len(found[0]):,} bytes"
        except LoaderError as error:
            outcome = "INVALID_ARGUMENT" if error.code == REFUSED else f"code {error.code}: {error}"
        seconds = time.process_time() - begun
        print(json.dumps([outcome, _status("VmPeak"), _status("VmHWM"), seconds]), flush=True)


def _status(name):
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def answers(folder, signature, paths, memory, kernels):
    """Asks in a process of so many GB; yields `(path, outcome, peak, resident, seconds)`, bytes."""
    limit = int(memory * 1e9)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.large_pictures",
            "--step",
            "ask",
            str(folder),
            signature,
            *map(str, paths),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parent.parent,
        env={**os.environ, **KERNELS[kernels], "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    with process:
        for path in paths:
            line = process.stdout.readline()
            if not line:
                yield path, f"ENDED ({process.wait()})", 0, 0, 0
                return
            yield path, *json.loads(line)


def is_right(outcome):
    """Whether a request got what it should."""
    return outcome.startswith("mask") or outcome == "INVALID_ARGUMENT"


def rows(names, limits, kernels, megapixels, signature="bytes", narrow=False):
    """Yields a row for each image: `(name, memory, kernels, megapixels, *answer)`."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {image_file(size, folder): size for size in megapixels}
        for name in names:
            for memory in limits:
                path = Path(folder, f"{name}-{memory}", "1")
                command = [
                    sys.executable,
                    "-m",
                    "tests.large_pictures",
                    "--step",
                    "export",
                    name,
                    str(memory),
                ]
                subprocess.run([*command, str(path), *["narrow"] * narrow], check=True, capture_output=True)
                for kind in kernels:
                    for image, *answer in answers(path, signature, list(paths), memory, kind):
                        yield name, memory, kind, paths[image], *answer


def main():
    """Prints the table; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.large_pictures", description=__doc__.split("`: ")[1]
    )
    parser.add_argument("networks", nargs="*", metavar="NETWORK", default=NETWORKS)
    parser.add_argument("--memory", nargs="+", type=float, metavar="GB", default=MEMORY)
    parser.add_argument("--kernels", nargs="+", choices=KERNELS, default=tuple(KERNELS))
    parser.add_argument("--megapixels", nargs="+", type=float, metavar="N", default=MEGAPIXELS)
    parser.add_argument(
        "--signature", default="bytes", help="bytes, confidence, overlay or tiled (default: bytes)"
    )
    parser.add_argument("--narrow", action="store_true", help="networks of few channels")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    given = arguments.networks
    if arguments.step == "export":
        export(given[0], float(given[1]), given[2], narrow="narrow" in given[3:])
        return 0
    if arguments.step == "ask":
        ask(given[0], given[1], given[2:])
        return 0
    print(ROW.format(*HEADER), flush=True)
    failed = False
    for name, memory, kind, size, outcome, peak, resident, seconds in rows(
        given,
        arguments.memory,
        arguments.kernels,
        arguments.megapixels,
        arguments.signature,
        arguments.narrow,
    ):
        failed |= not is_right(outcome)
        numbers = f"{peak / 1e9:.2f}", f"{resident / 1e9:.2f}", f"{seconds:.1f}"
        print(ROW.format(name, f"{memory:g}", kind, f"{size:g}", outcome, *numbers), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
