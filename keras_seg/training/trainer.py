"""`train`: from settings to a run folder."""

import random
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_seg.data import check_dataset, steps_per_epoch, train_batches
from keras_seg.data.folders.binary import binary_line
from keras_seg.data.folders.dataset import dataset_of_settings
from keras_seg.data.streams import has_streams
from keras_seg.encoders import encoder_layers
from keras_seg.errors import InputError
from keras_seg.hardware import find_hardware
from keras_seg.precision import choose_precision
from keras_seg.process import refuse_frozen_weights
from keras_seg.runs import Run
from keras_seg.training.distributed.distribution import lost_workers, make_replicas
from keras_seg.training.loop.building import build_training, has_aux_head
from keras_seg.training.loop.callbacks import (
    AveragedValidation,
    DropOnPlateau,
    EarlyEnd,
    FrozenEncoder,
    History,
    PlainNames,
)
from keras_seg.training.loop.error_texts import endings_explained, memory_explained
from keras_seg.training.loop.finishing import finish
from keras_seg.training.loop.first_weights import first_images
from keras_seg.training.loop.fitting import fit, validation_cost
from keras_seg.training.loop.measuring import for_first_weights
from keras_seg.training.loop.signals import StoppedError, StopRequests, StopWhenDiverged
from keras_seg.training.loop.tensorboard import tensorboard_callbacks
from keras_seg.training.optim.class_weights import class_weights
from keras_seg.training.run_state.checkpoints import Checkpoints
from keras_seg.training.run_state.resume import find_state, is_trained, recorded_config, restore
from keras_seg.training.run_state.run_folder import (
    HISTORY,
    check_output,
    claim_folder,
    create_run,
    record_epochs,
)
from keras_seg.training.run_state.state import Progress
from keras_seg.training.settings.checks import check_updates
from keras_seg.training.settings.config import SETTINGS, ResolvedConfig, TrainConfig, unknown_setting
from keras_seg.training.settings.names import flag_of, python_names
from keras_seg.training.settings.objects import (
    check_given_again,
    check_model,
    check_objects,
    sort_out,
    with_objects,
)
from keras_seg.training.settings.recipes import stage_before

WITH_RESUME = ("epochs", "checkpoint_every", "distribute")
OTHER_ARGUMENTS = ("config", "dataset", "callbacks", "classes", "resume", "report")


def train(
    config=None,
    *,
    dataset=None,
    model=None,
    optimizer=None,
    loss=None,
    callbacks=None,
    augment=None,
    classes=None,
    resume=None,
    report=print,
    **settings,
):
    """Trains a network and writes its run folder.

    `train(model="unet", data="photographs", epochs=20)` takes settings by name: docs/reference/settings.md.
    Keras's objects go where names go. What a file cannot hold has to be given again to resume the run.

    Args:
        config: A `TrainConfig`, over which the other settings win; leave it out to resume.
        dataset: `keras_seg.data.Dataset`, or two `tf.data.Dataset`s of images and masks, to train and to
            validate on: `(train, val)` or `{"train": ..., "val": ...}`. Images are [H, W, C], RGB in 0..255
            where they are uint8 of three channels, masks class ids [H, W], 255 ignored; batches will do. They
            come in their own order.
        model: Name of a network, or a functional `keras.Model` from such images [B, H, W, C] to logits
            [B, H, W, classes]; it learns in place.
        optimizer: Name, or a Keras optimizer, which has its own learning rate.
        loss: Terms such as `"ce+0.5*dice"`, or a Keras loss or function of class ids [B, H, W] and logits; it
            has to leave out 255, as `SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)` does.
        callbacks: Keras's callbacks, which see the metrics of `history.csv`.
        augment: True or False, an `Augmentation`, or a function `(image, mask, seed) -> (image, mask)` of
            tensors; the seed, int64 [2], is another one for each image, and the same in another training.
        classes: Of `tf.data.Dataset`s: number of classes or their names; as many as the model has logits by
            default.
        resume: Run folder to go on with, by its own settings; of others `epochs` in all, `checkpoint_every`
            and `distribute` may be given, and the objects that it was trained with must be.
        report: Function that is given each line for the reader.
        **settings: Of `TrainConfig`.

    Returns:
        The `Run`.

    Raises:
        InputError: A setting, the data, the weights or the output folder are not what they should be, another
            process trains the run, memory does not suffice, the disk is full, the loss is not a finite number
            any more, or another worker is gone; what was written before is still good.
        KeyboardInterrupt: After Ctrl-C, and after the best model and the state were written.
        SystemExit: Likewise after SIGTERM, with status 143.
    """
    with python_names():
        _check_names(config, settings)
        binary = settings.get("binary", config and config.binary)
        given, objects = sort_out(dataset, model, optimizer, loss, augment, callbacks, classes, binary)
        settings |= given
        if resume is None:
            config = (config or TrainConfig()).replace(**settings)
            check_objects(objects, config)
            if objects.dataset is not None:
                name = objects.dataset.name
                config = config.replace(data="dataset" if name == "shapes" else name)  # What it is called.
            config = with_objects(config.resolve(), objects)
        else:
            _check_resumed(config, settings)
            config = recorded_config(resume, **settings)
            check_given_again(config, objects, resume)
        return _prepare(config, resume, "epochs" in settings, report, objects)


def _check_names(config, settings):
    if config is not None and not isinstance(config, TrainConfig | ResolvedConfig):
        raise InputError(f"config must be a TrainConfig, received {config!r}; give settings by name")
    for name in settings:
        if name not in SETTINGS:
            raise InputError(unknown_setting(name, OTHER_ARGUMENTS))


def _check_resumed(config, settings):
    surplus = sorted(flag_of(name) for name in settings.keys() - set(WITH_RESUME))
    if surplus or config is not None:
        raise InputError(
            f"{', '.join(surplus) or 'config'}: --resume goes on with the run's own settings; only --epochs, "
            "--checkpoint-every and --distribute go with it"
        )


def _prepare(config, resume, asks_for_epochs, report, objects):
    """Trains in a process whose devices and precision are set for it."""
    refuse_frozen_weights()
    replicas = make_replicas(config.distribute, report)
    if not replicas.is_chief:
        report = _silent
    config = _for_this_machine(config, report)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(config.precision)
    try:
        with lost_workers(replicas, config.output or "RUN"), _seeded(config.seed), ExitStack() as held:
            return _train(config, replicas, resume, asks_for_epochs, report, held, objects)
    finally:
        keras.config.set_dtype_policy(policy)


@contextmanager
def _seeded(seed):
    """Seeds what draws first weights and the states of dropouts; after the block, others draw as before."""
    before = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


def _silent(line):
    """What the workers report that are not the chief."""


def _for_this_machine(config, report):
    """Decides what the settings leave to the hardware."""
    hardware = find_hardware()
    precision, line = choose_precision(config.precision, hardware, "training", config.distribute != "none")
    if line is not None:
        report(line)
    deterministic = not hardware.capabilities if config.deterministic is None else config.deterministic
    # It stays on in this process, since TensorFlow has no public way back. On a CPU it would only keep
    # its user from XLA and from random numbers without seeds: there, the networks' operations
    # add in one order by themselves.
    if deterministic and hardware.capabilities:
        tf.config.experimental.enable_op_determinism()
    return config.replace(precision=precision, deterministic=deterministic)


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
    if config.recipe == "fcn-paper" and not config.init_from and stage_before(config.model):
        report(f"fcn-paper trains {config.model} on from {stage_before(config.model)}: --init-from RUN")
    weights = class_weights(config.class_weights, dataset)
    if weights is not None:
        report(f"class weights: {', '.join(f'{weight:.3g}' for weight in weights)}")
    if resume is None and objects.model is None:
        config = for_first_weights(config, dataset, report)
    if objects.augment is not None:  # An error in it is raised before anything is written.
        train_batches(dataset, config.image_size, config.batch_size, augment=objects.augment)
    with memory_explained():
        training = build_training(
            config,
            dataset.num_logits,
            steps,
            fresh=path is None,
            report=report,
            weights=weights,
            replicas=replicas,
            objects=objects,
            images=None if has_streams(dataset) else partial(first_images, dataset, config),
        )
    with replicas.together():
        run = _open_run(config, dataset, resume, replicas, held)
        is_done = is_trained(config, run, progress, asked=asks_for_epochs)
    metrics = None
    if path is not None:
        with replicas.scope():
            metrics = restore(training, run, path, progress, replicas)
    report(
        f"{config.model}: {training.network.count_params():,} parameters, {len(dataset.split('train'))} "
        f"training and {len(dataset.split('val'))} validation images of {dataset.name}, "
        f"{_device()}{replicas.describe()}; "
        f"run folder {run.path}"
    )
    if line := validation_cost(dataset, config):
        report(line)
    with StopRequests(replicas) as requests:
        try:
            if not is_done:
                with replicas.scope():
                    _fit(training, config, dataset, run, progress, metrics, requests, replicas, objects)
            if replicas.is_chief:
                finish(run, dataset, progress, report)
            replicas.wait()
        except StoppedError as stopped:
            report("")  # The progress bar has not ended its line.
            report(f"stopped; {run.path} holds the best model so far, go on with --resume {run.path}")
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


def _open_run(config, dataset, resume, replicas, held):
    """The run folder, which the chief makes or brings up to date; the other workers only name it."""
    if not replicas.is_chief:
        return Run(Path(resume or config.output or "runs"), {})
    if resume is None:
        return create_run(config, dataset, held)
    return record_epochs(Run.open(resume), config.epochs)


def _fit(training, config, dataset, run, progress, metrics, requests, replicas, objects):
    """Trains; at the end, and where a signal asks for it, the state is written."""
    network, model = training
    checkpoints = Checkpoints(run, network, progress, config.checkpoint_every, metrics, replicas)
    averaged = AveragedValidation()
    callbacks = _callbacks(training, config, dataset, run, progress, replicas)
    callbacks += [*(objects.callbacks or ()), averaged, checkpoints, requests]
    with endings_explained(run, checkpoints), requests.deferred():
        try:
            with averaged:
                fit(model, config, dataset, progress, metrics, callbacks, replicas, objects.augment)
        except StoppedError:
            checkpoints.write()
            raise
        checkpoints.write()


def _callbacks(training, config, dataset, run, progress, replicas):
    """Those that others look at come first."""
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


def _device():
    names = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return f"on {', '.join(names)}" if names else "on the CPU"
