"""What FCN's two savings give: fc6 as patches times a matrix, and the update of all weights in one pass.

Prints, for each, the plain way's time over ours: medians of runs in turn (A B A B), after a warm-up.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from keras_seg.benchmark.flags import positive
from keras_seg.benchmark.machine import describe_machine
from keras_seg.benchmark.report import format_machine
from keras_seg.benchmark.workers import Contender, measure_in_turn

MAPS = ((2, 8), (7, 4), (16, 1))  # height and width of fc6's map, images a batch
PARAMETERS = 134_000_000  # of FCN-8s


def convolution(is_ours, side, batch_size):
    """fc6, 7 x 7 x 512 to 4096, forward and backward."""
    import keras
    import tensorflow as tf

    from keras_seg.layers import PatchConv2D

    x = tf.random.normal((batch_size, side, side, 512))
    layer = (PatchConv2D if is_ours else keras.layers.Conv2D)(4096, 7, padding="same")
    layer.build(x.shape)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x) ** 2)
        return tape.gradient(loss, [x, *(weight.value for weight in layer.trainable_weights)])

    return step


def update(is_ours):
    """Adam's update of as many weights as FCN-8s has."""
    import keras
    import tensorflow as tf

    from keras_seg.training.optimizers import build_optimizer, fuse_update

    weights = [keras.Variable(tf.random.normal((PARAMETERS // 8,))) for _ in range(8)]
    gradients = [tf.random.normal(weight.shape) for weight in weights]
    optimizer = build_optimizer("adam", 1e-4, "constant", 1)
    optimizer.build(weights)
    if is_ours:
        fuse_update(optimizer)
    return tf.function(lambda: optimizer.apply(gradients, weights))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=positive, default=7, help="measured runs of each (default: 7)")
    rounds = parser.parse_args().rounds
    print(format_machine(describe_machine()))
    print(f"{'':46} {'plain, s':>8} {'ours, s':>8} {'ratio':>7}  fastest-slowest of plain, ours")
    for side, batch_size in MAPS:
        question = f"fc6 on {side} x {side}, batch {batch_size}: forward, backward"
        _compare(question, "convolution", {"side": side, "batch_size": batch_size}, rounds)
    _compare("Adam, 134 million weights", "update", {}, rounds)


def _compare(question, function, settings, rounds):
    contenders = [
        Contender(question, f"fully_connected:{function}", {"is_ours": is_ours, **settings})
        for is_ours in (False, True)
    ]
    plain, ours = measure_in_turn(contenders, rounds)
    spread = " ".join(f"{min(each.seconds):.3f}-{max(each.seconds):.3f}" for each in (plain, ours))
    ratio = plain.median / ours.median
    print(f"{question:46} {plain.median:8.3f} {ours.median:8.3f} {ratio:6.2f}x  {spread}", flush=True)


if __name__ == "__main__":
    main()
