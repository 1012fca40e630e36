"""The loop over epochs: from the step where the training is to its end."""

from keras_seg.data import eval_batches, train_batches
from keras_seg.training.building import truth_for


def fit(model, config, dataset, progress, metrics, callbacks):
    """Trains to the end of the last epoch, or until a callback stops it.

    An epoch that was stopped half way is first brought to its end, one that was stopped in its validation
    is validated.

    Args:
        model: A compiled network.
        config: `TrainConfig`.
        dataset: `Dataset`.
        progress: `Progress` of what is done.
        metrics: Arrays of the metrics' state of the epoch that is gone on with.
        callbacks: Of Keras; they keep `progress` up to date.
    """
    model.stop_training = False
    if progress.validation_is_pending:
        _validate(model, dataset, progress, metrics, callbacks)
    while progress.epoch < config.epochs and not model.stop_training:
        begun = progress.step % progress.steps_per_epoch
        batches = train_batches(
            dataset,
            config.image_size,
            config.batch_size,
            seed=config.seed,
            augment=config.augmentation,
            start_epoch=progress.epoch,
        )
        model.fit(
            truth_for(model, batches.skip(begun)),
            steps_per_epoch=progress.steps_per_epoch - begun,
            validation_data=truth_for(model, eval_batches(dataset, "val")),
            initial_epoch=progress.epoch,
            epochs=progress.epoch + 1 if begun else config.epochs,
            shuffle=False,
            callbacks=callbacks,
        )


def _validate(model, dataset, progress, metrics, callbacks):
    """The end of an epoch whose batches are done."""
    batches = truth_for(model, eval_batches(dataset, "val"))
    figures = model.evaluate(batches, return_dict=True, callbacks=callbacks)
    for variable, value in zip(model.metrics_variables, metrics, strict=True):
        variable.assign(value)
    logs = {name: float(value) for name, value in model.get_metrics_result().items()}
    logs.update({f"val_{name}": value for name, value in figures.items()})
    for callback in callbacks:
        callback.on_epoch_end(progress.epoch - 1, logs)
