"""Optimizers with their learning rate schedule."""

import keras
import tensorflow as tf

CLASSES = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW, "sgd": keras.optimizers.SGD}


def build_optimizer(name, learning_rate, schedule, total_steps):
    """Builds an optimizer whose rate falls as its schedule says.

    Args:
        name: `"adam"`, `"adamw"` or `"sgd"` (momentum 0.9).
        learning_rate: Of the first step.
        schedule: `"poly"`: times (1 - step / total_steps)^0.9, as DeepLab trains; or `"constant"`.
        total_steps: Steps of the whole training.

    Returns:
        A `keras.optimizers.Optimizer`.
    """
    if schedule == "poly":
        learning_rate = keras.optimizers.schedules.PolynomialDecay(
            learning_rate, total_steps, end_learning_rate=0.0, power=0.9
        )
    options = {"momentum": 0.9} if name == "sgd" else {}
    return CLASSES[name](learning_rate, **options)


def fuse_update(optimizer):
    """Lets XLA compile the update of all weights into one pass over memory.

    FCN-8s has 134 million weights, and at 64 x 64 pixels their update is a good part of a CPU's step:
    Adam's takes 0.2 s so, and 0.7 s as single operations. See docs/performance.md.

    Args:
        optimizer: Changed in place.
    """
    apply = optimizer.apply

    def fused_apply(gradients, trainable_variables=None):
        update = tf.function(lambda gradients: apply(gradients, trainable_variables), jit_compile=True)
        update(list(gradients))

    optimizer.apply = fused_apply
