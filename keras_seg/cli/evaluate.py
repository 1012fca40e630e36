"""Evaluates runs on a data set: figures with confidence intervals, and a table of classes."""

import itertools
from functools import partial
from pathlib import Path

from keras_seg.cli.batch import add_worker_flags, workers_of
from keras_seg.cli.inference_flags import add_inference_flags, predictor_options
from keras_seg.cli.quiet import import_tensorflow
from keras_seg.cli.train_flags import MASK_SETTINGS, add_mask_flags, mask_options
from keras_seg.errors import InputError
from keras_seg.texts import parse_json, read_text

OUTPUT = "evaluation"  # `metrics.json` is the training's.
REPORT = "report"
SPLIT = "val"
SHAPES = "shapes"

EXAMPLES = (
    "python -m keras_seg evaluate --run runs/unet-photographs --report",
    "python -m keras_seg evaluate --run runs/unet-photographs runs/fcn8-photographs --split test --report",
)


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
    parser.add_argument(
        "--split", metavar="train|val|test", default=SPLIT, help=f"split to evaluate (default: {SPLIT})"
    )
    add_mask_flags(parser, MASK_SETTINGS[:3])  # The run knows the others.
    parser.add_argument(
        "--strict", action="store_true", help="refuse data in which an image is twice, instead of a warning"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="where to write the figures, as .json, or those of the classes as .csv (default: "
        f"RUN/{OUTPUT}.json, with the names of other data and another split in it)",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help=f"also write RUN/{REPORT}.html, a page for the browser; of several runs also a page that "
        "compares the first with each other one, image by image",
    )
    parser.add_argument(
        "--engine",
        metavar="here|ray",
        default="here",
        help="ray: by several workers, as `batch`, with the same figures (default: here)",
    )
    add_worker_flags(parser)
    add_inference_flags(parser)


def run(arguments):
    """Evaluates, prints the tables and writes the figures."""
    if arguments.output and len(arguments.run_folders) > 1:
        raise InputError("--output is for one run; each run's figures go into its folder")
    if arguments.engine not in ("here", "ray"):
        raise InputError(f"--engine must be here or ray, received {arguments.engine}")
    if arguments.engine == "ray" and arguments.report:
        raise InputError("--report shows the images, which --engine ray leaves with the workers; drop one")
    workers = workers_of(arguments)
    import_tensorflow("inference")
    from tqdm import tqdm

    from keras_seg.data.samples import split_name
    from keras_seg.evaluation import compare, evaluate_run, format_table, write_metrics
    from keras_seg.evaluation.report import About, Gallery, write_comparison, write_report
    from keras_seg.files import make_folder
    from keras_seg.runs import Run
    from keras_seg.training.run_state.history import read_history
    from keras_seg.training.run_state.run_folder import HISTORY

    split = split_name(arguments.split, "--split")
    options = predictor_options(arguments)
    runs = {folder: Run.open(folder) for folder in arguments.run_folders}
    _check_comparable(runs, arguments.data)
    meant = mask_options(arguments)
    datasets = {folder: run.dataset(arguments.data, split=split, **meant) for folder, run in runs.items()}
    for line in _differences(datasets, split):
        print(line)
    outputs, pages, galleries = {}, {}, {}
    for folder, run in runs.items():
        suffix = _suffix(run, arguments.data, split)
        default = run.path / f"{OUTPUT}{suffix}.json"
        outputs[folder] = Path(arguments.output) if arguments.output else default
        pages[folder] = run.path / f"{REPORT}{suffix}.html"
    written = {path.parent for path in outputs.values()}
    for folder in written | {run.path for run in runs.values()} if arguments.report else written:
        make_folder(folder)
    found = {}
    for folder, run in runs.items():
        name, path = run.path.resolve().name, outputs[folder]
        count = len(datasets[folder].split(split))
        gallery = Gallery(run.colors, run.classes, count) if arguments.report else None
        metrics = evaluate_run(
            run,
            datasets[folder],
            split,
            progress=partial(tqdm, unit="image", desc=name),
            gallery=gallery,
            strict=arguments.strict,
            report=print,
            engine=_engine(workers) if arguments.engine == "ray" else None,
            **options,
        )
        print(format_table(metrics))
        data = _place(arguments.data or _trained_on(run))
        settings = {"split": split, **{key: str(value) for key, value in options.items()}}
        write_metrics(path, {"data": data, **settings, **metrics})
        print(f"written to {path}")
        if gallery:
            page = pages[folder]
            settings = {**_changed(run), **{key: value for key, value in settings.items() if key != "split"}}
            history = read_history(run.path / HISTORY)
            about = About(
                run.config["model"], folder, Path(data).name, split, history, settings, not run.objects
            )
            write_report(page, about, metrics, gallery, run.colors)
            print(f"written to {page}")
            galleries[folder] = gallery
        print()
        found[folder] = metrics
    if len(found) > 1:
        print(compare(found))
    (first, gallery), *others = galleries.items() or [(None, None)]
    for folder, other in others:
        if other.names != gallery.names:
            print(f"{first} and {folder} were evaluated on other images: there is no page that compares them")
            continue
        page = _comparison(pages[first], runs[folder])
        data = Path(_place(arguments.data or _trained_on(runs[folder]))).name
        pair = first, folder
        titles = [Path(each).resolve().name for each in pair]
        titles = list(pair) if len(set(titles)) == 1 else titles
        write_comparison(
            page,
            titles,
            [found[each] for each in pair],
            [galleries[each] for each in pair],
            runs[first].colors,
            f"{split} of {data}",
        )
        print(f"written to {page}")


def _comparison(page, other):
    """Where the page that compares a run with another one lies: beside the first one's report."""
    return page.with_name(f"{page.stem}-beside-{other.path.resolve().name}.html")


def _changed(run):
    """The settings of a run that differ from the defaults, and the versions that it was trained with."""
    from keras_seg.training.settings.config import changed_settings

    return {**changed_settings(run.config), "versions": run.config.get("versions", {})}


def _suffix(run, data, split):
    """What tells the files of other data or another split from those of the run's own validation images."""
    end = "" if split == SPLIT else f"-{split}"
    if not data or _place(data) == _place(_trained_on(run)):
        return end
    name = f"-{Path(data).resolve().name}"
    for number in itertools.count(1):  # Another folder of that name may have been evaluated before.
        suffix = f"{name}{'' if number == 1 else f'-{number}'}{end}"
        if _evaluated(run.path / f"{OUTPUT}{suffix}.json") in (None, _place(data)):
            return suffix


def _evaluated(path):
    """The data of which a file holds the metrics, None where there is no such file."""
    try:
        return str(parse_json(path, read_text(path)).get("data"))
    except (InputError, AttributeError):
        return None


def _place(data):
    """A data folder, from wherever it is looked at."""
    return data if data == SHAPES else str(Path(data).resolve())


def _differences(datasets, split):
    """Says which runs are measured on other images than the first, as where they set others aside."""
    from keras_seg.evaluation import other_images

    (first, known), *others = datasets.items()
    for folder, dataset in others:
        if names := other_images(dataset, known, split):
            yield (
                f"note: {folder} is evaluated on {len(names)} of {len(dataset.split(split))} images that"
                f" {first} is not, such as {names[0]}; name data with a {split} split by --data, or train"
                " both with the same --val-seed and --val-fraction"
            )


def _check_comparable(runs, data):
    """Makes sure, before the first run is evaluated, that several have the same classes and data."""
    (first, run), *others = runs.items()
    for folder, other in others:
        if other.classes != run.classes:
            raise InputError(
                f"{folder}: has the classes {', '.join(other.classes)}, and {first} has "
                f"{', '.join(run.classes)}; evaluate them one by one"
            )
        if data is None and _trained_on(other) != _trained_on(run):
            raise InputError(
                f"{folder}: was trained on {_trained_on(other)}, and {first} on {_trained_on(run)}; name the "
                "data of both with --data"
            )


def _trained_on(run):
    return run.config.get("data") or SHAPES


def _engine(workers):
    """Returns the engine that counts with Ray workers."""
    # Imported here since it takes an extra.
    from keras_seg.batch import Workers, counts_of_workers

    return partial(counts_of_workers, workers=Workers(**workers))
