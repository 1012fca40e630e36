"""A training from its first step to the finished run folder, one thing after the other."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from keras_seg.data import check_dataset, steps_per_epoch, train_batches
from keras_seg.data.folders.binary import binary_line
from keras_seg.data.folders.dataset import dataset_of_settings
from keras_seg.data.streams import has_streams
from keras_seg.errors import InputError
from keras_seg.process import refuse_frozen_weights
from keras_seg.runs import Run
from keras_seg.training.distributed.distribution import lost_workers, make_replicas
from keras_seg.training.loop.building import build_metrics, build_training
from keras_seg.training.loop.error_texts import memory_explained
from keras_seg.training.loop.finishing import finish
from keras_seg.training.loop.first_weights import first_images
from keras_seg.training.loop.fitting import fit_run, validation_cost
from keras_seg.training.loop.measuring import for_first_weights
from keras_seg.training.loop.signals import StoppedError, StopRequests
from keras_seg.training.machine import device_text, dtype_policy, for_this_machine, seeded
from keras_seg.training.optim.class_weights import class_weights
from keras_seg.training.run_state.checkpoints import state_groups
from keras_seg.training.run_state.history import write_history
from keras_seg.training.run_state.resume import find_state, is_trained
from keras_seg.training.run_state.run_folder import (
    HISTORY,
    check_output,
    claim_folder,
    create_run,
    record_epochs,
)
from keras_seg.training.run_state.state import Progress, read_group, restore_state
from keras_seg.training.settings.checks import check_updates
from keras_seg.training.settings.objects import check_model
from keras_seg.training.settings.recipes import stage_before


def train_run(config, resume, asks_for_epochs, report, objects):
    """Trains a run, new or resumed, in a process whose devices, precision and seeds are set for it.

    Args:
        config: `ResolvedConfig`.
        resume: Run folder to resume; None for a new one.
        asks_for_epochs: Whether the number of epochs was given to a run that is resumed.
        report: Function that is given each line for the reader.
        objects: `Objects` that take the place of settings.

    Returns:
        `Run`.

    Raises:
        InputError: As `train`.
    """
    refuse_frozen_weights()
    replicas = make_replicas(config.distribute, report)
    if not replicas.is_chief:
        report = _silent
    config = for_this_machine(config, report)
    with (
        dtype_policy(config.precision),
        lost_workers(replicas, config.output or "RUN"),
        seeded(config.seed),
        ExitStack() as held,
    ):
        return _train(config, replicas, resume, asks_for_epochs, report, held, objects)


def _silent(line):
    """The report function of workers that are not the chief."""


def _train(config, replicas, resume, asks_for_epochs, report, held, objects):
    path, progress = None, None
    with replicas.together():
        if replicas.is_chief:
            check_output(config, resume)
            if resume is not None:
                claim_folder(Path(resume), held)
        dataset = _load(config, objects.dataset, report)
        if objects.model is not None:
            check_model(objects.model, dataset)
        if not dataset.images.is_rgb:
            config = config.replace(channels=dataset.images.channels)  # dataset.json may have told them.
        replicas.check_batches(len(dataset.split("train")), config.batch_size)
        steps = steps_per_epoch(dataset, config.batch_size)
        check_updates(config, steps)
        if resume is not None:
            path, progress = find_state(Run.open(resume), steps, report, replicas.is_chief)
    progress = progress or Progress(steps)
    replicas.check_same("images to train on", len(dataset.split("train")))
    replicas.check_same("steps done", progress.step)
    if resume is None and objects.model is None:
        config = for_first_weights(config, dataset, report)
    training = _build(config, dataset, steps, path is None, replicas, report, objects)
    with replicas.together():
        run = _open_run(config, dataset, resume, replicas, held)
        is_done = is_trained(config, run, progress, asked=asks_for_epochs)
    metrics = None
    if path is not None:
        with replicas.scope():
            metrics = _restore(training, run, path, progress, replicas)
    report(
        f"{config.model}: {training.network.count_params():,} parameters, {len(dataset.split('train'))} "
        f"training and {len(dataset.split('val'))} validation images of {dataset.name}, "
        f"{device_text()}{replicas.describe()}; "
        f"run folder {run.path}"
    )
    if line := validation_cost(dataset, config):
        report(line)
    with StopRequests(replicas) as requests:
        try:
            if not is_done:
                with replicas.scope():
                    fit_run(
                        training, config, dataset, run, progress, metrics, requests, replicas, objects, report
                    )
            if replicas.is_chief:
                finish(run, dataset, progress, report)
            replicas.wait()
        except StoppedError as stopped:
            report("")  # The progress bar has not ended its line.
            report(f"stopped; {run.path} holds the best model so far, resume it with --resume {run.path}")
            stopped.leave()
    return run


def _load(config, dataset, report):
    """Reads every image and mask once; streams were read where they were made a data set."""
    dataset = dataset_of_settings(config.settings()) if dataset is None else dataset
    if dataset.is_binary:
        report(binary_line(dataset))
    elif config.threshold is not None:
        raise InputError(
            f"--threshold does nothing for {dataset.num_classes} classes, of which the most probable wins; "
            "drop it, or add --binary for one class against the background"
        )
    if not has_streams(dataset):
        for line in check_dataset(dataset, strict=config.strict):
            report(f"warning: {line}")
    return dataset


def _build(config, dataset, steps, fresh, replicas, report, objects):
    """Builds the network, and reports what its first weights and its loss depend on."""
    if config.recipe == "fcn-paper" and not config.init_from and stage_before(config.model):
        report(f"fcn-paper trains {config.model} on from {stage_before(config.model)}: --init-from RUN")
    weights = class_weights(config.class_weights, dataset)
    if weights is not None:
        report(f"class weights: {', '.join(f'{weight:.3g}' for weight in weights)}")
    if objects.augment is not None:  # An error in it is raised before anything is written.
        train_batches(dataset, config.image_size, config.batch_size, augment=objects.augment)
    with memory_explained():
        return build_training(
            config,
            dataset.num_logits,
            steps,
            fresh=fresh,
            report=report,
            weights=weights,
            replicas=replicas,
            objects=objects,
            images=None if has_streams(dataset) else partial(first_images, dataset, config),
        )


def _open_run(config, dataset, resume, replicas, held):
    """The run folder, which the chief creates or updates; other workers only name it."""
    if not replicas.is_chief:
        return Run(Path(resume or config.output or "runs"), {})
    if resume is None:
        return create_run(config, dataset, held)
    return record_epochs(Run.open(resume), config.epochs)


def _restore(training, run, path, progress, replicas):
    """Restores a `Training` from a state; returns the metrics' arrays of an unfinished epoch, or None."""
    restore_state(path, state_groups(training.network, training.model.optimizer))
    if replicas.is_chief:
        write_history(run.path / HISTORY, progress.rows)
    metrics = read_group(path, "metrics")
    if metrics and not replicas.strategy:
        build_metrics(training.model)
    return metrics or None
