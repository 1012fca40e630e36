"""Errors that end a training early, each one line that says what was kept and how to resume."""

import re
from contextlib import contextmanager

import tensorflow as tf

from keras_seg.errors import InputError
from keras_seg.training.run_state.checkpoints import DivergedError

OUT_OF_MEMORY = (MemoryError, tf.errors.ResourceExhaustedError)
_LONGEST_REASON = 100


@contextmanager
def memory_explained():
    """Says how to train with less memory when it runs out, while nothing is written yet.

    Raises:
        InputError: It does not.
    """
    try:
        yield
    except OUT_OF_MEMORY as error:
        raise InputError(_short_of_memory(error)) from None


@contextmanager
def endings_explained(run, checkpoints):
    """Says how to resume, whatever ends the loop over epochs; writes the best model before it diverged.

    Args:
        run: `Run`.
        checkpoints: `Checkpoints`.

    Raises:
        InputError: The loss became NaN or infinite, memory ran out, or a file cannot be
            written.
    """
    try:
        yield
    except DivergedError as diverged:
        if checkpoints.replicas.is_chief:
            checkpoints.write_best()
        raise InputError(_explain(diverged, run)) from None
    except OUT_OF_MEMORY as error:
        raise InputError(
            f"{run.path}: {_short_of_memory(error)}; if another program used the memory, resume with "
            f"--resume {run.path}"
        ) from None
    except InputError as error:
        raise InputError(f"{error}; then resume it with --resume {run.path}") from None


def _explain(diverged, run):
    kept = "no epoch was finished"
    if run.best_path.exists():
        kept = f"{run.best_path} is the best model before it"
    return (
        f"{run.path}: the loss became NaN or infinite at step {diverged.step} in epoch "
        f"{diverged.epoch}; {kept}; train again with a lower --learning-rate, "
        "--warmup-epochs or --clip-norm 1"
    )


def _short_of_memory(error):
    # TensorFlow tells at length which operations led to it.
    told = re.search(r"OOM.*", str(error)) or re.search(r".+", str(error))
    reason = told.group()[:_LONGEST_REASON] if told else "no more is to be had"
    return (
        f"out of memory ({reason}); train again with a smaller --batch-size, "
        "which --accumulate makes up for, or a smaller --image-size"
    )
