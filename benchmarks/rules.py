"""What each rule of `keras_seg.acceleration` gains: a network with all of them, and without each in turn.

    python benchmarks/rules.py [NETWORK ...] [--purpose training|inference] [--rounds N]

Prints the median seconds of a prediction of 512 x 512 pixels, or of the loss and gradients of four images of
224 x 224, and for each rule that has something to replace, how much longer it takes without. All are
measured in turn in one process. `TF_ENABLE_ONEDNN_OPTS` and `ONEDNN_MAX_CPU_ISA` choose the kernels.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.harness.flags import positive
from benchmarks.harness.machine import describe_machine
from benchmarks.harness.report import format_machine
from keras_seg.cli.quiet import import_tensorflow

NETWORKS = ("fcn8", "segnet", "unet", "pspnet", "deeplabv3_resnet50", "fastfcn")
NUM_CLASSES = 21


def variants(model, purpose):
    """`{name: network}`: plain, with all rules, and without each of those that change something."""
    from keras_seg.acceleration.accelerate import rebuilt
    from keras_seg.acceleration.rules import RULES

    rules = [rule for rule in RULES if purpose in rule.purposes]
    found = {"with all rules": rebuilt(model, rules), "plain Keras": model}
    for rule in rules:
        network = rebuilt(model, [other for other in rules if other is not rule])
        if list(map(type, network.layers)) != list(map(type, found["with all rules"].layers)):
            found[f"without {rule.name}"] = network
    return found


def step(network, purpose):
    """Returns a function that predicts an image or computes the gradients of a batch."""
    import numpy as np
    import tensorflow as tf

    from keras_seg.losses import SegmentationLoss

    random = np.random.default_rng(0)
    if purpose == "inference":
        image = tf.constant(random.uniform(0, 255, (1, 512, 512, 3)), tf.float32)
        signature = [tf.TensorSpec((None, None, None, 3))]
        predict = tf.function(lambda x: network(x, training=False), signature, autograph=False)
        return lambda: predict(image).numpy()
    images = tf.constant(random.uniform(0, 255, (4, 224, 224, 3)), tf.float32)
    masks = tf.constant(random.integers(0, NUM_CLASSES, (4, 224, 224)), tf.int32)
    loss = SegmentationLoss("ce")

    @tf.function(autograph=False)
    def learn():
        with tf.GradientTape() as tape:
            value = loss(masks, network(images, training=True))
        gradients = tape.gradient(value, [weight.value for weight in network.trainable_weights])
        return [value, *map(tf.reduce_sum, gradients)]

    return lambda: learn()[0].numpy()


def measure(name, purpose, rounds):
    """Prints the rows of a network."""
    from keras_seg import build_model

    networks = variants(build_model(name, NUM_CLASSES), purpose)
    steps = {what: step(network, purpose) for what, network in networks.items()}
    seconds = {what: [] for what in steps}
    for index in range(rounds + 1):
        for what, run in steps.items():
            start = time.perf_counter()
            run()
            if index:  # The first traces the network.
                seconds[what].append(time.perf_counter() - start)
    base = statistics.median(seconds["with all rules"])
    for what, taken in seconds.items():
        median = statistics.median(taken)
        spread = f"{min(taken):.3f}-{max(taken):.3f}"
        print(f"{name:20} {purpose:10} {what:65} {median:7.3f} s {median / base:5.2f}x  {spread}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", metavar="NETWORK", nargs="*", default=NETWORKS, help="(default: six)")
    parser.add_argument("--purpose", choices=("training", "inference"), help="(default: both)")
    parser.add_argument("--rounds", type=positive, default=5, help="measured runs of each (default: 5)")
    arguments = parser.parse_args()
    import_tensorflow()

    print(format_machine(describe_machine()))
    kernels = {name: os.environ.get(name) for name in ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA")}
    chosen = " ".join(f"{name}={value}" for name, value in kernels.items() if value)
    print(chosen or "TensorFlow's own choice of kernels")
    for purpose in [arguments.purpose] if arguments.purpose else ("training", "inference"):
        for name in arguments.networks:
            measure(name, purpose, arguments.rounds)


if __name__ == "__main__":
    main()
