"""Where a stopped training goes on."""

from keras_seg.errors import InputError
from keras_seg.runs import CONFIG, Run
from keras_seg.training.building import build_metrics
from keras_seg.training.checkpoints import state_groups
from keras_seg.training.config import TrainConfig
from keras_seg.training.history import epochs_without_better, write_history
from keras_seg.training.run_folder import CHECKPOINTS, HISTORY, is_finished
from keras_seg.training.state import Progress, newest_state, read_group, remove_leftovers, restore_state


def recorded_config(folder, **changed):
    """The settings of a run that goes on.

    Args:
        folder: Of the run.
        **changed: Settings that are to be others, or None.

    Returns:
        A `TrainConfig`.

    Raises:
        InputError: There is no such run, or its `config.json` holds what is no setting.
    """
    run = Run.open(folder)
    try:
        config = TrainConfig.from_dict(run.config)
    except InputError as error:
        raise InputError(f"{run.path / CONFIG}: {error}; correct it there") from None
    changed = {name: value for name, value in changed.items() if value is not None}
    return config.replace(**changed, output=str(folder))


def find_state(run, steps, report, is_chief=True):
    """Finds the state that a run goes on from.

    Args:
        run: `Run`.
        steps: Batches of an epoch.
        report: Function that is given each line for the reader.
        is_chief: Whether what is damaged is removed here, and not by another worker.

    Returns:
        `(path, Progress)`; the path is None for a run that was stopped before its first checkpoint, and
        starts again.

    Raises:
        InputError: No state is whole, or the run had another number of batches.
    """
    path, progress = newest_state(run.path / CHECKPOINTS, report)
    if is_chief:
        remove_leftovers(run.path / CHECKPOINTS, path)
    if path is None:
        report(f"{run.path} was stopped before its first checkpoint; it starts again")
        return None, Progress(steps)
    if progress.steps_per_epoch != steps:
        raise InputError(
            f"{run.path}: had {progress.steps_per_epoch} steps an epoch, and the data set now makes {steps}; "
            "give it the images that it was trained on"
        )
    return path, progress


def restore(training, run, path, progress, replicas):
    """Gives a `Training` a state; returns the metrics' arrays of an unfinished epoch, or None."""
    restore_state(path, state_groups(training.network, training.model.optimizer))
    if replicas.is_chief:
        write_history(run.path / HISTORY, progress.rows)
    metrics = read_group(path, "metrics")
    if metrics and not replicas.strategy:
        build_metrics(training.model)
    return metrics or None


def is_trained(config, run, progress, asked):
    """Whether only the evaluation of the best model is left to do; `asked`: for a number of epochs.

    Raises:
        InputError: Nothing is.
    """
    ended = config.early_stopping and epochs_without_better(progress.rows) >= config.early_stopping
    if progress.validation_is_pending or not (progress.epoch >= config.epochs or (ended and not asked)):
        return False
    if is_finished(run, progress.step):
        raise InputError(f"{run.path}: is trained for {progress.epoch} epochs; ask for more with --epochs")
    return True
