"""Draws what an annotation tool wrote into masks, with a dataset.json: Label Studio, CVAT, COCO, labelme.

The images stay where they are. Call it once for each split, with the same --output.
"""

import sys
from functools import partial

from keras_seg.cli.quiet import import_tensorflow
from keras_seg.errors import InputError

EXAMPLES = (
    "python -m keras_seg convert annotations.json --images photographs --output dataset --split train",
)


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="JSON file of Label Studio, COCO or labelme, folder of labelme's, XML or archive of CVAT",
    )
    parser.add_argument("--output", metavar="FOLDER", required=True, help="data folder to write")
    parser.add_argument("--images", metavar="FOLDER", help="folder of the images (default: beside SOURCE)")
    parser.add_argument(
        "--classes", metavar="NAME", nargs="+", help="class names in id order, the background first"
    )
    parser.add_argument(
        "--run", dest="run_folder", metavar="RUN", help="take the classes of this run instead"
    )
    parser.add_argument(
        "--unlabeled",
        metavar="background|ignore",
        help="what pixels are that nobody labeled: class 0, or 255 (default: background; ignore with --run "
        "where its class 0 is no background)",
    )
    parser.add_argument(
        "--split", metavar="train|val|test", default="train", help="split to write (default: train)"
    )


def run(arguments):
    """Converts."""
    import_tensorflow()
    from tqdm import tqdm

    from keras_seg.data.annotation.conversion import convert
    from keras_seg.data.annotation.shapes import BACKGROUNDS

    classes, unlabeled = arguments.classes, arguments.unlabeled
    if arguments.run_folder:
        from keras_seg.runs import Run

        if classes:
            raise InputError("--run and --classes both name the classes; drop one of them")
        classes = Run.open(arguments.run_folder).classes
        unlabeled = unlabeled or ("background" if classes[0] in BACKGROUNDS else "ignore")
    count = convert(
        arguments.source,
        arguments.output,
        images=arguments.images,
        classes=classes,
        split=arguments.split,
        unlabeled=unlabeled or "background",
        note=lambda line: print(f"note: {line}", file=sys.stderr),
        progress=partial(tqdm, unit="image", desc="convert"),
    )
    print(f"{count} masks written to {arguments.output}")
