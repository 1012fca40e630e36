"""What FCN's two savings give: fc6 as patches times a matrix, and the update of all weights in one pass.

Prints, for each, the plain way's time over ours: medians of runs in turn (A B A B), after a warm-up.
"""

import argparse
import statistics
import time

import keras
import tensorflow as tf

from keras_seg.layers import PatchConv2D
from keras_seg.training.optimizers import build_optimizer, fuse_update

MAPS = ((2, 8), (7, 4), (16, 1))  # height and width of fc6's map, images a batch


def in_turn(functions, rounds):
    """Seconds of each function, one list each, measured in turn after one run that does not count."""
    seconds = [[] for _ in functions]
    for count in range(rounds + 1):
        for function, record in zip(functions, seconds, strict=True):
            start = time.perf_counter()
            function()
            if count:
                record.append(time.perf_counter() - start)
    return seconds


def report(question, plain, ours):
    """Prints medians, their ratio, and the fastest and slowest run."""
    medians = statistics.median(plain), statistics.median(ours)
    spread = " ".join(f"{min(runs):.3f}-{max(runs):.3f}" for runs in (plain, ours))
    print(f"{question:44} {medians[0]:8.3f} {medians[1]:8.3f} {medians[0] / medians[1]:6.2f}x  {spread}")


def convolution_step(layer, x):
    """A compiled forward and backward pass of `layer` over `x`."""

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x) ** 2)
        return tape.gradient(loss, [x, *(weight.value for weight in layer.trainable_weights)])

    return step


def compare_convolutions(rounds):
    """fc6, 7 x 7 x 512 to 4096, forward and backward."""
    for side, batch in MAPS:
        x = tf.random.normal((batch, side, side, 512))
        steps = []
        for convolution in (keras.layers.Conv2D, PatchConv2D):
            layer = convolution(4096, 7, padding="same")
            layer.build(x.shape)
            steps.append(convolution_step(layer, x))
        report(f"fc6 on {side} x {side}, batch {batch}: forward, backward", *in_turn(steps, rounds))


def compare_updates(rounds, parameters=134_000_000):
    """Adam's update of as many weights as FCN-8s has."""
    weights = [keras.Variable(tf.random.normal((parameters // 8,))) for _ in range(8)]
    gradients = [tf.random.normal(weight.shape) for weight in weights]
    updates = []
    for fused in (False, True):
        optimizer = build_optimizer("adam", 1e-4, "constant", 1)
        optimizer.build(weights)
        if fused:
            fuse_update(optimizer)
        updates.append(tf.function(lambda optimizer=optimizer: optimizer.apply(gradients, weights)))
    report("Adam, 134 million weights", *in_turn(updates, rounds))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="measured runs of each (default: 7)")
    rounds = parser.parse_args().rounds
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}; seconds")
    print(f"{'':44} {'plain':>8} {'ours':>8} {'ratio':>7}  spread of plain, ours")
    compare_convolutions(rounds)
    compare_updates(rounds)


if __name__ == "__main__":
    main()
