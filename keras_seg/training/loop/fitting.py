"""The loop over epochs, from the step that was reached to the end."""

import tensorflow as tf

from keras_seg.data import eval_batches, train_batches
from keras_seg.data.folders.index import headers_of
from keras_seg.training.loop.building import truth_for
from keras_seg.training.loop.callbacks import AveragedValidation, TimeToGo, build_callbacks
from keras_seg.training.loop.error_texts import endings_explained
from keras_seg.training.loop.signals import StoppedError
from keras_seg.training.run_state.checkpoints import Checkpoints

# A pixel is trained on by three passes: forward, and backward to the maps and to the weights.
DEAR = 3


def fit_run(training, config, dataset, run, progress, metrics, requests, replicas, objects, report):
    """Trains a run; the state is written at the end and where a signal asks for it.

    Args:
        training: `Training`.
        config: `ResolvedConfig`.
        dataset: `Dataset`.
        run: `Run`.
        progress: `Progress` of what is done.
        metrics: As for `fit`.
        requests: `StopRequests`.
        replicas: `Replicas`.
        objects: `Objects`.
        report: Function that is given each line for the reader.
    """
    network, model = training
    checkpoints = Checkpoints(run, network, progress, config.checkpoint_every, metrics, replicas)
    averaged = AveragedValidation()
    callbacks = build_callbacks(training, config, dataset, run, progress, replicas)
    callbacks.append(TimeToGo(config.epochs, report))
    callbacks += [*(objects.callbacks or ()), averaged, checkpoints, requests]
    with endings_explained(run, checkpoints), requests.deferred():
        try:
            with averaged:
                fit(model, config, dataset, progress, metrics, callbacks, replicas, objects.augment)
        except StoppedError:
            checkpoints.write()
            raise
        checkpoints.write()


def fit(model, config, dataset, progress, metrics, callbacks, replicas, augment=None):
    """Trains to the end of the last epoch, or until a callback stops the training.

    An epoch that was stopped halfway is completed first; one that was stopped in its validation is
    validated.

    Args:
        model: A compiled network.
        config: `TrainConfig`.
        dataset: `Dataset`.
        progress: `Progress` of what is done.
        metrics: Arrays of the metrics' state of the epoch that is resumed.
        callbacks: Of Keras; they keep `progress` up to date.
        replicas: `Replicas`.
        augment: Function that takes the place of the augmentation of the settings.
    """
    model.stop_training = False
    verbose = "auto" if replicas.is_chief else 0
    validation = replicas.distribute(
        lambda share: truth_for(model, eval_batches(dataset, "val", limit=config.val_images, share=share))
    )
    if progress.validation_is_pending:
        figures = model.evaluate(
            validation,
            steps=replicas.steps(validation),
            return_dict=True,
            callbacks=callbacks,
            verbose=verbose,
        )
        _end_epoch(model, progress, metrics, callbacks, replicas, figures)
    while progress.epoch < config.epochs and not model.stop_training:
        begun = progress.step % progress.steps_per_epoch

        def make(share, epoch=progress.epoch, begun=begun):
            batches = train_batches(
                dataset,
                config.image_size,
                config.batch_size,
                seed=config.seed,
                augment=augment or config.augmentation,
                start_epoch=epoch,
                share=share,
            )
            # Said, or several workers ask each other before each step whether there is another one.
            endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
            return truth_for(model, batches.skip(begun * share.count).apply(endless))

        model.fit(
            replicas.distribute(make),
            steps_per_epoch=progress.steps_per_epoch - begun,
            validation_data=validation,
            validation_steps=replicas.steps(validation),
            initial_epoch=progress.epoch,
            epochs=progress.epoch + 1 if begun else config.epochs,
            shuffle=False,
            callbacks=callbacks,
            verbose=verbose,
        )


def validation_cost(dataset, config):
    """Suggests fewer validation images where validation would take about as long as training, or longer.

    Args:
        dataset: `Dataset`.
        config: `TrainConfig`.

    Returns:
        One line, or None.
    """
    samples = dataset.split("val")
    measured = min(config.val_images or len(samples), len(samples))
    pixels = sum(height * width for height, width in (header.size for header in headers_of(samples, dataset)))
    pixels *= measured / len(samples)
    height, width = config.image_size
    trained = len(dataset.split("train")) * height * width
    if pixels < DEAR * trained or measured == 1:
        return None
    enough = max(1, int(measured * DEAR * trained / pixels))
    return (
        f"each epoch is validated on {measured} whole images, {pixels / trained:.1f} times the pixels that "
        f"it trains on: --val-images {enough} takes fewer of them, and the figures at the end are of all"
    )


def _end_epoch(model, progress, metrics, callbacks, replicas, figures):
    """The end of an epoch that was stopped in its validation."""
    replicas.assign(model.metrics_variables, metrics)
    logs = {name: float(value) for name, value in model.get_metrics_result().items()}
    logs.update({f"val_{name}": value for name, value in figures.items()})
    for callback in callbacks:
        callback.on_epoch_end(progress.epoch - 1, logs)
