"""`python -m tests.runtimes VERSION ...`: exports of this environment in other versions of TensorFlow.

Exit status 1 if anything differs, 2 if a version cannot be installed.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from keras_seg.cli.quiet import import_tensorflow

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # As the servers that are asked.
import_tensorflow()

from keras_seg.errors import InputError  # noqa: E402
from keras_seg.models import MODELS  # noqa: E402
from tests.models.helpers import free  # noqa: E402
from tests.runtimes.comparing import compare, requests  # noqa: E402
from tests.runtimes.environments import find_python  # noqa: E402
from tests.runtimes.networks import REFUSED, REQUESTS, export  # noqa: E402
from tests.runtimes.running import NotLoadedError, ask  # noqa: E402

ROW = "{:20} {:8} {:>10} {:>8} {:>5} {:>8} {:>11} {:>5} {:>6}"


def main(argv=None):
    """Prints a row for each network and version; returns 0 if all answer alike, 1 if not, 2 for wrong use."""
    arguments = _parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            folder = arguments.environments or Path(scratch, "environments")
            pythons = [find_python(version, folder) for version in arguments.versions]
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        print(
            ROW.format("network", "version", "signatures", "logits", "ties", "WebP", "refused", "died", "s")
        )
        failures = sum(_report(name, pythons, arguments.full, Path(scratch)) for name in arguments.networks)
    print("all alike" if not failures else f"{failures} of {len(arguments.networks) * len(pythons)} differ")
    return 1 if failures else 0


def _parser():
    parser = argparse.ArgumentParser(prog="python -m tests.runtimes", description=__doc__.partition(": ")[2])
    parser.add_argument(
        "versions",
        nargs="+",
        metavar="VERSION",
        help="of tensorflow-cpu, such as 2.19, installed into an environment of its own; or the path of a "
        "Python that has TensorFlow",
    )
    parser.add_argument(
        "--networks", nargs="+", choices=MODELS, default=list(MODELS), metavar="NAME", help="default: all"
    )
    parser.add_argument("--full", action="store_true", help="networks of full width; default: few channels")
    parser.add_argument(
        "--environments",
        type=Path,
        metavar="FOLDER",
        help="where environments are kept for the next time; default: nowhere",
    )
    return parser


def _report(name, pythons, full, scratch):
    """Prints a network's row for each interpreter; returns how many differ."""
    # A folder of its own, which is gone before the next network is exported.
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        expected = export(name, Path(folder, "1"), full=full)
        free()
        return sum(not _report_version(name, python, Path(folder, "1"), expected) for python in pythons)


def _report_version(name, python, folder, expected):
    """Prints one row, and under it what is wrong; returns whether nothing is."""
    start = time.perf_counter()
    try:
        version, answers = ask(python, folder, requests())
    except NotLoadedError as error:
        print(f"{name:20} {python} does not load it: {error}", flush=True)
        return False
    result = compare(expected, version, answers)
    print(
        ROW.format(
            name,
            version,
            f"{result.equal} of {len(REQUESTS)}",
            f"{result.error:.1e}",
            result.ties,
            "read" if result.webp else "refused",
            f"{result.refused} of {len(REFUSED)}",
            result.died,
            f"{time.perf_counter() - start:.1f}",
        )
    )
    for what, problem in result.problems.items():
        print(f"    {what}: {problem}")
    sys.stdout.flush()
    return not result.problems


if __name__ == "__main__":
    sys.exit(main())
