"""`python -m tests.environments oldest newest wheel`: the package with other versions of what it requires.

`oldest` is the oldest Python that setup.cfg promises with the oldest version of each requirement, extras
included; `newest` the newest Python with what pip takes there. Each runs a part of the tests. `wheel` builds
the sdist and the wheel, installs the wheel without extras, and types what a newcomer types. Exit status 1 if
anything fails, 2 if an environment cannot be made.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from keras_seg.errors import InputError
from tests.environments import bare
from tests.environments.making import PLAIN, find_interpreter, make, versions
from tests.environments.promises import PROJECT, oldest_constraints, pythons, read_options, requirements

# Those that ask most of other packages: decoders, files, training, exports, the client.
TESTS = (
    "tests/layers",
    "tests/losses",
    "tests/metrics",
    "tests/data/test_decode.py",
    "tests/data/test_folders.py",
    "tests/data/test_masks.py",
    "tests/pretrained/test_files.py",
    "tests/models/test_models.py",
    "tests/inference/test_inference.py",
    "tests/evaluation/test_evaluation.py",
    "tests/serving/test_client.py",
    "tests/serving/test_formats.py",
    "tests/training/test_config.py",
    "tests/training/test_objects.py",
    "tests/tools/test_site.py",
    "tests/test_channels.py",
)
NAMES = ("oldest", "newest", "wheel")


def main(argv=None):
    """Makes the environments, runs each, and prints a line for each; returns the exit status."""
    arguments = _parser().parse_args(argv)
    options = read_options()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            done = [_try(name, options, arguments, Path(scratch)) for name in arguments.names]
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    return 0 if all(done) else 1


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m tests.environments", description=__doc__.partition(": ")[2]
    )
    parser.add_argument("names", nargs="+", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--python", metavar="PATH", help="the Python to take instead of the promised one")
    parser.add_argument(
        "--environments", type=Path, metavar="FOLDER", help="where environments are kept; default: nowhere"
    )
    parser.add_argument(
        "--tests",
        nargs="+",
        default=TESTS,
        metavar="PATH",
        help="what pytest runs; default: a part of each room",
    )
    return parser


def _try(name, options, arguments, scratch):
    """Makes one environment and runs it; returns whether all is well."""
    start = time.perf_counter()
    least, most = pythons(options)
    interpreter = arguments.python or find_interpreter(least if name == "oldest" else most)
    folder = (arguments.environments or scratch) / name
    work = scratch / f"{name}-work"
    work.mkdir()
    if name == "wheel":
        _, wheel = built = bare.build(make(folder, interpreter, "setuptools"), work)
        python = make(folder, interpreter, str(wheel))
        failures = _packing(*built) + bare.use(python, work)
    else:
        constraints = oldest_constraints(options) if name == "oldest" else ()
        python = make(folder, interpreter, f"{PROJECT}[test]", constraints)
        failures = _test(python, arguments.tests)
    found = versions(python, requirements(options))
    print(f"{name}: {interpreter}, {', '.join(f'{key} {value}' for key, value in found.items())}")
    seconds = time.perf_counter() - start
    print(f"{name}: {'; '.join(failures) if failures else 'all well'}, {seconds:.0f} s", flush=True)
    return not failures


def _packing(sdist, wheel):
    missing, beyond = bare.left_out(wheel)
    failures = [f"the wheel lacks {path}" for path in missing] + [f"the wheel has {path}" for path in beyond]
    return failures + ([] if bare.holds_license(sdist) else ["the sdist has no license"])


def _test(python, tests):
    command = [python, "-m", "pytest", "-p", "no:cacheprovider", *tests]
    # The tests find the package in the checkout, as everywhere.
    return [] if subprocess.run(command, cwd=PROJECT, env=PLAIN).returncode == 0 else ["a test failed"]


if __name__ == "__main__":
    sys.exit(main())
