"""Evaluates runs on a data set: figures with confidence intervals, and a table of classes."""

from functools import partial
from pathlib import Path

from keras_seg.cli.inference_flags import add_inference_flags, predictor_options
from keras_seg.cli.quiet import import_tensorflow
from keras_seg.errors import InputError
from keras_seg.frozen_weights import promise_frozen_weights


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument(
        "--run",
        dest="run_folders",
        metavar="RUN",
        nargs="+",
        required=True,
        help="run folder; several are compared side by side",
    )
    parser.add_argument("--data", metavar="FOLDER", help="data folder (default: what the run was trained on)")
    parser.add_argument("--split", metavar="NAME", default="val", help="split to evaluate (default: val)")
    parser.add_argument("--ignore-label", metavar="VALUE", type=int, help="mask value that is ignored")
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="where to write the figures, as .json, or those of the classes as .csv (default: "
        "RUN/metrics.json)",
    )
    parser.add_argument(
        "--report", action="store_true", help="also write RUN/report.html, a page for the browser"
    )
    add_inference_flags(parser)


def run(arguments):
    """Evaluates, prints the tables and writes the figures."""
    if arguments.output and len(arguments.run_folders) > 1:
        raise InputError("--output is for one run; each run's figures go into its metrics.json")
    promise_frozen_weights()
    import_tensorflow()
    from tqdm import tqdm

    from keras_seg.evaluation import compare, evaluate_run, format_table, write_metrics
    from keras_seg.evaluation.report import Gallery, write_report
    from keras_seg.runs import Run

    options = predictor_options(arguments)
    found = {}
    for run in [Run.open(folder) for folder in arguments.run_folders]:
        gallery = Gallery(run.colors) if arguments.report else None
        metrics = evaluate_run(
            run,
            arguments.data,
            arguments.split,
            arguments.ignore_label,
            partial(tqdm, unit="image", desc=run.path.name),
            gallery,
            **options,
        )
        path = Path(arguments.output) if arguments.output else run.path / "metrics.json"
        write_metrics(path, metrics)
        print(f"{format_table(metrics)}\nwritten to {path}")
        if gallery:
            page = run.path / "report.html"
            title = f"{run.path.name} on {arguments.split}"
            settings = {**run.config, "evaluated on": arguments.data or run.config.get("data") or "shapes"}
            settings |= {"split": arguments.split, **{key: str(value) for key, value in options.items()}}
            write_report(page, title, metrics, gallery.pictures(), run.colors, settings)
            print(f"written to {page}")
        print()
        found[run.path.name] = metrics
    if len(found) > 1:
        print(compare(found))
