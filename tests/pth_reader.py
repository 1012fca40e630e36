"""`python -m tests.pth_reader`: the reader of `.pth` files against `torch.load`, and what it refuses.

Needs `torch`. Each network of the benchmarks is written by PyTorch at full width, in both layouts, and read
by both; then pickles that would run something are given to both. Exit status 1 if a bit differs, or one ran.
"""

import multiprocessing
import os
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's remarks would stand between the rows.

import numpy as np
import torch

from benchmarks.contenders.torch_networks import NETWORKS, build
from keras_seg.pretrained.torch_files import read_pth
from tests.pretrained.hostile_pickles import HOSTILE, WEIGHT
from tests.pretrained.pth_writer import LAYOUTS, write_pickle

CLASSES = 21


def main():
    """Prints a row for each file, and one for each pickle."""
    print(
        f"{'network':20} {'layout':7} {'arrays':>6} {'MB':>6}  {'reader s':>8} {'torch s':>8} {'peak MB':>8}"
    )
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        good = [_compare(name, layout) for name in NETWORKS for layout in LAYOUTS]
        print(f"\n{'pickle':30} {'the reader says':90} torch.load (weights_only=True)")
        good += [_refuse(case, *HOSTILE[case]) for case in HOSTILE]
    print(f"\n{sum(good)} of {len(good)} as they should be")
    return 0 if all(good) else 1


def _compare(name, layout):
    path = Path("net.pth")
    torch.save(build(name, CLASSES).state_dict(), path, _use_new_zipfile_serialization=layout == "zip")
    start = time.perf_counter()
    wanted = torch.load(path, weights_only=True)
    torch_seconds = time.perf_counter() - start
    with path.open("rb") as file:
        start = time.perf_counter()
        arrays = read_pth(file, path)
        for array in arrays.values():
            np.asarray(array)
        seconds = time.perf_counter() - start
        tracemalloc.start()
        for array in arrays.values():
            np.asarray(array)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        equal = list(arrays) == list(wanted) and all(_equal(arrays[key], wanted[key]) for key in wanted)
    print(
        f"{name:20} {layout:7} {len(wanted):6} {path.stat().st_size / 1e6:6.1f}  {seconds:8.2f} "
        f"{torch_seconds:8.2f} {peak / 1e6:8.1f}  {'equal to the bit' if equal else 'DIFFERENT'}",
        flush=True,
    )
    return equal


def _equal(array, tensor):
    ours, theirs = np.asarray(array), tensor.numpy()
    return ours.dtype == theirs.dtype and ours.shape == theirs.shape and ours.tobytes() == theirs.tobytes()


def _refuse(case, pickled, _):
    path = write_pickle(
        Path("net.pth"), "legacy", pickled, {"0": WEIGHT} if b"FloatStorage" in pickled else {}
    )
    with path.open("rb") as file:
        says = _says(lambda: read_pth(file, path))
    # Some bring down the process that reads them by `torch.load`.
    torchs = Path("torchs")
    torchs.write_text("(the process dies)")
    process = multiprocessing.get_context("fork").Process(
        target=lambda: torchs.write_text(_says(lambda: torch.load(path, weights_only=True)))
    )
    process.start()
    process.join()
    ran = Path("ran").exists()
    print(f"{case:30} {says[:90]:90} {torchs.read_text()[:40]}{'  IT RAN' if ran else ''}", flush=True)
    return says not in ("read", "") and not ran


def _says(read):
    """What an attempt to read a file ends in, in one line."""
    try:
        return "holds nothing" if not read() else "read"
    except Exception as error:  # Whatever it is, the row tells it.
        return " ".join(f"{type(error).__name__}: {error}".split())


if __name__ == "__main__":
    sys.exit(main())
