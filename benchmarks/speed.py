"""Training and prediction against PyTorch, plain Keras, onnxruntime and OpenCV, in turn in one run.

    python benchmarks/speed.py [CASE ...] [--precision float32|bfloat16 ...] [--rounds N] [--json FILE]

Every contender works in a process of its own and waits while another is measured (A B A B), after two runs
that do not count; those of a case and precision stay in memory together, which takes up to 15 GB. What the
machine gives at best (matrix products, a copy of memory) is measured in turn with them. Prints medians, the
slowest and fastest, ratios to keras_seg in the same precision, the share of the float32 matrix product's
speed, and peak memory.
"""

import argparse
import itertools
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from keras_seg.benchmark.flags import figures_file, positive
from keras_seg.benchmark.machine import LIMITS, describe_machine
from keras_seg.benchmark.report import format_machine, format_table, summarize, write_figures
from keras_seg.benchmark.workers import Contender, measure_in_turn
from keras_seg.cli.quiet import quiet_start

with quiet_start():
    from keras_seg.benchmark.operations import operations
    from keras_seg.benchmark.steps import our_contender

PRECISIONS = ("float32", "bfloat16")
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


def contenders(case, precision):
    """Lists the `Contender`s of a case in a precision of `PRECISIONS`; ours is the first."""
    settings = {"network": case.network, "size": case.size, "batch_size": case.batch_size}
    kind = "training" if case.is_training else "prediction"
    is_bfloat16 = precision == "bfloat16"
    dtype = {"precision": "mixed_bfloat16" if case.is_training else precision} if is_bfloat16 else {}
    found = [our_contender("keras_seg", case.is_training, **settings, **dtype)]
    if case.network == "fcn8" and (case.is_training or not is_bfloat16):  # What `plain_keras` writes.
        plain = {"size": case.size, "batch_size": case.batch_size, **dtype}
        found.append(Contender("plain Keras", f"{KERAS}:{kind}", plain))
    for is_compiled in (False, True):
        options = {**settings, "bfloat16": is_bfloat16, "is_compiled": is_compiled}
        found.append(Contender("PyTorch compiled" if is_compiled else "PyTorch", f"{TORCH}:{kind}", options))
    if not case.is_training and not is_bfloat16:
        found.append(Contender("onnxruntime", f"{ONNX}:prediction_onnxruntime", settings))
        found.append(Contender("OpenCV DNN", f"{ONNX}:prediction_opencv", settings))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", metavar="CASE", nargs="*", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--rounds", type=positive, default=5, help="measured runs of each (default: 5)")
    parser.add_argument(
        "--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS, help="(default: both)"
    )
    parser.add_argument("--json", metavar="FILE", type=figures_file, help="write all figures there")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.cases if name not in CASES]
    if unknown:
        parser.error(f"unknown case {unknown[0]}; choose of {', '.join(CASES)}")

    machine = describe_machine()
    print(format_machine(machine))
    results = {}
    for name, precision in itertools.product(arguments.cases or CASES, arguments.precision):
        case = CASES[name]
        timings = measure_in_turn(
            [*contenders(case, precision), *LIMITS],
            arguments.rounds,
            lambda line: print(f"  {line}", file=sys.stderr),
        )
        count = operations(case.network, case.size, case.batch_size, is_training=case.is_training)
        kind = f"a training step, batch {case.batch_size}" if case.is_training else "a prediction"
        size = f"{case.size[1]} x {case.size[0]}"
        print(f"\n{name}: {case.network}, {size}, {kind}, {precision}, {count / 1e9:.0f} GFLOP\n")
        results.setdefault(name, {})[precision] = summarize(timings, count)
        print(format_table(results[name][precision]), flush=True)
    write_figures(arguments.json, machine=machine, rounds=arguments.rounds, cases=results)


if __name__ == "__main__":
    main()
