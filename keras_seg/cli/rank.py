"""Orders unlabeled images by what they would teach the network, for people to label next."""

import sys
from functools import partial
from pathlib import Path

from keras_seg.cli.inference_flags import bytes_of
from keras_seg.cli.quiet import import_tensorflow
from keras_seg.errors import InputError

EXAMPLES = ("python -m keras_seg rank holiday --run runs/unet-photographs --count 40",)


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument("inputs", metavar="IMAGES", nargs="+", help="images, folders or patterns")
    parser.add_argument("--run", dest="run_folder", metavar="RUN", required=True, help="run folder")
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        help="for ranking.csv, contact_sheet.png and annotations/ (default: RUN/rank)",
    )
    parser.add_argument(
        "--count", metavar="N", type=int, default=20, help="images to label next (default: 20)"
    )
    parser.add_argument(
        "--by",
        metavar="entropy|margin|disagreement",
        default="entropy",
        help="how unsure the network is of an image; disagreement is between its views (default: entropy)",
    )
    parser.add_argument(
        "--clusters",
        metavar="N",
        type=int,
        help="groups of like images, of which each gives one image in turn; 1 for none (default: --count)",
    )
    parser.add_argument(
        "--scales", metavar="X", nargs="+", type=float, default=[], help="more views, at these sizes"
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
    parser.add_argument(
        "--memory", metavar="GB", type=float, help="for one image, with program and weights (default: 8)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the clusters (default: 0)")


def run(arguments):
    """Ranks."""
    if arguments.count < 1:
        raise InputError(f"--count must be 1 or more, received {arguments.count}")
    if not all(0 < scale <= 8 for scale in arguments.scales):
        raise InputError(f"--scales must be above 0 and at most 8, received {arguments.scales}")
    if arguments.seed < 0:
        raise InputError(f"--seed must be 0 or more, received {arguments.seed}")
    options = {} if arguments.memory is None else {"memory": bytes_of(arguments.memory)}
    import_tensorflow("inference")
    from tqdm import tqdm

    from keras_seg.inference import expand_inputs
    from keras_seg.labeling.ranking import rank_images, write_ranking
    from keras_seg.labeling.tasks import check_format
    from keras_seg.runs import Run

    annotations = None if arguments.annotations == "none" else arguments.annotations
    if annotations:
        check_format(annotations)
    run = Run.open(arguments.run_folder)
    paths = expand_inputs(arguments.inputs)
    predictor = run.predictor(**options)
    output = Path(arguments.output) if arguments.output else run.path / "rank"
    candidates, failed = rank_images(
        predictor,
        paths,
        by=arguments.by,
        clusters=arguments.count if arguments.clusters is None else arguments.clusters,
        scales=tuple(arguments.scales),
        seed=arguments.seed,
        progress=partial(tqdm, unit="image", desc="rank"),
    )
    for line in failed:
        print(f"error: {line}", file=sys.stderr)
    write_ranking(
        predictor,
        candidates,
        output,
        count=arguments.count,
        annotations=annotations,
        image_prefix=arguments.image_prefix,
    )
    for number, each in enumerate(candidates[: min(arguments.count, 5)], start=1):
        print(f"{number}. {each.path}  {arguments.by} {getattr(each.uncertainty, arguments.by):.3f}")
    print(f"{len(candidates)} of {len(paths)} images ranked in {output}")
    return 2 if failed else 0
