"""Times a training step and a prediction of a network, beside what this machine gives at best.

python benchmarks/this_machine.py [--model NAME] [--image-size H W] [--batch-size N] [--json FILE]
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.harness.flags import figures_file, network, positive
from benchmarks.harness.report import format_machine, format_table, summarize, write_figures
from benchmarks.harness.workers import measure_in_turn
from keras_seg.cli.quiet import import_tensorflow


def parse(argv=None):
    """Reads the flags."""
    import_tensorflow()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model", metavar="NAME", type=network, default="fcn8", help="network (default: fcn8)"
    )
    parser.add_argument(
        "--image-size",
        metavar=("H", "W"),
        nargs=2,
        type=positive,
        default=(224, 224),
        help="(default: 224 224)",
    )
    parser.add_argument(
        "--batch-size", metavar="N", type=positive, default=4, help="of training (default: 4)"
    )
    parser.add_argument(
        "--classes", metavar="N", type=positive, default=21, help="channels of the logits (default: 21)"
    )
    parser.add_argument(
        "--precision",
        metavar="float32|mixed_bfloat16|mixed_float16",
        default="float32",
        help="of training (default: float32)",
    )
    parser.add_argument("--rounds", metavar="N", type=positive, default=5, help="measured runs (default: 5)")
    parser.add_argument("--json", metavar="FILE", type=figures_file, help="write all figures there")
    return parser.parse_args(argv)


def main(argv=None):
    """Measures, prints the table and writes the figures."""
    arguments = parse(argv)
    from benchmarks.harness.machine import LIMITS, describe_machine
    from benchmarks.harness.operations import operations
    from benchmarks.harness.ours import our_contender

    machine = describe_machine()
    print(format_machine(machine))
    settings = {"network": arguments.model, "size": arguments.image_size, "num_classes": arguments.classes}
    results = {}
    for is_training in (True, False):
        kind, batch_size = ("training", arguments.batch_size) if is_training else ("prediction", 1)
        options = {**settings, "batch_size": batch_size}
        precision = {"precision": arguments.precision} if is_training else {}
        contender = our_contender(arguments.model, is_training, **options, **precision)
        timings = measure_in_turn([contender, *LIMITS], arguments.rounds, _to_standard_error)
        if timings[0].skipped:
            sys.exit(f"error: {kind} of {arguments.model} failed: {timings[0].skipped}")
        count = operations(**options, is_training=is_training)
        results[kind] = summarize(timings, count)
        height, width = arguments.image_size
        print(f"\n{kind}: {width} x {height} pixels, batch of {batch_size}, {count / 1e9:.1f} GFLOP a step\n")
        print(format_table(results[kind]))
    write_figures(arguments.json, machine=machine, settings=_settings(arguments), results=results)


def _settings(arguments):
    """The flags as JSON can hold them."""
    names = ("model", "image_size", "batch_size", "classes", "precision", "rounds")
    return {name: getattr(arguments, name) for name in names}


def _to_standard_error(line):
    print(f"  {line}", file=sys.stderr)


if __name__ == "__main__":
    main()
