"""SGD, Adam and AdamW with learning-rate multipliers and weight decay by group, and EMA of the weights."""

import keras
import tensorflow as tf
from keras import ops

from keras_seg.training.optim.schedules import build_schedule

AUX_LAYER = "aux_"
# Of biases and of the scales and shifts of normalizations.
UNDECAYED = ("bias", "gamma", "beta")


class _Groups:
    """What these optimizers add to Keras's.

    Keras 3 has one learning rate for all weights, decays all of them, and always apart from the gradient.

    Args:
        learning_rate: As Keras's; that of the encoder's kernels.
        head_rate: Times it for what is not the encoder.
        aux_rate: Times it for the auxiliary head.
        bias_rate: Times the layer's for biases; Caffe's networks have 2.
        decay: Weight decay.
        decay_all: Whether biases and normalizations decay as well.
        average: Momentum of the moving average of the weights; 0: none is kept. At first it is
            `(1 + updates) / (10 + updates)`, so that a short training is not all beginning.
        late_updates: Updates before the encoder's first one.
        encoder: Names of the encoder's layers.
        **options: Of the Keras optimizer.
    """

    decoupled = False
    # Whether XLA compiles the update of all weights into one pass over memory. FCN-8s has 134 million, and at
    # 64 x 64 pixels their update is a good part of a CPU's step.
    fused = False

    def __init__(
        self,
        learning_rate,
        *,
        head_rate=1.0,
        aux_rate=1.0,
        bias_rate=1.0,
        decay=0.0,
        decay_all=False,
        average=0.0,
        late_updates=0,
        encoder=(),
        **options,
    ):
        super().__init__(learning_rate, **options)
        self.head_rate, self.aux_rate, self.bias_rate = head_rate, aux_rate, bias_rate
        self.decay, self.decay_all = decay, decay_all
        self.average, self.late_updates = average, late_updates
        self.encoder = sorted(encoder)

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.rates = [self.rate_of(variable.path) for variable in variables]
        self.decays = [self.decay if self._decays(variable.name) else 0.0 for variable in variables]
        self.late = [self._is_encoders(variable.path) for variable in variables]
        if self.average:
            self.averaged = list(variables)
            self.averages = self.add_optimizer_variables(variables, "average")
            for average, variable in zip(self.averages, variables, strict=True):
                average.assign(variable)

    def rate_of(self, path):
        """The learning-rate multiplier of the weight `path`, such as `block1_conv1/bias`."""
        if path.startswith(AUX_LAYER):
            rate = self.aux_rate
        else:
            rate = 1.0 if self._is_encoders(path) else self.head_rate
        return rate * (self.bias_rate if path.endswith("/bias") else 1.0)

    def _is_encoders(self, path):
        return path.partition("/")[0] in self.encoder

    def _decays(self, name):
        return self.decay_all or name not in UNDECAYED

    def apply(self, grads, trainable_variables=None):
        if self.global_clipnorm:
            # Keras cuts the gradient of each replica to the norm, and adds them up then.
            grads = mean_over_replicas(list(grads))
        update = super().apply
        if self.fused:
            tf.function(lambda grads: update(grads, trainable_variables), jit_compile=True)(list(grads))
        else:
            update(grads, trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)  # As Keras documents it for optimizers of one's own.
        rate = learning_rate * self.rates[index]
        if self.decays[index] and self.decoupled:
            self.assign_sub(variable, rate * self.decays[index] * variable)
        elif self.decays[index]:
            gradient = gradient + self.decays[index] * variable
        if self.late_updates and self.late[index]:
            rate = rate * self.late_start()
        super().update_step(gradient, variable, rate)
        if self.average:
            updates = ops.cast(self.iterations, variable.dtype)
            momentum = ops.minimum(self.average, (1 + updates) / (10 + updates))
            difference = self.averages[index] - variable
            self.assign_sub(self.averages[index], (1 - momentum) * difference)

    def late_start(self):
        """The learning-rate multiplier of a weight whose first updates were skipped."""
        return 1.0

    def get_config(self):
        names = "head_rate aux_rate bias_rate decay decay_all average late_updates encoder"
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}


@keras.saving.register_keras_serializable(package="keras_seg")
class GroupedSGD(_Groups, keras.optimizers.SGD):
    """SGD with momentum; decay is added to the gradient (L2), as Caffe and PyTorch do."""


@keras.saving.register_keras_serializable(package="keras_seg")
class GroupedAdam(_Groups, keras.optimizers.Adam):
    """Adam (Kingma and Ba, 2015, arXiv:1412.6980); decay is added to the gradient (L2)."""

    def late_start(self):
        """Adam's bias correction depends on the number of updates.

        An encoder that was frozen at first had fewer; without this its first steps would be up to six times
        too long.
        """
        updates = ops.cast(self.iterations + 1, "float32")
        own = ops.maximum(updates - self.late_updates, 1)
        return self._correction(own) / self._correction(updates)

    def _correction(self, updates):
        return ops.sqrt(1 - self.beta_2**updates) / (1 - self.beta_1**updates)


@keras.saving.register_keras_serializable(package="keras_seg")
class GroupedAdamW(GroupedAdam):
    """Adam with decoupled weight decay (arXiv:1711.05101)."""

    decoupled = True


CLASSES = {"adam": GroupedAdam, "adamw": GroupedAdamW, "sgd": GroupedSGD}


def build_optimizer(
    name,
    learning_rate,
    schedule="fixed",
    total_steps=1,
    *,
    schedule_options=None,
    momentum=0.9,
    clip_norm=0.0,
    accumulate=1,
    **groups,
):
    """Builds an optimizer with its schedule.

    Args:
        name: `"adam"`, `"adamw"` or `"sgd"`.
        learning_rate: The highest of the schedule.
        schedule: Of `keras_seg.training.optim.schedules`.
        total_steps: Batches of the whole training.
        schedule_options: As `build_schedule` takes them, by name.
        momentum: Of SGD.
        clip_norm: Norm of all gradients together above which they are scaled down to it; 0: never.
        accumulate: Batches whose mean gradient makes one update.
        **groups: Rates, decay and average, as `_Groups` takes them.

    Returns:
        A `keras.optimizers.Optimizer`.
    """
    options = {"momentum": momentum} if name == "sgd" else {}
    return CLASSES[name](
        build_schedule(schedule, learning_rate, total_steps, **(schedule_options or {})),
        global_clipnorm=clip_norm or None,
        gradient_accumulation_steps=accumulate if accumulate > 1 else None,
        **options,
        **groups,
    )


def mean_over_replicas(gradients):
    """The mean of the replicas' gradients on each of them, where a network has replicas."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return gradients
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)


def inner_optimizer(optimizer):
    """The optimizer inside Keras's loss scaling, which float16 is compiled with, or the optimizer itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)
