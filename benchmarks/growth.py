"""How time and memory grow with the side of an image and with the batch, drawn as a plot.

    python benchmarks/growth.py [--network NAME] [--sides N ...] [--batches N ...] [--output PICTURE]

keras_seg and, where it is installed, PyTorch predict square images of growing sides one by one, and batches
of 224 x 224 pixels are learned and predicted; each point in processes of its own, in turn.
"""

import argparse
import sys
from pathlib import Path

import matplotlib as mpl

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.harness.flags import figures_file, network, positive
from benchmarks.harness.machine import describe_machine
from benchmarks.harness.report import format_machine, summarize, write_figures
from benchmarks.harness.workers import Contender, measure_in_turn
from keras_seg.cli.quiet import quiet_start

with quiet_start():
    from benchmarks.harness.operations import operations
    from benchmarks.harness.ours import our_contender

SIDES, BATCHES, SIDE = (64, 128, 256, 512, 1024, 2048), (1, 2, 4, 8, 16, 32), 224
NAMES = ("keras_seg", "PyTorch")
COLORS = {"keras_seg": "#1b6ca8", "PyTorch": "#c8553d"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", metavar="NAME", type=network, default="fcn8", help="(default: fcn8)")
    parser.add_argument("--sides", metavar="N", type=positive, nargs="+", default=SIDES, help="in pixels")
    parser.add_argument("--batches", metavar="N", type=positive, nargs="+", default=BATCHES)
    parser.add_argument("--rounds", metavar="N", type=positive, default=3, help="(default: 3)")
    parser.add_argument(
        "--output", metavar="PICTURE", type=figures_file, default="growth.png", help="(default: growth.png)"
    )
    parser.add_argument("--json", metavar="FILE", type=figures_file, help="write all figures there")
    arguments = parser.parse_args()
    machine = describe_machine()
    print(format_machine(machine))
    series = {
        "prediction, one image": [(side, side, 1, False) for side in arguments.sides],
        f"prediction, {SIDE} x {SIDE}": [(batch, SIDE, batch, False) for batch in arguments.batches],
        f"training step, {SIDE} x {SIDE}": [(batch, SIDE, batch, True) for batch in arguments.batches],
    }
    figures = {}
    for title, points in series.items():
        figures[title] = {name: [] for name in NAMES}
        print(f"\n| {title} | contender | seconds | peak MiB |\n| ---: | --- | ---: | ---: |")
        for place, side, batch_size, is_training in points:
            for name, row in _measure(arguments, side, batch_size, is_training).items():
                if "skipped" in row:
                    print(f"| {place} | {name} | skipped: {row['skipped']} | |")
                    continue
                figures[title][name].append((place, row["seconds"], row["peak_mib"]))
                print(f"| {place} | {name} | {row['seconds']:.3f} | {row['peak_mib']:.0f} |", flush=True)
    _draw(arguments.network, figures, arguments.output)
    write_figures(arguments.json, machine=machine, network=arguments.network, figures=figures)


def _measure(arguments, side, batch_size, is_training):
    settings = {"network": arguments.network, "size": (side, side), "batch_size": batch_size}
    kind = "training" if is_training else "prediction"
    contenders = [
        our_contender(NAMES[0], is_training, **settings),
        Contender(NAMES[1], f"contenders.pytorch:{kind}", settings),
    ]
    timings = measure_in_turn(contenders, arguments.rounds)
    rows = summarize(timings, operations(**settings, is_training=is_training))
    return dict(zip(NAMES, rows, strict=True))


def _draw(network, figures, path):
    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import LogLocator

    figure, axes = plt.subplots(2, len(figures), figsize=(4 * len(figures), 6), sharex="col", squeeze=False)
    for column, (title, found) in zip(axes.T, figures.items(), strict=True):
        for name, points in found.items():
            for axis, place in zip(column, (1, 2), strict=True):
                if points:
                    values = [point[place] for point in points]
                    axis.plot([point[0] for point in points], values, "o-", label=name, color=COLORS[name])
        places = sorted({point[0] for points in found.values() for point in points})
        for axis in column:
            axis.set_xscale("log", base=2)
            axis.set_xticks(places, places)
            axis.grid(visible=True, which="both", alpha=0.25)
        column[0].set_yscale("log")
        column[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        column[0].yaxis.set_major_formatter("{x:g}")
        column[0].yaxis.set_minor_formatter("")
        column[1].set_ylim(0, 1.1 * column[1].get_ylim()[1])
        column[0].set_title(f"{network}: {title}", fontsize=10)
        column[1].set_xlabel("side in pixels" if "one image" in title else "images a batch")
    axes[0][0].set_ylabel("seconds")
    axes[1][0].set_ylabel("peak memory in MiB")
    axes[0][0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
