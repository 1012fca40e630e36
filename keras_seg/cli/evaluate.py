"""Evaluates a run on a data set: the four figures of FCN and a table of classes."""

from functools import partial
from pathlib import Path

from keras_seg.cli.quiet import import_tensorflow


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument("--run", dest="run_folder", metavar="RUN", required=True, help="run folder")
    parser.add_argument("--data", metavar="FOLDER", help="data folder (default: what the run was trained on)")
    parser.add_argument("--split", metavar="NAME", default="val", help="split to evaluate (default: val)")
    parser.add_argument("--ignore-label", metavar="VALUE", type=int, help="mask value that is ignored")
    parser.add_argument(
        "--output", metavar="FILE", help="where to write the figures (default: RUN/metrics.json)"
    )


def run(arguments):
    """Evaluates, prints the table and writes `metrics.json`."""
    import_tensorflow()
    from tqdm import tqdm

    from keras_seg.evaluation import evaluate_run, format_table, write_metrics
    from keras_seg.runs import Run

    progress = partial(tqdm, unit="batch", desc="evaluate")
    run = Run.open(arguments.run_folder)
    metrics = evaluate_run(run, arguments.data, arguments.split, arguments.ignore_label, progress)
    print(format_table(metrics))
    path = Path(arguments.output) if arguments.output else run.path / "metrics.json"
    write_metrics(path, metrics)
    print(f"written to {path}")
