"""Training and prediction of every network against PyTorch, onnxruntime and its own SavedModel, in one run.

    pip install -e '.[onnx,serving]' torch
    python benchmarks/speed.py [CASE ...] [--rounds N] [--also PEER ...] [--json FILE]

A case is `train-NETWORK` (224 x 224 pixels, batches of 4) or `predict-NETWORK` (512 x 512, one image);
without one it is all. onnxruntime runs our own ONNX file, TensorFlow's C++ loader our own SavedModel, and
PyTorch the same network in plain PyTorch, channels last. What is not installed, or fails, is a row that says
so.

Every contender works in a process of its own and waits while another is measured (A B A B), after two runs
that do not count; those of one case are in memory together, which takes up to 15 GB. What the machine gives
at best (matrix products, a copy of memory) is measured in turn with them. Prints medians, the slowest and
fastest, ratios to keras_seg, the share of the float32 matrix product's speed, and peak memory; in the end a
table of all cases with the goals (`goals.py`).

Another kind of processor is had by the environment, which all contenders get, and which is printed:

    TF_ENABLE_ONEDNN_OPTS=0                        TensorFlow's own kernels, as it chooses without AVX-512
    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2

as on a processor with AVX2 alone; nothing holds onnxruntime to that.
"""

import argparse
import itertools
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from goals import OURS, format_goals

from benchmarks.harness.flags import figures_file, positive
from benchmarks.harness.machine import LIMITS, describe_machine
from benchmarks.harness.ours import our_contender
from benchmarks.harness.report import format_machine, format_table, summarize, write_figures
from benchmarks.harness.workers import Contender, measure_in_turn
from keras_seg.cli.quiet import quiet_start

with quiet_start():
    from benchmarks.harness.operations import operations
    from keras_seg.models import MODELS

PRECISIONS = ("float32", "bfloat16")
TORCH, KERAS, RUNTIMES = "contenders.pytorch", "contenders.plain_keras", "contenders.runtimes"
ALSO = ("compiled", "keras", "opencv")  # Contenders that take minutes, or are slow in all that was measured.
SIZES = {True: (224, 224), False: (512, 512)}  # By whether it is training.
BATCH_SIZE = 4  # Of training.


class Case(NamedTuple):
    """A question: a network, the size of its images, and whether it learns or predicts."""

    network: str
    size: tuple
    batch_size: int
    is_training: bool

    @property
    def settings(self):
        """What every contender is told."""
        return {"network": self.network, "size": self.size, "batch_size": self.batch_size}


CASES = {
    f"{verb}-{network}": (network, is_training)
    for network in MODELS
    for verb, is_training in (("train", True), ("predict", False))
}


def contenders(case, precision, also=()):
    """Lists the `Contender`s of a case in a precision of `PRECISIONS`; ours is the first."""
    kind = "training" if case.is_training else "prediction"
    is_bfloat16 = precision == "bfloat16"
    dtype = {"precision": "mixed_bfloat16" if case.is_training else precision} if is_bfloat16 else {}
    found = [our_contender(OURS, case.is_training, **case.settings, **dtype)]
    for is_compiled in (False, True) if "compiled" in also else (False,):
        options = {**case.settings, "bfloat16": is_bfloat16, "is_compiled": is_compiled}
        found.append(Contender("PyTorch compiled" if is_compiled else "PyTorch", f"{TORCH}:{kind}", options))
    if not case.is_training and not is_bfloat16:
        found.append(Contender("onnxruntime", f"{RUNTIMES}:onnxruntime", case.settings))
        found.append(Contender("SavedModel", f"{RUNTIMES}:saved_model", case.settings))
        if "opencv" in also:
            found.append(Contender("OpenCV DNN", f"{RUNTIMES}:opencv", case.settings))
    if "keras" in also and (case.is_training or not is_bfloat16):
        found.append(Contender("plain Keras", f"{KERAS}:{kind}", {**case.settings, **dtype}))
    return found


def main():
    arguments = _arguments()
    machine = describe_machine()
    print(format_machine(machine), flush=True)
    results = {}
    for name, precision in itertools.product(arguments.cases or CASES, arguments.precision):
        case = _case(name, arguments)
        timings = measure_in_turn(
            [*contenders(case, precision, arguments.also), *LIMITS],
            arguments.rounds,
            lambda line: print(f"  {line}", file=sys.stderr),
        )
        count = operations(**case.settings, is_training=case.is_training)
        kind = f"a training step, batch {case.batch_size}" if case.is_training else "a prediction"
        print(f"\n{name}: {case.size[1]} x {case.size[0]}, {kind}, {precision}, {count / 1e9:.0f} GFLOP\n")
        results.setdefault(name, {})[precision] = summarize(timings, count)
        print(format_table(results[name][precision]), flush=True)
        # After each case, as all of them take hours.
        write_figures(arguments.json, machine=machine, rounds=arguments.rounds, cases=results)
    if "float32" in arguments.precision:
        print(f"\n{format_goals(results)}")


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", metavar="CASE", nargs="*", help="train-NETWORK or predict-NETWORK")
    parser.add_argument("--rounds", type=positive, default=5, help="measured runs of each (default: 5)")
    parser.add_argument(
        "--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS[:1], help="(default: float32)"
    )
    parser.add_argument("--also", nargs="+", choices=ALSO, default=(), help="contenders that are left out")
    parser.add_argument("--image-size", metavar=("H", "W"), nargs=2, type=positive, help="of all cases")
    parser.add_argument("--batch-size", metavar="N", type=positive, default=BATCH_SIZE, help="of training")
    parser.add_argument("--json", metavar="FILE", type=figures_file, help="write all figures there")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.cases if name not in CASES]
    if unknown:
        parser.error(f"unknown case {unknown[0]}; choose of {', '.join(CASES)}")
    return arguments


def _case(name, arguments):
    network, is_training = CASES[name]
    size = tuple(arguments.image_size or SIZES[is_training])
    return Case(network, size, arguments.batch_size if is_training else 1, is_training)


if __name__ == "__main__":
    main()
