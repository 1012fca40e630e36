"""A review from a run to its files: tables, page and tasks."""

from pathlib import Path

from keras_seg.data import check_dataset
from keras_seg.data.samples import Sample
from keras_seg.errors import InputError
from keras_seg.files import make_folder
from keras_seg.labeling.folds import train_folds
from keras_seg.labeling.review import HELD_OUT, TRAINED, Review
from keras_seg.labeling.review_page import ReviewPage
from keras_seg.labeling.tasks import Tasks
from keras_seg.spreadsheets import write_csv

_IMAGE_COLUMNS = ("rank", "image", "mask", "split", "network", "trained_on", "doubt")
_REGION_COLUMNS = (
    "image", "labeled", "suggested", "left", "top", "width", "height", "pixels", "doubt", "trained_on",
)  # fmt: skip


def review_run(
    run,
    data=None,
    *,
    output,
    splits=None,
    folds=None,
    limit=100,
    annotations="label-studio",
    image_prefix=None,
    progress=None,
    report=print,
    meant=None,
    **options,
):
    """Judges the masks of a data set, and writes what to look at again.

    Args:
        run: Run.
        data: data folder or "shapes"; None for what the run was trained on.
        output: folder for images.csv, regions.csv, review.html and annotations/.
        splits: names of the splits to judge; None: val, and with folds train and val.
        folds: number of networks to train on parts of the training images; None for none.
        limit: images in the page, the regions and the tasks.
        annotations: format of the tasks, a key of `FORMATS`; None for no tasks.
        image_prefix: what stands before an image's name in Label Studio's tasks.
        progress: wraps the images and is given their `total`, such as `tqdm.tqdm`.
        report: function that is given each line of a training, and each warning.
        meant: what masks mean, as keyword arguments of `Run.dataset`.
        **options: of `Predictor`.

    Returns:
        Lines that say what was found.

    Raises:
        InputError: the data set is not right or lacks a split, a setting is out of range, or the output
            cannot be written.
    """
    splits = splits or (["train", "val"] if folds else ["val"])
    if folds is not None and "train" not in splits:
        raise InputError(f"--folds judges the train split, and --split is {' '.join(splits)}; drop one")
    output = Path(output)
    needed = splits[0] if len(splits) == 1 and folds is None else None
    dataset = run.dataset(data, split=needed, **(meant or {}))
    samples = [sample for split in splits for sample in dataset.split(split)]
    tasks = None
    if annotations and all(isinstance(sample, Sample) for sample in samples):  # Else nothing can be shown.
        paths = [sample.image for sample in samples]
        tasks = Tasks(annotations, output / "annotations", paths, run.classes, run.colors, image_prefix)
    for line in check_dataset(dataset, splits=splits):
        report(f"warning: {line}")
    trained = None if folds is None else train_folds(run, dataset, folds, output, report)
    make_folder(output / "annotations" if tasks else output)
    review = Review(run, dataset, splits, folds=trained, options=options, progress=progress)
    page, regions = ReviewPage(run.classes, run.colors, limit), []
    for finding in review.findings(limit):
        page.add(finding)
        regions += [(finding.judged, doubt) for doubt in finding.doubts]
        if tasks:
            tasks.add(finding.judged.sample.image, finding.suggested, finding.confidence)
    regions.sort(key=lambda each: (each[0].trained_on == TRAINED, -each[1].score))
    ranks, names = range(1, len(samples) + 1), run.classes
    write_csv(output / "images.csv", [_IMAGE_COLUMNS, *map(_image_row, ranks, review.judged)])
    write_csv(output / "regions.csv", [_REGION_COLUMNS, *(_region_row(names, *each) for each in regions)])
    if tasks:
        tasks.finish()
    title = f"Masks of {dataset.name} that {run.path.resolve().name} doubts"
    page.write(output / "review.html", title, review.judged)
    return list(_summary(review.judged, regions, output, tasks))


def _image_row(rank, judged):
    mask = str(judged.sample.mask) if isinstance(judged.sample, Sample) else ""
    score = round(judged.score, 6)
    return [rank, judged.name, mask, judged.split, judged.network, judged.trained_on, score]


def _region_row(names, judged, doubt):
    labels = names[doubt.labeled], names[doubt.suggested]
    return [judged.name, *labels, *doubt.box, doubt.pixels, round(doubt.score, 3), judged.trained_on]


def _summary(judged, regions, output, tasks):
    for kind, text in (
        (HELD_OUT, "judged by a network that has not trained on them"),
        (TRAINED, "judged by a network that has trained on them and may have learned their faults"),
        ("unknown", "judged by a network of which it is not known whether it has trained on them"),
    ):
        if count := sum(each.trained_on == kind for each in judged):
            yield f"{count} images {text}"
    for each in judged[:5]:
        yield f"  {each.score:8.3f}  {each.name}"
    what = ["images.csv", "regions.csv", "review.html"] + (["annotations"] if tasks else [])
    yield f"{len(regions)} doubtful regions; written to {output}: {', '.join(what)}"
