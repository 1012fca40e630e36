"""What a training keeps on disk: the best model, and the state that it resumes from."""

import os
import time
from contextlib import contextmanager

import keras
import numpy as np

from keras_seg.files import replacing
from keras_seg.logits import main_output
from keras_seg.training.distributed.distribution import Replicas
from keras_seg.training.distributed.replicated_model import unsynchronized
from keras_seg.training.optim.optimizers import inner_optimizer
from keras_seg.training.run_state.history import SCORE, is_better
from keras_seg.training.run_state.state import write_state
from keras_seg.training.settings.values import parse_interval

# The first write is due after a minute, and no more than a twentieth of the time goes into writing.
LEAST_SECONDS = 60
WRITES_APART = 20


class Checkpoints(keras.callbacks.Callback):
    """Counts the steps, keeps the best model in `best.keras` and the state in `checkpoints/`.

    Both are written at the same moments, the best model first, so that a state never speaks of a better
    model than the one on disk. In between, the best weights are kept in memory.

    Args:
        run: The `Run`.
        network: The plain network that the fitted model shares its weights with.
        progress: A `Progress`; `step` and `best` are updated here.
        every: `"30s"`, `"200"` (steps), or None: no more often than once a minute, and at most a
            twentieth of the time.
        metrics: Arrays of the metrics' state in the middle of the epoch that is gone on with, or None.
        replicas: `Replicas`; the chief alone writes, and all workers take part in it.
    """

    def __init__(self, run, network, progress, every=None, metrics=None, replicas=None):
        super().__init__()
        self.network = network
        self.replicas = replicas or Replicas()
        self.best_path = run.best_path
        self.folder = run.path / "checkpoints"
        self.progress = progress
        self.steps, self.seconds = parse_interval(every)
        self.metrics = metrics
        self._best_weights = None
        self._written_step = progress.step
        self._state = _reached(progress) if progress.step else None
        self._written, self._duration = time.monotonic(), 0.0

    def on_epoch_begin(self, epoch, logs=None):
        if self.metrics is not None:
            self.replicas.assign(self.model.metrics_variables, self.metrics)
            self.metrics = None

    def on_train_batch_end(self, batch, logs=None):
        self.progress.step += 1
        if self._is_due():
            self.write()

    def on_test_begin(self, logs=None):
        # Validation is about to clear them; a stop in its midst needs them.
        if self.metrics is None:
            self.metrics = _copies(self.model.metrics_variables)

    def on_epoch_end(self, epoch, logs=None):
        self.metrics = None
        score = float(logs[SCORE])
        if is_better(score, self.progress.best):
            self.progress.best = score
            if self.replicas.is_chief:
                with averaged_weights(self.model):
                    self._best_weights = self.network.get_weights()
        # A history without a state would be of a training that nothing goes on from.
        if self._state is None or self._is_due():
            self.write()

    def _is_due(self):
        return self.replicas.any(self._is_time())

    def _is_time(self):
        if self.steps:
            return self.progress.step - self._written_step >= self.steps
        least = max(LEAST_SECONDS, WRITES_APART * self._duration) if self.seconds is None else self.seconds
        return time.monotonic() - self._written >= least

    def write(self):
        """Writes the best model, if a better one is in memory, and the state, if it is another one.

        Raises:
            InputError: There is no room; what was there before still is.
            DivergedError: A weight is not finite.
        """
        start = time.monotonic()
        if not all(np.isfinite(weights).all() for weights in self.network.get_weights()):
            raise DivergedError(self.progress.step, self.progress.steps_per_epoch)
        groups = self.groups()
        if self.replicas.is_chief:
            self.write_best()
            if not self.best_path.exists():  # Before the first epoch any model is best.
                with averaged_weights(self.model):
                    save_model(self.network, self.best_path)
            if self._state != _reached(self.progress):
                write_state(self.folder, self.progress, groups)
        self._state = _reached(self.progress)
        self._written_step, self._written = self.progress.step, time.monotonic()
        self._duration = self._written - start

    def write_best(self):
        """Writes the best model, if a better one is in memory."""
        if self._best_weights is not None:
            with _swapped(self.network, self._best_weights):
                save_model(self.network, self.best_path)
            self._best_weights = None

    def groups(self):
        """The content of the state: all that the next step depends on."""
        progress, metrics = self.progress, []
        if progress.step % progress.steps_per_epoch or progress.validation_is_pending:
            # Copied, since the sums over several workers are to be had by all of them only.
            metrics = _copies(self.model.metrics_variables) if self.metrics is None else self.metrics
        return {**state_groups(self.network, self.model.optimizer), "metrics": metrics}


class DivergedError(Exception):
    """The loss or a weight became NaN or infinite.

    Attributes:
        step: The batch, from 1.
        epoch: The epoch, from 1.
    """

    def __init__(self, step, steps_per_epoch):
        super().__init__()
        self.step, self.epoch = step, -(-step // steps_per_epoch)


def _reached(progress):
    """A key that differs between any two states; an epoch's last batch has two, around validation."""
    return progress.step, len(progress.rows)


def state_groups(network, optimizer):
    """All variables of a training: weights, random states, optimizer, learning rate, loss scale."""
    return {"model": network.variables, "optimizer": optimizer.variables}


@contextmanager
def averaged_weights(model):
    """Swaps in the moving averages of the weights, if the optimizer keeps them."""
    optimizer = inner_optimizer(model.optimizer)
    averages = getattr(optimizer, "averages", None)
    if averages is None:
        yield
        return
    pairs = list(zip(optimizer.averaged, averages, strict=True))
    kept = _copies(variable for variable, _ in pairs)
    try:
        for variable, average in pairs:
            variable.assign(average)
        yield
    finally:
        for (variable, _), value in zip(pairs, kept, strict=True):
            variable.assign(value)


@contextmanager
def _swapped(model, weights):
    kept = model.get_weights()
    try:
        model.set_weights(weights)
        yield
    finally:
        model.set_weights(kept)


def _copies(variables):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def save_model(model, path):
    """Writes a model without its optimizer and its auxiliary head, whole or not at all."""
    with unsynchronized(model), replacing(path) as temporary:
        keras.Model(model.input, main_output(model), name=model.name).save(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
