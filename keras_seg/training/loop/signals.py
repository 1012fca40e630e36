"""Ctrl-C and SIGTERM during a training: the step that is running is finished, the state is written."""

import signal
import threading
from contextlib import contextmanager

import keras
import numpy as np

from keras_seg.training.run_state.checkpoints import DivergedError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StoppedError(Exception):
    """A signal asked for the end.

    Attributes:
        signal: Its number.
    """

    def __init__(self, number):
        super().__init__()
        self.signal = number

    def leave(self):
        """Raises what a process that was stopped by this signal ends with."""
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self.signal)


class StopRequests(keras.callbacks.Callback):
    """Turns a signal into `StoppedError`: at once, or, while it is `deferred`, after the batch.

    A second signal has the effect that it had before. Used as a context, in which it listens; a signal that
    is ignored, as SIGINT is in a shell's background, stays so, and outside of the main thread, where Python
    has no signals, it does nothing. It is the last of the callbacks, so
    that the others have seen the batch.

    Args:
        replicas: `Replicas`; a signal that one of several workers has received stops all of them.
    """

    def __init__(self, replicas):
        super().__init__()
        self.replicas = replicas
        self._is_deferring = False
        self._received = None
        self._before = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._receive) for number in heard}
        return self

    def __exit__(self, *exception):
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _receive(self, number, frame):
        self.__exit__()
        if not self._is_deferring:
            raise StoppedError(number)
        self._received = number

    @contextmanager
    def deferred(self):
        """While a signal waits for the end of the batch, or of this context."""
        self._is_deferring = True
        try:
            yield
        finally:
            self._is_deferring = False
        self._check()

    def _check(self, *_, **__):
        stops = [number for number in self.replicas.gather(self._received or 0) if number]
        if stops:
            raise StoppedError(self._received or stops[0])

    on_train_batch_end = on_test_batch_end = on_epoch_end = _check


class StopWhenDiverged(keras.callbacks.Callback):
    """Raises `DivergedError` when the loss is not a finite number; the first of the callbacks.

    Args:
        progress: A `Progress`.
    """

    def __init__(self, progress):
        super().__init__()
        self.progress = progress

    def on_train_batch_end(self, batch, logs=None):
        if not np.isfinite((logs or {}).get("loss", 0.0)):
            raise DivergedError(self.progress.step + 1, self.progress.steps_per_epoch)
