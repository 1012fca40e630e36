"""Lists the runs below a folder with their settings and figures, best validation mean IoU first."""

import json
import sys

from keras_seg.cli.run_folders import find_runs
from keras_seg.errors import spelled_out
from keras_seg.texts import aligned

# title -> key of a row, and how its value is written
COLUMNS = (
    ("run", "run", "{}"),
    ("model", "model", "{}"),
    ("data", "data", "{}"),
    ("mean IoU", "mean_iou", "{:.3f}"),
    ("accuracy", "pixel_accuracy", "{:.3f}"),
    ("done", "epochs_done", "{}"),
    ("of epochs", "epochs", "{}"),
    ("loss", "loss", "{}"),
    ("optimizer", "optimizer", "{}"),
    ("rate", "learning_rate", "{}"),
    ("size", "image_size", "{}"),
    ("batch", "batch_size", "{}"),
    ("parameters", "parameters", "{:,}"),
    ("date", "date", "{}"),
)

EXAMPLES = ("python -m keras_seg runs",)


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", default="runs", help="where the runs are (default: runs)"
    )
    parser.add_argument("--json", action="store_true", help="print all that is known as JSON")


def run(arguments):
    """Prints the table; a run that cannot be read is named on standard error."""
    rows, problems = find_runs(arguments.folder)
    for problem in problems:
        print(f"skipped: {spelled_out(problem)}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(rows, indent=2))
    elif rows:
        print(format_table(rows))
    else:
        print(f"no runs below {arguments.folder}; train one with train.py")


def format_table(rows):
    """Returns the text of the table: a heading, and a line for each run."""
    lines = [[title for title, _, _ in COLUMNS]]
    lines += [[_text(row[key], form) for _, key, form in COLUMNS] for row in rows]
    return aligned(lines, numbers=False)


def _text(value, form):
    if value is None:
        return "-"
    # The folder may be somebody else's.
    return spelled_out("x".join(map(str, value)) if isinstance(value, list) else form.format(value))
