"""Ranks masks and regions by how surely the network contradicts them, for people to look at again."""

import sys
from functools import partial
from pathlib import Path

from keras_seg.cli.inference_flags import add_inference_flags, predictor_options
from keras_seg.cli.quiet import import_tensorflow
from keras_seg.cli.train_flags import MASK_SETTINGS, add_mask_flags, mask_options
from keras_seg.errors import InputError

EXAMPLES = ("python -m keras_seg review --run runs/unet-photographs --folds 3",)


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument("--run", dest="run_folder", metavar="RUN", required=True, help="run folder")
    parser.add_argument("--data", metavar="FOLDER", help="data folder (default: what the run was trained on)")
    parser.add_argument(
        "--split",
        metavar="train|val|test",
        nargs="+",
        help="splits to judge (default: val; with --folds train and val)",
    )
    parser.add_argument(
        "--folds",
        metavar="N",
        type=int,
        help="train N networks with the run's settings, each of which judges the training images that it "
        "has not learned from",
    )
    parser.add_argument(
        "--limit",
        metavar="N",
        type=int,
        default=100,
        help="images in the page, the regions and the tasks (default: 100)",
    )
    parser.add_argument(
        "--annotations",
        metavar="FORMAT",
        default="label-studio",
        help="of the tasks: label-studio, cvat, cvat-masks, coco, labelme or none (default: label-studio)",
    )
    parser.add_argument(
        "--image-prefix", metavar="ADDRESS", help="before each image's name in Label Studio's tasks"
    )
    parser.add_argument("--output", metavar="FOLDER", help="where to write (default: RUN/review)")
    add_mask_flags(parser, MASK_SETTINGS[:3])  # The run knows the others.
    add_inference_flags(parser)


def run(arguments):
    """Reviews."""
    if arguments.limit < 1:
        raise InputError(f"--limit must be 1 or more, received {arguments.limit}")
    import_tensorflow("training" if arguments.folds is not None else "inference")
    from tqdm import tqdm

    from keras_seg.data.samples import split_name
    from keras_seg.labeling.reviewing import review_run
    from keras_seg.runs import Run

    run = Run.open(arguments.run_folder)
    splits = [split_name(each, "--split") for each in arguments.split or ()]
    summary = review_run(
        run,
        arguments.data,
        splits=list(dict.fromkeys(splits)) or None,
        folds=arguments.folds,
        limit=arguments.limit,
        annotations=None if arguments.annotations == "none" else arguments.annotations,
        image_prefix=arguments.image_prefix,
        output=Path(arguments.output) if arguments.output else run.path / "review",
        progress=partial(tqdm, unit="image", desc="review"),
        report=partial(print, file=sys.stderr),
        meant=mask_options(arguments),
        **predictor_options(arguments),
    )
    for line in summary:
        print(line)
