"""Training and prediction against PyTorch, plain Keras, onnxruntime and OpenCV, in turn in one run.

    python benchmarks/speed.py [CASE ...] [--rounds N] [--json FILE]

Every contender works in a process of its own and waits while another is measured (A B A B), after two runs
that do not count. What the machine gives at best (matrix products, a copy of memory) is measured in turn with
them. Prints medians, slowest and fastest, ratios to keras_seg, the share of the matrix product's speed, and
peak memory.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from keras_seg.benchmark.machine import LIMITS, describe_machine
from keras_seg.benchmark.operations import operations
from keras_seg.benchmark.report import figures_file, format_machine, format_table, summarize, write_figures
from keras_seg.benchmark.steps import our_contender
from keras_seg.benchmark.workers import Contender, measure_in_turn

TORCH, KERAS, ONNX = "contenders.pytorch", "contenders.plain_keras", "contenders.onnx_files"


class Case(NamedTuple):
    """A question: a network, the size of its images, and whether it learns or predicts."""

    network: str
    size: tuple
    batch_size: int
    is_training: bool = False


CASES = {
    "train-fcn8": Case("fcn8", (224, 224), 4, is_training=True),
    "train-deeplabv3": Case("deeplabv3_resnet50", (224, 224), 4, is_training=True),
    "train-pspnet": Case("pspnet", (224, 224), 4, is_training=True),
    "predict-fcn8": Case("fcn8", (500, 500), 1),
    "predict-fcn8-caffe": Case("fcn8_caffe", (500, 500), 1),
    "predict-deeplabv3": Case("deeplabv3_resnet50", (500, 500), 1),
    "predict-pspnet": Case("pspnet", (500, 500), 1),
}


def contenders(case):
    """Lists the `Contender`s of a case; ours is the first."""
    settings = {"network": case.network, "size": case.size, "batch_size": case.batch_size}
    kind = "training" if case.is_training else "prediction"
    on_keras = [our_contender("keras_seg, float32", case.is_training, **settings)]
    bfloat16 = {**settings, "precision": "mixed_bfloat16" if case.is_training else "bfloat16"}
    on_keras.append(our_contender("keras_seg, bfloat16", case.is_training, **bfloat16))
    if case.network == "fcn8":  # The one that `plain_keras` writes.
        plain = {"size": case.size, "batch_size": case.batch_size}
        on_keras.append(Contender("plain Keras, float32", f"{KERAS}:{kind}", plain))
        if case.is_training:
            plain = {**plain, "precision": "mixed_bfloat16"}
            on_keras.append(Contender("plain Keras, bfloat16", f"{KERAS}:{kind}", plain))
    found = []
    for is_compiled in (False, True):
        name = "PyTorch compiled" if is_compiled else "PyTorch"
        options = {"is_compiled": is_compiled}
        found.append((f"{name}, float32", f"{TORCH}:{kind}", options))
        found.append((f"{name}, bfloat16", f"{TORCH}:{kind}", {**options, "bfloat16": True}))
    if not case.is_training:
        found.append(("onnxruntime, float32", f"{ONNX}:prediction_onnxruntime", {}))
        found.append(("OpenCV DNN, float32", f"{ONNX}:prediction_opencv", {}))
    return on_keras + [Contender(name, target, {**settings, **options}) for name, target, options in found]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", metavar="CASE", nargs="*", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="measured runs of each (default: 5)")
    parser.add_argument("--only", metavar="TEXT", nargs="+", help="contenders whose names hold one of these")
    parser.add_argument("--json", metavar="FILE", type=figures_file, help="write all figures there")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.cases if name not in CASES]
    if unknown:
        parser.error(f"unknown case {unknown[0]}; choose of {', '.join(CASES)}")

    machine = describe_machine()
    print(format_machine(machine))
    results = {}
    for name in arguments.cases or CASES:
        case = CASES[name]
        wanted = [
            contender
            for contender in contenders(case)
            if not arguments.only or any(text in contender.name for text in arguments.only)
        ]
        timings = measure_in_turn(
            [*wanted, *LIMITS], arguments.rounds, lambda line: print(f"  {line}", file=sys.stderr)
        )
        count = operations(case.network, case.size, case.batch_size, is_training=case.is_training)
        kind = f"a training step, batch {case.batch_size}" if case.is_training else "a prediction"
        print(f"\n{name}: {case.network}, {case.size[1]} x {case.size[0]}, {kind}, {count / 1e9:.0f} GFLOP\n")
        results[name] = summarize(timings, count)
        print(format_table(results[name]))
    write_figures(arguments.json, machine=machine, rounds=arguments.rounds, cases=results)


if __name__ == "__main__":
    main()
