"""`python -m tests.parity [FOLDER]`: every network against its reference; exit status 1 if one differs."""

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's remarks would stand between the rows.

from keras_seg.errors import InputError
from tests.parity import FIXTURES, LIMIT, PUBLISHED, compare_and_free, find_fixtures, network_of


def main():
    """Prints a row for each fixture of a folder."""
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__.partition(": ")[2])
    parser.add_argument("folder", nargs="?", default=FIXTURES, help="default: tests/parity/fixtures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the errors of those that pass there")
    arguments = parser.parse_args()
    try:
        paths = find_fixtures(arguments.folder)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{'fixture':32} {'parameters':>12} {'reference':>12}  {'largest relative error':28} {'s':>5}")
    passed = {path.stem: result for path in paths if (result := _report(path))}
    failures = len(paths) - len(passed)
    # Linux counts in KiB, macOS in bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1 << 30 if sys.platform == "darwin" else 1 << 20
    )
    print(f"{len(paths) - failures} of {len(paths)} pass (limit {LIMIT:g}); peak memory {peak:.1f} GiB")
    if arguments.json:
        _write(passed, arguments.json)
    return 1 if failures else 0


def _write(passed, path):
    """Writes what `docs/reference/networks.md` quotes."""
    answers = {
        name: {
            "network": network_of(name),
            "is_default": not name.endswith(PUBLISHED),
            "parameters": result.parameters[0],
            "errors": {output: float(f"{error:.2g}") for output, error in result.errors.items()},
        }
        for name, result in passed.items()
    }
    path.write_text(json.dumps(answers, indent=2) + "\n")


def _report(path):
    """Prints a fixture's row; returns its result, or None if it did not pass."""
    start = time.perf_counter()
    try:
        result = compare_and_free(path)
    except Exception as error:  # Whatever it is, the other networks are still compared.
        print(f"{path.stem:32} FAIL: {type(error).__name__}: {str(error).splitlines()[0]}", flush=True)
        return None
    ours, theirs = result.parameters
    errors = ", ".join(f"{name} {error:.1e}" for name, error in result.errors.items())
    seconds = time.perf_counter() - start
    verdict = "pass" if result.passed else "FAIL"
    print(f"{path.stem:32} {ours:12,} {theirs:12,}  {errors:28} {seconds:5.1f}  {verdict}", flush=True)
    return result if result.passed else None


if __name__ == "__main__":
    sys.exit(main())
