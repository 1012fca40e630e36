"""`train`: resolves its arguments into one `ResolvedConfig` and the objects beside it."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_seg.augmentation import Augmentation
from keras_seg.errors import InputError
from keras_seg.hints import PathLike
from keras_seg.runs import Run
from keras_seg.training.run_state.resume import recorded_config
from keras_seg.training.session import train_run
from keras_seg.training.settings.config import SETTINGS, ResolvedConfig, TrainConfig, unknown_setting
from keras_seg.training.settings.names import flag_of, python_names
from keras_seg.training.settings.objects import check_given_again, check_objects, sort_out, with_objects

WITH_RESUME = ("epochs", "checkpoint_every", "distribute")
OTHER_ARGUMENTS = ("config", "dataset", "callbacks", "classes", "resume", "report")


def train(
    config: TrainConfig | ResolvedConfig | None = None,
    *,
    dataset: Any = None,
    model: str | keras.Model | None = None,
    optimizer: str | keras.optimizers.Optimizer | None = None,
    loss: str | keras.losses.Loss | Callable[..., Any] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
    augment: bool | Augmentation | Callable[..., Any] | None = None,
    classes: int | Sequence[str] | None = None,
    resume: PathLike | None = None,
    report: Callable[[str], Any] = print,
    **settings: Any,
) -> Run:
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
            process trains the run, memory ran out, the disk is full, the loss became NaN or infinite, or
            another worker is gone; what was written before is still good.
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
        return train_run(config, resume, "epochs" in settings, report, objects)


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
            f"{', '.join(surplus) or 'config'}: a resumed run keeps its settings; only --epochs, "
            "--checkpoint-every and --distribute may be given with it"
        )
