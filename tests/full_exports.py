"""`python -m tests.full_exports [NETWORK ...]`: every export of every network at full width, and its cost.

Each is written by a process of its own, whose peak memory may be 6 GB, and compared with the network's logits
by its runtime in another. Prints a row each; exit status 1 if one is wrong or takes more.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from keras_seg.memory import peak_bytes

MOST = 6_000_000_000  # Bytes
FORMATS = ("saved_model", "onnx", "litert")
SIZE = (61, 94)
LIMIT = 1e-5
CLASSES = 21


def write(name, kind, path):
    """Builds a network at full width, exports it, and keeps an image and its logits beside the export."""
    import keras
    import numpy as np

    from keras_seg.models import build_model
    from keras_seg.palette import default_colors
    from keras_seg.serving import export_saved_model
    from keras_seg.serving.litert_export import write_litert
    from keras_seg.serving.onnx_export import write_onnx
    from tests.backend_answers import randomize
    from tests.models.helpers import images

    keras.utils.set_random_seed(0)
    model = build_model(name, CLASSES)
    randomize(model)
    about = {"classes": [f"class {index}" for index in range(CLASSES)], "colors": default_colors(CLASSES)}
    if kind == "saved_model":
        export_saved_model(model, path, **about)
    elif kind == "onnx":
        write_onnx(model, path, **about)
    else:
        write_litert(model, path, SIZE)
    peak = peak_bytes()
    image = images(1, *SIZE)
    np.savez(path.with_name("expected.npz"), image=image, logits=model(image, training=False))
    print(peak)


def compare(kind, path):
    """Prints the largest error of an export's logits, relative to the largest logit."""
    import numpy as np

    from keras_seg.serving.formats import saved_model_runner
    from keras_seg.serving.litert_export import litert_runner
    from keras_seg.serving.onnx_export import onnx_runner

    expected = np.load(path.with_name("expected.npz"))
    runner = {"saved_model": saved_model_runner, "onnx": onnx_runner, "litert": litert_runner}[kind](path)
    largest = np.abs(expected["logits"]).max()
    assert largest > 0.1
    print(np.abs(runner(expected["image"].astype("uint8")) - expected["logits"]).max() / largest)


def export(name, kind):
    """Exports and compares; returns `(bytes at the peak, largest relative error, seconds)`."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "1"))
        start = time.perf_counter()
        peak, error = (
            float(_run(["--step", step, name, kind, path]).split()[-1]) for step in ("write", "compare")
        )
        return peak, error, time.perf_counter() - start


def _run(arguments):
    command = [sys.executable, "-m", __name__ if __name__ != "__main__" else "tests.full_exports", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    if answer.returncode:
        raise RuntimeError((answer.stderr.strip().splitlines() or [f"status {answer.returncode}"])[-1])
    return answer.stdout


def main():
    """Prints the table; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.full_exports", description=__doc__.split("`: ")[1])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="(default: all)")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        name, kind, path = arguments.networks
        write(name, kind, Path(path)) if arguments.step == "write" else compare(kind, Path(path))
        return 0
    from keras_seg.models import MODELS

    failed = False
    for name in arguments.networks or MODELS:
        for kind in FORMATS:
            try:
                peak, error, seconds = export(name, kind)
            except RuntimeError as failure:
                failed = True
                print(f"{name:20} {kind:12} {failure}", flush=True)
                continue
            is_right = peak <= MOST and error <= LIMIT
            failed |= not is_right
            verdict = "" if is_right else "  TOO MUCH"
            print(
                f"{name:20} {kind:12} {peak / 1e6:6.0f} MB {error:8.1e} {seconds:5.0f} s{verdict}", flush=True
            )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
