"""Processes that know nothing of the tests': each loads what it is told to and answers with logits.

    python -m tests.models.fresh_processes keras|savedmodel

`keras` imports keras_seg alone and loads `.keras` files as anybody would, by Keras; `savedmodel` runs exports
by the C++ loader of TensorFlow Serving, without TensorFlow's Python code.
"""

import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np


class Worker:
    """A fresh process of a kind; it stops with the block.

    Args:
        kind: `"keras"` or `"savedmodel"`.
    """

    def __init__(self, kind):
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._process.communicate()

    def logits(self, path, images):
        """Loads a model and returns its logits of `images`, whole numbers [N, H, W, 3]."""
        given, found = (Path(path).with_suffix(suffix) for suffix in (".images.npy", ".logits.npy"))
        np.save(given, images.astype("uint8"))
        self._process.stdin.write(f"{path}\t{given}\t{found}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer == "done", answer or "the process ended"
        return np.load(found)


def _keras():
    import keras_seg  # noqa: F401, I001  (it, and nothing of it)
    import keras

    def run(path, images):
        model = keras.saving.load_model(path)
        return np.asarray(model(images.astype("float32"), training=False))

    return run


def _savedmodel():
    from tests.serving.savedmodel_runner import Session

    loaded = lru_cache(maxsize=1)(Session)  # Loading takes seconds, and tests ask one export several times.
    return lambda path, images: loaded(path).run("logits", {"images": images})["logits"]


def main(kind):
    """Answers lines of standard input until it ends."""
    run = {"keras": _keras, "savedmodel": _savedmodel}[kind]()
    for line in sys.stdin:
        path, given, found = line.rstrip("\n").split("\t")
        try:
            np.save(found, run(path, np.load(given)))
            print("done", flush=True)
        except Exception as error:  # Whatever it is, the test that waits for it shows it.
            print(f"{type(error).__name__}: {error}".replace("\n", " "), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
