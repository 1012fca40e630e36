"""Callbacks: learning rates, frozen encoders, averaged weights, early stopping."""

import time
from contextlib import ExitStack

import keras

from keras_seg.encoders import encoder_layers, freeze_layers
from keras_seg.training.loop.building import has_aux_head
from keras_seg.training.loop.signals import StopWhenDiverged
from keras_seg.training.loop.tensorboard import tensorboard_callbacks
from keras_seg.training.run_state.checkpoints import averaged_weights
from keras_seg.training.run_state.history import epochs_without_better, plateau_factor, write_history
from keras_seg.training.run_state.run_folder import HISTORY


class PlainNames(keras.callbacks.Callback):
    """Gives the metrics of a network with an auxiliary head the names that they have without one.

    Keras calls the metrics of the output `out` of several `out_mean_iou`. It is the first of the callbacks.
    """

    def on_epoch_end(self, epoch, logs=None):
        for name in [name for name in logs if "out_" in name and not name.endswith("_loss")]:
            logs[name.replace("out_", "", 1)] = logs.pop(name)


class AveragedValidation(keras.callbacks.Callback):
    """Validates with the averaged weights; as a context it always leaves the weights as they were."""

    def __init__(self):
        super().__init__()
        self._stack = ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._stack.close()

    def on_test_begin(self, logs=None):
        self._stack.enter_context(averaged_weights(self.model))

    def on_test_end(self, logs=None):
        self._stack.close()


class FrozenEncoder(keras.callbacks.Callback):
    """Freezes the encoder and its batch statistics for the first epochs.

    Args:
        epochs: How many.
        names: Of the encoder's layers.
    """

    def __init__(self, epochs, names):
        super().__init__()
        self.epochs, self.names = epochs, names
        self._is_frozen = False

    def on_epoch_begin(self, epoch, logs=None):
        frozen = epoch < self.epochs
        if frozen != self._is_frozen:
            self._is_frozen = frozen
            freeze_layers(self.model, self.names, frozen)
            # The traced step has the old list of weights.
            self.model.make_train_function(force=True)


class DropOnPlateau(keras.callbacks.Callback):
    """Sets the learning rate by `plateau_factor` before each epoch.

    Args:
        learning_rate: Of the start.
        rows: The history, which others add to.
        patience, factor: Of `plateau_factor`.
    """

    def __init__(self, learning_rate, rows, patience, factor):
        super().__init__()
        self.learning_rate, self.rows = learning_rate, rows
        self.patience, self.factor = patience, factor

    def on_epoch_begin(self, epoch, logs=None):
        factor = plateau_factor(self.rows, self.patience, self.factor)
        self.model.optimizer.learning_rate = self.learning_rate * factor


class EarlyEnd(keras.callbacks.Callback):
    """Ends the training after `patience` epochs without a better validation mean IoU.

    Args:
        rows: The history, which others add to before.
        patience: Epochs.
    """

    def __init__(self, rows, patience):
        super().__init__()
        self.rows, self.patience = rows, patience

    def on_epoch_end(self, epoch, logs=None):
        if epochs_without_better(self.rows) >= self.patience:
            self.model.stop_training = True


class TimeToGo(keras.callbacks.Callback):
    """Says after an epoch how long the others will take, where that is more than a minute.

    Keras's bar tells of the epoch alone.

    Args:
        epochs: In all.
        report: Function that is given each line for the reader.
        clock: Function that returns seconds.
    """

    def __init__(self, epochs, report, clock=time.monotonic):
        super().__init__()
        self.epochs, self.report, self.clock = epochs, report, clock
        self._started = self._first = None

    def on_epoch_begin(self, epoch, logs=None):
        if self._started is None:
            self._started, self._first = self.clock(), epoch

    def on_epoch_end(self, epoch, logs=None):
        if self._started is None:  # Of an epoch that was stopped in its validation.
            return
        done = epoch + 1 - self._first
        seconds = (self.clock() - self._started) / done * (self.epochs - epoch - 1)
        if seconds > 60:
            minutes = round(seconds / 60)
            hours = f"{minutes // 60} h " if minutes >= 60 else ""
            self.report(f"epoch {epoch + 1} of {self.epochs} is done: about {hours}{minutes % 60} min to go")


class History(keras.callbacks.Callback):
    """Adds a row of metrics after each epoch, and writes `history.csv`.

    Args:
        path: The file; None: the rows alone are kept.
        rows: List of the rows so far, which is added to.
    """

    def __init__(self, path, rows):
        super().__init__()
        self.path = path
        self.rows = rows

    def on_epoch_end(self, epoch, logs=None):
        figures = {key: float(value) for key, value in sorted((logs or {}).items())}
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.rows.append({"epoch": epoch + 1, **figures, "learning_rate": rate})
        if self.path is not None:
            write_history(self.path, self.rows)


def build_callbacks(training, config, dataset, run, progress, replicas):
    """Builds the callbacks that the settings ask for; those whose results others read come first.

    Args:
        training: `Training`.
        config: `ResolvedConfig`.
        dataset: `Dataset`.
        run: `Run`.
        progress: `Progress`.
        replicas: `Replicas`.
    """
    callbacks = [StopWhenDiverged(progress)]
    if has_aux_head(training.model):
        callbacks.append(PlainNames())
    if config.freeze_epochs and not config.freeze_encoder:
        callbacks.append(FrozenEncoder(config.freeze_epochs, encoder_layers(training.network)))
    if config.schedule == "plateau":
        callbacks.append(
            DropOnPlateau(config.learning_rate, progress.rows, config.drop_epochs, config.drop_factor)
        )
    callbacks.append(History(run.path / HISTORY if replicas.is_chief else None, progress.rows))
    if config.early_stopping:
        callbacks.append(EarlyEnd(progress.rows, config.early_stopping))
    if config.tensorboard:
        callbacks.extend(tensorboard_callbacks(run.path, dataset, threshold=config.threshold))
    return callbacks
