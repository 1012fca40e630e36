"""The network and its optimizer, ready for `fit`."""

from typing import NamedTuple

import keras
import tensorflow as tf

from keras_seg.acceleration import accelerate
from keras_seg.encoders import encoder_layers, freeze_encoder
from keras_seg.errors import InputError
from keras_seg.logits import num_classes, num_logits
from keras_seg.losses import SegmentationLoss
from keras_seg.metrics import ConfusionMatrixMetric
from keras_seg.models import build_model
from keras_seg.pretrained import load_weights, resolve_weights
from keras_seg.training.distributed.distribution import Replicas, replica_sum
from keras_seg.training.distributed.replicated_model import replicated
from keras_seg.training.loop.first_weights import silence_residuals, standardize
from keras_seg.training.loop.staging import load_stage
from keras_seg.training.optim.optimizers import build_optimizer
from keras_seg.training.optim.precision import keep_scores_in_float32
from keras_seg.training.settings.objects import Objects

# Weights times steps: below, XLA's compilation takes longer than its update of the weights saves.
UPDATES_WORTH_FUSING = 1_000_000_000
FIGURES = ("mean_iou", "pixel_accuracy")
NO_OBJECTS = Objects()


class Training(NamedTuple):
    """A network in training.

    Attributes:
        network: The plain one, which is saved.
        model: The compiled `keras.Model` with the same weights, which is fitted.
    """

    network: keras.Model
    model: keras.Model


def build_training(
    config,
    logits,
    steps_per_epoch,
    *,
    fresh,
    report,
    weights=None,
    replicas=None,
    objects=NO_OBJECTS,
    images=None,
):
    """Builds a network with its first weights, and compiles it.

    Args:
        config: A `ResolvedConfig` whose precision is the dtype policy.
        logits: Channels of the network's logits.
        steps_per_epoch: Batches of an epoch.
        fresh: Whether the training starts; otherwise its weights are about to be restored.
        report: Function that is given each line for the reader.
        weights: Of the classes in the loss, None for 1 each.
        replicas: `Replicas`; None for one.
        objects: `Objects` that take the place of settings.
        images: Function that returns training images `[B, H, W, C]`, to which random weights are fitted
            (`loop.first_weights`); None: they stay as the layers drew them.

    Returns:
        A `Training`.

    Raises:
        InputError: The network does not have such options, or the weights do not fit.
    """
    replicas = replicas or Replicas()
    with replicas.scope():
        network = objects.model or build_network(config, logits)
        if fresh and objects.model is None:
            _initialize(network, config, report, images)
        if config.freeze_encoder:
            _freeze(network, config.freeze_encoder)
        # Asked for where it matters alone: a network of another package need not say it.
        encoder = encoder_layers(network) if config.freeze_epochs or config.head_rate != 1 else ()
    model = replicated(network) if replicas.strategy else accelerate(network, "training")
    with replicas.scope():
        _compile(model, config, steps_per_epoch, weights, replicas, encoder, objects)
    return Training(network, model)


def build_network(config, logits):
    """Builds a network with random weights, as the settings say; raises InputError."""
    try:
        model = build_model(config.model, logits, (None, None, config.channels or 3), **config.model_options)
    except (TypeError, ValueError) as error:
        raise InputError(f"--model-option: {error}") from None
    if config.precision == "mixed_bfloat16" and _is_cpu():
        return keep_scores_in_float32(model)
    return model


def _freeze(network, stages):
    """Freezes the encoder, all of it (True) or so many of its stages."""
    flag = "--freeze-encoder" if stages is True else f"--freeze-encoder {stages}"
    try:
        freeze_encoder(network, stages=None if stages is True else stages)
    except InputError as error:
        raise InputError(f"{flag}: {error}") from None


def _initialize(model, config, report, images):
    """Gives the network a stage's weights or the encoder its pretrained ones; else prepares random ones."""
    if config.init_from is not None:
        report(load_stage(model, config.init_from))
        return
    path, line = first_weights(model, config)
    report(line)
    if path is not None:
        report(load_weights(model, path))
    elif images is not None and not config.recipe:
        silence_residuals(model)
        standardize(model, images)


def first_weights(model, config):
    """The file of pretrained weights that a network starts with, or None, and a line on it for the reader."""
    built = {key: config.model_options.get(key) for key in ("encoder", "preprocessing")}
    if isinstance(built["preprocessing"], dict):
        built["preprocessing"] = None
    has_fc6 = any(layer.name == "fc6" for layer in model.layers)
    return resolve_weights(config.model, config.weights, **built, has_fc6=has_fc6)


def _compile(model, config, steps_per_epoch, weights, replicas, encoder, objects):
    optimizer = objects.optimizer or _optimizer(config, steps_per_epoch, replicas, encoder)
    # Now, since an encoder that is frozen for the first epochs needs its variables too.
    optimizer.build(model.trainable_variables)
    updates = model.count_params() * config.epochs * steps_per_epoch
    if objects.optimizer is None:
        optimizer.fused = updates >= UPDATES_WORTH_FUSING and _is_cpu() and not replicas.strategy
    metrics = [
        ConfusionMatrixMetric(num_classes(model), figure, threshold=config.threshold) for figure in FIGURES
    ]
    options = {"class_weights": weights, "reduction": config.loss_reduction}
    if replicas.strategy:
        options["replica_sum"] = replica_sum
    losses = {name: objects.loss or SegmentationLoss(config.loss, **options) for name in ("out", "aux")}
    if has_aux_head(model):
        loss_weights = {"out": 1.0, "aux": config.aux_weight}
        model.compile(optimizer, losses, loss_weights=loss_weights, metrics={"out": metrics})
    else:
        model.compile(optimizer, losses["out"], metrics=metrics)
    if replicas.strategy:
        build_metrics(model)  # At the first batch it would be too late to copy them to every replica.
    _validate_uncompiled(model)


def _optimizer(config, steps_per_epoch, replicas, encoder):
    schedule_options = {
        "power": config.power,
        "warmup_steps": config.warmup_epochs * steps_per_epoch,
        "drop_steps": (config.drop_epochs or 1) * steps_per_epoch,
        "drop_factor": config.drop_factor,
    }
    return build_optimizer(
        config.optimizer,
        config.learning_rate,
        config.schedule,
        config.epochs * steps_per_epoch,
        schedule_options=schedule_options,
        momentum=config.momentum,
        # Of the mean of the replicas' gradients, which is their sum over the number of replicas.
        clip_norm=config.clip_norm / replicas.count,
        accumulate=config.accumulate,
        head_rate=config.head_rate,
        aux_rate=config.aux_rate,
        bias_rate=config.bias_rate,
        decay=config.weight_decay,
        decay_all=config.decay_all,
        average=config.average,
        late_updates=config.freeze_epochs * steps_per_epoch // config.accumulate,
        encoder=encoder,
    )


def _validate_uncompiled(model):
    """Leaves XLA, which Keras takes on a GPU, to the training step: its crops are all of one size.

    For whole validation images it would compile the network once for every size among them.
    """
    compiled, model.jit_compile = model.jit_compile, False
    model.make_test_function()
    model.jit_compile = compiled


def has_aux_head(model):
    """Whether a network returns a dict of `out` and `aux`."""
    return isinstance(model.output, dict)


def build_metrics(model):
    """Creates the variables of a compiled model's metrics, which Keras does with the first batch."""
    truth, logits = tf.zeros([1, 1, 1], tf.int32), tf.zeros([1, 1, 1, num_logits(model)])
    if has_aux_head(model):
        truth, logits = ({"out": each, "aux": each} for each in (truth, logits))
    with keras.StatelessScope():
        model.compute_loss(y=truth, y_pred=logits)
        model.compute_metrics(None, truth, logits)


def truth_for(model, batches):
    """Batches with the ground truth in the form of the model's outputs."""
    if not has_aux_head(model):
        return batches
    return batches.map(lambda images, masks: (images, {"out": masks, "aux": masks}), tf.data.AUTOTUNE)


def _is_cpu():
    return not tf.config.list_physical_devices("GPU")
