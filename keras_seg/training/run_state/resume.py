"""Where a stopped training resumes."""

from keras_seg.errors import InputError
from keras_seg.runs import CONFIG, Run
from keras_seg.training.run_state.history import epochs_without_better
from keras_seg.training.run_state.run_folder import CHECKPOINTS, LEFT, finished_step, forget_finished
from keras_seg.training.run_state.state import (
    Progress,
    newest_state,
    remove_leftovers,
    states,
    step_of,
)
from keras_seg.training.settings.config import ResolvedConfig


def recorded_config(folder, **changed):
    """The settings of a run that is resumed.

    Args:
        folder: Of the run.
        **changed: Settings that are to be others, or None.

    Returns:
        A `ResolvedConfig`.

    Raises:
        InputError: There is no such run, or its `config.json` holds what is no setting.
    """
    run = Run.open(folder)
    try:
        ResolvedConfig.from_dict(run.config)
    except InputError as error:
        raise InputError(f"{run.path / CONFIG}: {error}; correct it there") from None
    changed = {name: value for name, value in changed.items() if value is not None}
    return ResolvedConfig.from_dict({**run.config, **changed, "output": str(folder)})


def find_state(run, steps, report, is_chief=True):
    """Finds the state that a run resumes from.

    Args:
        run: `Run`.
        steps: Batches of an epoch.
        report: Function that is given each line for the reader.
        is_chief: Whether what is damaged is removed here, and not by another worker.

    Returns:
        `(path, Progress)`; the path is None for a run that was stopped before its first checkpoint, and
        starts again.

    Raises:
        InputError: No state is whole, the run went further than its newest state, or it had another number
            of batches.
    """
    folder = run.path / CHECKPOINTS
    _check_reached(run, folder)
    path, progress = newest_state(folder, report)
    if is_chief:
        if path is not None and finished_step(run) > progress.step:  # The state at the end is damaged.
            forget_finished(run)
        remove_leftovers(folder, path)
    if path is None:
        report(f"{run.path} was stopped before its first checkpoint; starting from the beginning")
        return None, Progress(steps)
    if progress.steps_per_epoch != steps:
        raise InputError(
            f"{run.path}: had {progress.steps_per_epoch} steps an epoch, and the data set now makes {steps}; "
            "give it the images that it was trained on"
        )
    return path, progress


def _check_reached(run, folder):
    """Refuses to restart over what a training left that went further than the states that are there."""
    new_run = f"train on from its best model with --init-from {run.path} --output OTHER"
    newest = next(map(step_of, states(folder)), None)
    left = [name for name in LEFT if (run.path / name).exists()]
    if left and newest is None:
        raise InputError(
            f"{run.path}: holds {', '.join(left)}, but no checkpoint to resume from; {new_run}, or remove "
            f"{'it' if len(left) == 1 else 'them'} to train it again from the start"
        )
    if finished_step(run) > (newest or 0):
        raise InputError(
            f"{run.path}: was trained to step {finished_step(run)}, and its checkpoints go no further than "
            f"step {newest or 0}; put the missing one back, or {new_run}"
        )


def is_trained(config, run, progress, asked):
    """Whether only the evaluation of the best model is left; `asked`: whether a number of epochs was given.

    Raises:
        InputError: Nothing is.
    """
    ended = config.early_stopping and epochs_without_better(progress.rows) >= config.early_stopping
    if progress.validation_is_pending or not (progress.epoch >= config.epochs or (ended and not asked)):
        return False
    if finished_step(run) == progress.step:
        raise InputError(f"{run.path}: is trained for {progress.epoch} epochs; ask for more with --epochs")
    return True
