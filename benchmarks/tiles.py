"""A large image in sliding windows: its peak memory, and its speed per pixel beside that of small images.

    python benchmarks/tiles.py [--network NAME] [--side N] [--window N] [--overlap FRACTION]

Small images are predicted before and after the large one, each size once without being counted.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.harness.flags import network, positive
from benchmarks.harness.machine import describe_machine
from benchmarks.harness.report import format_machine
from benchmarks.harness.workers import peak_mib
from keras_seg.cli.quiet import import_tensorflow
from keras_seg.errors import InputError

CLASSES, SMALL, ROUNDS = 21, 512, 5


def main():
    import_tensorflow("inference")  # As `predict.py` does.
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", metavar="NAME", type=network, default="fcn8", help="(default: fcn8)")
    parser.add_argument("--side", metavar="N", type=positive, default=8192, help="in pixels (default: 8192)")
    parser.add_argument("--window", metavar="N", type=positive, default=1088, help="(default: 1088)")
    parser.add_argument("--overlap", metavar="FRACTION", type=float, default=1 / 16, help="(default: 1/16)")
    arguments = parser.parse_args()
    import numpy as np

    from keras_seg.inference import Averaging, Predictor
    from keras_seg.models import build_model

    try:
        averaging = Averaging((arguments.window, arguments.window), arguments.overlap)
    except InputError as error:
        parser.error(str(error))
    model = build_model(arguments.network, CLASSES)
    whole, windows = Predictor(model), Predictor(model, averaging=averaging)
    random = np.random.default_rng(0)
    small, large = (random.integers(0, 256, (side, side, 3), np.uint8) for side in (SMALL, arguments.side))
    windows.predict(large[: arguments.window, : arguments.window])
    before = _seconds_per_megapixel(whole, small, ROUNDS + 1)[1:]
    found = _seconds_per_megapixel(windows, large, 1)
    after = _seconds_per_megapixel(whole, small, ROUNDS)

    print(format_machine(describe_machine()))
    print(f"{arguments.network}, {SMALL} x {SMALL}, whole: {_format(before)} before, {_format(after)} after")
    print(f"{arguments.side} x {arguments.side}, windows of {arguments.window}: {_format(found)}")
    ratio = found[0] / statistics.median(before + after)
    print(f"{ratio:.2f} times the seconds per pixel; peak memory {peak_mib():.0f} MiB")


def _seconds_per_megapixel(predictor, image, rounds):
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        predictor.predict(image)
        found.append((time.perf_counter() - start) / image[..., 0].size * 1e6)
    return found


def _format(seconds):
    spread = f" ({min(seconds):.2f} to {max(seconds):.2f})" if len(seconds) > 1 else ""
    return f"{statistics.median(seconds):.2f} s a megapixel{spread}"


if __name__ == "__main__":
    main()
