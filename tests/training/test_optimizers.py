"""Updates of the optimizers against NumPy by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_seg.training.optim.optimizers import build_optimizer

RATE, STEPS = 0.1, 4
PATHS = ("block1_conv1/kernel", "block1_conv1/bias", "score_fr/kernel", "aux_bn/gamma")
GROUPS = {"head_rate": 10.0, "aux_rate": 5.0, "bias_rate": 2.0, "encoder": ["block1_conv1"]}
FACTORS = (1.0, 2.0, 10.0, 5.0)
KERNELS = (True, False, True, False)


def variables():
    """One weight of each group, under the path that a network gives it."""
    found = []
    for index, path in enumerate(PATHS):
        layer, name = path.split("/")
        with keras.name_scope(layer):
            found.append(keras.Variable(np.linspace(-1, 1, 3) + index / 10, dtype="float32", name=name))
    return found


def gradients(weights, step):
    return [np.cos(3 * weight + step).astype("float32") for weight in weights]


def train(optimizer, steps=STEPS, fuse=False, scale_loss=False):
    """Trains the variables; returns them and the optimizer."""
    weights = variables()
    optimizer.build(weights)
    optimizer.fused = fuse
    outer = keras.optimizers.LossScaleOptimizer(optimizer) if scale_loss else optimizer
    if scale_loss:
        outer.build(weights)

    @tf.function
    def update(*values):
        if scale_loss:
            values = [value * tf.convert_to_tensor(outer.dynamic_scale) for value in values]
        outer.apply_gradients(zip(values, weights, strict=True))

    for step in range(steps):
        values = gradients([keras.ops.convert_to_numpy(weight) for weight in weights], step)
        update(*map(tf.constant, values))
    return [keras.ops.convert_to_numpy(weight) for weight in weights]


def by_hand(name, decay, factors=FACTORS, kernels=KERNELS, accumulate=1, clip=None, steps=STEPS):
    """The same in NumPy; Kingma and Ba's Adam with Keras's epsilon, Caffe's SGD, AdamW's decay apart."""
    weights = [keras.ops.convert_to_numpy(variable).astype("float64") for variable in variables()]
    first, second = [[np.zeros(3) for _ in PATHS] for _ in range(2)]
    summed, updates = [np.zeros(3) for _ in PATHS], 0
    for step in range(steps):
        summed = [a + b for a, b in zip(summed, gradients(weights, step), strict=True)]
        if (step + 1) % accumulate:
            continue
        mean = [a / accumulate for a in summed]
        summed = [np.zeros(3) for _ in PATHS]
        norm = np.sqrt(sum(np.sum(g**2) for g in mean))
        if clip:
            mean = [g * min(1, clip / norm) for g in mean]
        updates += 1
        for i, (g, factor, is_kernel) in enumerate(zip(mean, factors, kernels, strict=True)):
            rate, wd = RATE * factor, decay * is_kernel
            if name == "sgd":
                first[i] = 0.9 * first[i] - rate * (g + wd * weights[i])
                weights[i] = weights[i] + first[i]
                continue
            if name == "adamw":
                weights[i] = weights[i] - rate * wd * weights[i]
            else:
                g = g + wd * weights[i]
            first[i] = 0.9 * first[i] + 0.1 * g
            second[i] = 0.999 * second[i] + 0.001 * g**2
            # In float32, as Keras computes it: 1 - 0.999 loses four digits there.
            power_1, power_2 = np.float32(0.9) ** updates, np.float32(0.999) ** updates
            alpha = rate * float(np.sqrt(1 - power_2) / (1 - power_1))
            weights[i] = weights[i] - alpha * first[i] / (np.sqrt(second[i]) + 1e-7)
    return weights


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize(
    ("settings", "hand"),
    [
        ({}, {"factors": (1, 1, 1, 1), "decay": 0}),
        ({**GROUPS, "decay": 0.1}, {"decay": 0.1}),
        ({"decay": 0.1, "decay_all": True}, {"factors": (1,) * 4, "kernels": (True,) * 4, "decay": 0.1}),
        ({**GROUPS, "accumulate": 2, "clip_norm": 0.5}, {"accumulate": 2, "clip": 0.5, "decay": 0}),
    ],
    ids=["plain", "groups", "decay of all", "accumulated and clipped"],
)
def test_updates_equal_those_by_hand(name, settings, hand):
    for found, expected in zip(
        train(build_optimizer(name, RATE, **settings)), by_hand(name, **hand), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("scale_loss", [False, True], ids=["", "loss scaling"])
def test_a_fused_update_equals_the_plain_one(name, scale_loss):
    settings = {**GROUPS, "decay": 0.1, "average": 0.9, "clip_norm": 0.5, "accumulate": 2}
    plain, fused = (
        train(build_optimizer(name, RATE, "poly", 10, **settings), **how)
        for how in ({}, {"fuse": True, "scale_loss": scale_loss})
    )
    for expected, found in zip(plain, fused, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_loss_scaling_skips_an_update_that_is_not_finite_and_halves_its_scale():
    weights = variables()[:1]
    outer = keras.optimizers.LossScaleOptimizer(build_optimizer("sgd", RATE), initial_scale=8.0)
    outer.build(weights)
    before = keras.ops.convert_to_numpy(weights[0])
    outer.apply([tf.constant([np.inf, 0, 0], tf.float32)], weights)
    np.testing.assert_array_equal(weights[0], before)
    assert float(outer.dynamic_scale) == 4.0
    outer.apply([tf.constant([4.0, 4.0, 4.0], tf.float32)], weights)
    np.testing.assert_allclose(weights[0], before - RATE * 1.0, rtol=1e-6)


def test_the_average_follows_the_weights_slowly_and_starts_fast():
    optimizer = build_optimizer("sgd", RATE, momentum=0.0, average=0.5)
    weights = variables()
    optimizer.build(weights)
    expected = before = keras.ops.convert_to_numpy(weights[0])
    for step in range(12):
        optimizer.apply([tf.ones(3)] * 4, weights)
        momentum = min(0.5, (1 + step) / (10 + step))
        expected = momentum * expected + (1 - momentum) * (before - RATE * (step + 1))
    np.testing.assert_allclose(optimizer.averages[0], expected, rtol=1e-5)


def test_adam_starts_a_late_encoder_as_if_it_were_its_first_update():
    late = build_optimizer("adam", RATE, late_updates=50, encoder=GROUPS["encoder"])
    frozen_updates = 50
    weights = variables()
    late.build(weights)
    for _ in range(frozen_updates):
        late.apply([tf.ones(3)] * 2, weights[2:])
    before = keras.ops.convert_to_numpy(weights[0])
    late.apply([tf.ones(3)] * 4, weights)
    # Adam's first step has the length of the rate; uncorrected it would be 0.31.
    np.testing.assert_allclose(before - weights[0], RATE, rtol=1e-3)


def test_an_optimizer_is_serialized_with_its_groups_and_its_schedule():
    settings = {**GROUPS, "decay": 0.1, "average": 0.9, "schedule_options": {"warmup_steps": 3}}
    optimizer = build_optimizer("adamw", RATE, "cosine", 10, **settings)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert copy.get_config() == optimizer.get_config()
    for expected, found in zip(train(optimizer), train(copy), strict=True):
        np.testing.assert_array_equal(found, expected)
