"""`train`: from settings to a run folder."""

import json
import platform
from importlib import metadata
from pathlib import Path

import keras
import tensorflow as tf

from keras_seg import __version__
from keras_seg.data import check_dataset, eval_batches, load_dataset, steps_per_epoch, train_batches
from keras_seg.encoders import freeze_encoder
from keras_seg.errors import InputError
from keras_seg.evaluation import evaluate, write_metrics
from keras_seg.files import make_folder, replacing
from keras_seg.inference import Predictor
from keras_seg.losses import SegmentationLoss
from keras_seg.metrics import ConfusionMatrixMetric
from keras_seg.models import build_model
from keras_seg.pretrained import load_weights, resolve_weights
from keras_seg.runs import CONFIG, Run
from keras_seg.serving import export_saved_model, next_version
from keras_seg.training.checkpoints import Checkpoints
from keras_seg.training.config import TrainConfig
from keras_seg.training.history import SCORE, History, best_row, read_history
from keras_seg.training.initialization import scale_first_convolution
from keras_seg.training.optimizers import build_optimizer, fuse_update
from keras_seg.training.pictures import draw_curves, draw_samples

# Below, XLA's compilation takes longer than its update saves in a short training.
PARAMETERS_WORTH_FUSING = 50_000_000
LAST = "last.weights.h5"
PACKAGES = ("tensorflow", "keras", "numpy", "opencv-python", "h5py")


def train(config=None, *, resume=None, epochs=None, report=print):
    """Trains a network and writes its run folder.

    Args:
        config: A `TrainConfig`; leave it out to resume.
        resume: Run folder to go on with, by its own settings.
        epochs: With `resume`: epochs in all, where they are to be others than the run's.
        report: Function that is given each line for the reader.

    Returns:
        The `Run`.

    Raises:
        InputError: The data, the weights or the output folder are not what they should be.
        KeyboardInterrupt: After the best model and the state so far were written.
    """
    if resume is not None:
        config = _resumed_config(resume, epochs)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(config.precision)
    try:
        return _train(config, resume, report)
    finally:
        keras.config.set_dtype_policy(policy)


def _train(config, resume, report):
    keras.utils.set_random_seed(config.seed)
    dataset = load_dataset(
        config.data,
        seed=config.seed,
        ignore_label=config.ignore_label,
        mask_colors=config.mask_colors,
        reduce_zero_label=config.reduce_zero_label or None,
    )
    check_dataset(dataset)
    steps = steps_per_epoch(dataset, config.batch_size)

    model = _build(config, dataset.num_classes)
    if resume is None:
        _initialize(model, config, report)
    if config.freeze_encoder:
        freeze_encoder(model)
    _compile(model, config, dataset.num_classes, steps)
    run = _run_folder(config, dataset, resume)

    done = _restore(model, run) if resume is not None else 0
    if done >= config.epochs * steps:
        raise InputError(f"{run.path}: is trained for {done // steps} epochs; ask for more with --epochs")
    rows = [row for row in read_history(run.path / "history.csv") if row["epoch"] <= done // steps]
    best = best_row(rows)
    checkpoints = Checkpoints(run.best_path, run.path / LAST, best and best[SCORE])
    callbacks = [*_callbacks(config, run), History(run.path / "history.csv", rows), checkpoints]
    report(
        f"{config.model}: {model.count_params():,} parameters, {len(dataset.split('train'))} training and "
        f"{len(dataset.split('val'))} validation images of {dataset.name}, {_device()}; run folder {run.path}"
    )
    try:
        _fit(model, config, dataset, done, steps, callbacks)
    except KeyboardInterrupt:
        checkpoints.write()
        report(f"interrupted; {run.path} holds the best model so far, go on with --resume {run.path}")
        raise
    checkpoints.write()
    _finish(run, dataset, report)
    return run


def _fit(model, config, dataset, done, steps, callbacks):
    """Trains from step `done` on; an epoch that was stopped half way is first brought to its end."""
    epoch, begun = divmod(done, steps)
    spans = (
        [(epoch, epoch + 1, begun), (epoch + 1, config.epochs, 0)] if begun else [(epoch, config.epochs, 0)]
    )
    for first, last, skipped in spans:
        batches = train_batches(
            dataset,
            config.image_size,
            config.batch_size,
            seed=config.seed,
            augment=config.augment,
            start_epoch=first,
        )
        model.fit(
            batches.skip(skipped),
            steps_per_epoch=steps - skipped,
            validation_data=eval_batches(dataset, "val"),
            initial_epoch=first,
            epochs=last,
            shuffle=False,
            callbacks=callbacks,
        )


def _resumed_config(resume, epochs):
    settings = {**Run.open(resume).config, "output": str(resume)}
    return TrainConfig.from_dict(settings if epochs is None else {**settings, "epochs": epochs})


def _build(config, num_classes):
    try:
        return build_model(config.model, num_classes, **config.model_options)
    except (TypeError, ValueError) as error:
        raise InputError(f"--model-option: {error}") from None


def _initialize(model, config, report):
    """Gives the encoder its pretrained weights, as far as they can be had."""
    path, line = resolve_weights(config.model, config.weights)
    report(line)
    if path is None:
        scale_first_convolution(model)
    else:
        report(load_weights(model, path))


def _compile(model, config, num_classes, steps):
    optimizer = build_optimizer(
        config.optimizer, config.learning_rate, config.schedule, config.epochs * steps
    )
    optimizer.build(model.trainable_variables)
    large = model.count_params() >= PARAMETERS_WORTH_FUSING
    if large and config.precision == "float32" and not tf.config.list_physical_devices("GPU"):
        fuse_update(optimizer)
    figures = ("mean_iou", "pixel_accuracy")
    metrics = [ConfusionMatrixMetric(num_classes, figure) for figure in figures]
    model.compile(optimizer, SegmentationLoss(config.loss), metrics=metrics)


def _run_folder(config, dataset, resume):
    """Makes the run folder and its `config.json`; an older run is never written over."""
    if resume is not None:
        return Run.open(resume)
    path = Path(config.output) if config.output else _free_folder(Path("runs"), config.run_name())
    if (path / CONFIG).exists():
        raise InputError(f"{path}: already holds a run; name another --output, or go on with --resume {path}")
    make_folder(path)
    settings = {
        **config.to_dict(),
        "data": str(Path(config.data).resolve()) if not config.is_shapes else None,
        "mask_colors": str(Path(config.mask_colors).resolve()) if config.mask_colors else None,
        "output": str(path),
        "num_classes": dataset.num_classes,
        "classes": list(dataset.classes),
        "colors": [list(map(int, color)) for color in dataset.colors],
        "versions": {
            "keras_seg": __version__,
            "python": platform.python_version(),
            **{package: metadata.version(package) for package in PACKAGES},
        },
    }
    with replacing(path / CONFIG) as temporary:
        temporary.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return Run.open(path)


def _free_folder(parent, name):
    path, number = parent / name, 1
    while path.exists():
        number += 1
        path = parent / f"{name}-{number}"
    return path


def _restore(model, run):
    """Loads the weights and the optimizer of a stopped run; returns the number of steps that are done."""
    path = run.path / LAST
    if not path.is_file():
        raise InputError(f"{path}: missing, the run was stopped before its first step; train it anew")
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path}: cannot be read ({reason}); train the run anew") from None
    return int(model.optimizer.iterations)


def _callbacks(config, run):
    callbacks = [keras.callbacks.TerminateOnNaN()]
    if config.early_stopping:
        callbacks.append(
            keras.callbacks.EarlyStopping(SCORE, mode="max", patience=config.early_stopping, verbose=1)
        )
    if config.tensorboard:
        callbacks.append(keras.callbacks.TensorBoard(run.path / "tensorboard"))
    return callbacks


def _device():
    names = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return f"on {', '.join(names)}" if names else "on the CPU"


def _finish(run, dataset, report):
    """Evaluates, draws and exports the best model."""
    model = run.load_model()
    predictor = Predictor(model)
    metrics = evaluate(model, eval_batches(dataset, "val"), dataset.classes)
    write_metrics(run.path / "metrics.json", metrics)
    draw_curves(read_history(run.path / "history.csv"), run.path / "curves.png")
    draw_samples(predictor, dataset, run.path / "samples.png")
    version = next_version(run.export_path)
    export_saved_model(model, version, classes=dataset.classes, colors=dataset.colors)
    report(
        f"best validation mean IoU {metrics['mean_iou']:.3f}, pixel accuracy "
        f"{metrics['pixel_accuracy']:.3f}; {run.path} holds metrics.json, history.csv, curves.png, "
        f"samples.png, best.keras and {version.relative_to(run.path)}"
    )
