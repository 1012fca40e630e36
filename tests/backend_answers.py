"""`python -m tests.backend_answers FOLDER`: every network's logits on the backend of KERAS_BACKEND.

The first run writes the weights, `FOLDER/NETWORK.weights.h5`; later ones load them. All write their logits
to `FOLDER/BACKEND.npz`, or, for a network that fails, its error to `FOLDER/BACKEND.json`.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from keras_seg.models import MODELS
from tests.models.helpers import build_narrow, free, images

SIZE = (45, 62)


def randomize(model):
    """Changes what a fresh network leaves at 0 or 1, where a swap or a missing layer would not show."""
    rng = np.random.default_rng(11)
    for weight in model.weights:
        value = keras.ops.convert_to_numpy(weight)
        if weight.name in ("gamma", "beta", "moving_mean", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, value.shape))
        elif value.dtype == np.float32 and not value.any():
            weight.assign(rng.normal(0, 0.1, value.shape))


def answer(name, folder):
    """Returns a network's logits; its weights are read from, or if there are none written to, the folder."""
    path = folder / f"{name}.weights.h5"
    keras.utils.set_random_seed(0)  # The same weights, whichever networks come before.
    model = build_narrow(name)
    if path.is_file():
        model.load_weights(path)
    else:
        randomize(model)
        model.save_weights(path)
    return keras.ops.convert_to_numpy(model(images(1, *SIZE), training=False))


def main(folder):
    """Writes every network's logits."""
    answers, failures = {}, {}
    for name in MODELS:
        try:
            answers[name] = answer(name, folder)
        except Exception as error:  # Whatever it is, the other networks still answer.
            failures[name] = f"{type(error).__name__}: {error}"
        free()
    np.savez(folder / f"{keras.config.backend()}.npz", **answers)
    (folder / f"{keras.config.backend()}.json").write_text(json.dumps(failures))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
