"""The loop over epochs: from the step where the training is to its end."""

import tensorflow as tf

from keras_seg.data import eval_batches, train_batches
from keras_seg.training.building import truth_for


def fit(model, config, dataset, progress, metrics, callbacks, replicas):
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
        replicas: `Replicas`.
    """
    model.stop_training = False
    verbose = "auto" if replicas.is_chief else 0
    validation = replicas.distribute(
        lambda share: truth_for(model, eval_batches(dataset, "val", share=share))
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
                augment=config.augmentation,
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


def _end_epoch(model, progress, metrics, callbacks, replicas, figures):
    """The end of an epoch that was stopped in its validation."""
    replicas.assign(model.metrics_variables, metrics)
    logs = {name: float(value) for name, value in model.get_metrics_result().items()}
    logs.update({f"val_{name}": value for name, value in figures.items()})
    for callback in callbacks:
        callback.on_epoch_end(progress.epoch - 1, logs)
