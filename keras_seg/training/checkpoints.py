"""What a training keeps on disk: the best model, and the state it can go on from."""

import time

import keras

from keras_seg.files import replacing
from keras_seg.training.history import SCORE

# Half a gigabyte takes seconds to write, and an epoch of a small data set is as short as that.
SECONDS_BETWEEN_WRITES = 60


class Checkpoints(keras.callbacks.Callback):
    """Keeps `best.keras` (by validation mean IoU) and `last.weights.h5` (weights and optimizer).

    Both are written at the end of an epoch, but not more often than once a minute: `write()` puts what is
    newer on disk, also in the middle of an epoch. Files are replaced whole.

    Args:
        best_path: `best.keras`.
        last_path: `last.weights.h5`.
        best_score: Validation mean IoU of the best model so far, None at the start.
    """

    def __init__(self, best_path, last_path, best_score=None):
        super().__init__()
        self.best_path = best_path
        self.last_path = last_path
        self.best_score = best_score
        self._best_weights = None
        self._last_is_stale = False
        self._written = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        self._last_is_stale = True

    def on_epoch_end(self, epoch, logs=None):
        score = float(logs[SCORE])
        if self.best_score is None or score > self.best_score:
            self.best_score = score
            self._best_weights = self.model.get_weights()
        if time.monotonic() - self._written >= SECONDS_BETWEEN_WRITES:
            self.write()

    def write(self):
        """Writes what is newer in memory than on disk; before the first epoch any model is best."""
        if self._last_is_stale:
            with replacing(self.last_path) as temporary:
                self.model.save_weights(temporary)
            self._last_is_stale = False
        if self._best_weights is not None:
            current = self.model.get_weights()
            self.model.set_weights(self._best_weights)
            save_model(self.model, self.best_path)
            self.model.set_weights(current)
            self._best_weights = None
        elif not self.best_path.exists():
            save_model(self.model, self.best_path)
        self._written = time.monotonic()


def save_model(model, path):
    """Writes a model without its optimizer, whole or not at all."""
    without_optimizer = keras.Model(model.input, model.output, name=model.name)
    with replacing(path) as temporary:
        without_optimizer.save(temporary)
