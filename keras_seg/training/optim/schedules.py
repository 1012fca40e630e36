"""Learning-rate schedules."""

import keras
from keras import ops
from keras.optimizers import schedules


def build_schedule(
    name,
    learning_rate,
    total_steps,
    *,
    power=0.9,
    warmup_steps=0,
    drop_steps=1,
    drop_factor=0.1,
):
    """Builds the learning rate as a function of the step.

    Args:
        name: `"poly"`: times `(1 - progress) ** power` (Chen et al., 2017, arXiv:1606.00915, section 4.1.1);
            `"cosine"`: times `(1 + cos(pi progress)) / 2` (Loshchilov and Hutter, 2017, arXiv:1608.03983);
            `"step"`: times `drop_factor` every `drop_steps`; `"fixed"`; or `"plateau"`, which is fixed
            until `plateau_factor` says otherwise. Progress is the fraction of the steps after the warm-up.
        learning_rate: The highest, after the warm-up.
        total_steps: Of the whole training.
        power: Of poly.
        warmup_steps: Over which the rate rises linearly (Goyal et al., 2017, arXiv:1706.02677).
        drop_steps: Of step.
        drop_factor: Of step.

    Returns:
        A number or a `keras.optimizers.schedules.LearningRateSchedule`.
    """
    left = max(1, total_steps - warmup_steps)
    if name == "poly":
        rate = schedules.PolynomialDecay(learning_rate, left, end_learning_rate=0.0, power=power)
    elif name == "cosine":
        rate = schedules.CosineDecay(learning_rate, left)
    elif name == "step":
        rate = schedules.ExponentialDecay(learning_rate, drop_steps, drop_factor, staircase=True)
    else:
        rate = float(learning_rate)
    return WarmUp(rate, warmup_steps) if warmup_steps else rate


@keras.saving.register_keras_serializable(package="keras_seg")
class WarmUp(schedules.LearningRateSchedule):
    """Rises linearly to the first rate of another schedule, and then follows it.

    Args:
        schedule: A number or a `LearningRateSchedule`, which starts after the warm-up.
        steps: Of the warm-up; step 0 has `1 / steps` of the rate.
    """

    def __init__(self, schedule, steps):
        self.schedule = schedule
        self.steps = steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        return ops.where(
            step < self.steps,
            self._rate(0) * (step + 1) / self.steps,
            self._rate(ops.maximum(step - self.steps, 0)),
        )

    def _rate(self, step):
        return self.schedule(step) if callable(self.schedule) else self.schedule

    def get_config(self):
        return {"schedule": keras.saving.serialize_keras_object(self.schedule), "steps": self.steps}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["steps"])
