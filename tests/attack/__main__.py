"""`python -m tests.attack`: attacks the package as a stranger would; prints a row for each kind of attack.

Every case follows from the seed and its number. One that fails is saved as a file, and `--again FILE` puts it
once more. Exit status 1 if anything failed.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from keras_seg.cli.quiet import import_tensorflow

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # As the processes that are attacked.
import_tensorflow()

from keras_seg.files import CACHE  # noqa: E402
from tests.attack.attacking import HEADING, Attack  # noqa: E402
from tests.attack.child import Child  # noqa: E402
from tests.attack.kinds import KINDS  # noqa: E402
from tests.attack.place import Place  # noqa: E402
from tests.serving.helpers import running_server  # noqa: E402


def main(argv=None):
    """Prints the table; returns the exit status."""
    arguments = _parser().parse_args(argv)
    names = [arguments.again.name.partition("-")[0]] if arguments.again else arguments.only
    server = running_server() if any(KINDS[name].NEEDS_SERVER for name in names) else None
    with tempfile.TemporaryDirectory() as scratch:
        os.environ[CACHE] = str(Path(scratch, "cache"))  # Nothing of it stays in the home folder.
        place = Place(scratch, *(server[1:] if server else ()), pid=server.process.pid if server else 0)
        with Child(place) as child:
            attack = Attack(place, child, arguments.failures, report=lambda line: print(line, flush=True))
            if arguments.again:
                outcome = attack.again(*names, arguments.again)
                print(f"{arguments.again}: {outcome.outcome} {outcome.line}")
                return int(outcome.outcome == "failed")
            rows = [_run(attack, name, arguments) for name in names]
    print(f"seed {arguments.seed}", HEADING, *rows, sep="\n")
    return int(any(row.failed for row in rows))


def _run(attack, name, arguments):
    count = KINDS[name].COUNT if arguments.count is None else arguments.count
    row = attack.run(name, arguments.seed, range(arguments.first, arguments.first + count))
    attack.child.stop()  # A kind's memory is its own.
    return row


def _parser():
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__.partition(": ")[2])
    parser.add_argument("--seed", type=int, default=0, help="of all cases (default: 0)")
    parser.add_argument("--only", nargs="+", metavar="KIND", default=list(KINDS), choices=list(KINDS),
                        help=f"of {', '.join(KINDS)} (default: all)")  # fmt: skip
    parser.add_argument("--count", type=int, metavar="N", help="cases of each kind (default: thousands)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first (default: 0)")
    parser.add_argument("--again", type=Path, metavar="FILE", help="put the one case of this file")
    parser.add_argument("--failures", type=Path, default=Path("attack-failures"), metavar="FOLDER",
                        help="where cases that fail are saved (default: attack-failures)")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
