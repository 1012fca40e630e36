"""Labels every pixel of images: PNG masks of class ids, at each image's own size and orientation."""

import sys
from functools import partial
from pathlib import Path

from keras_seg.cli.quiet import import_tensorflow


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help="images, folders or globs")
    parser.add_argument("--run", dest="run_folder", metavar="RUN", required=True, help="run folder")
    parser.add_argument("--output", metavar="FOLDER", required=True, help="folder for the masks")
    parser.add_argument("--overlay", action="store_true", help="also write the classes drawn over the image")
    parser.add_argument(
        "--confidence", action="store_true", help="also write each pixel's confidence as a grey PNG"
    )


def run(arguments):
    """Predicts; one bad image is reported and the rest are done."""
    import_tensorflow()
    from tqdm import tqdm

    from keras_seg.files import make_folder
    from keras_seg.inference import Predictor, expand_inputs, predict_files
    from keras_seg.runs import Run

    run = Run.open(arguments.run_folder)
    paths = expand_inputs(arguments.inputs)
    output = make_folder(Path(arguments.output))
    summary = predict_files(
        Predictor(run),
        paths,
        output,
        overlay=arguments.overlay,
        confidence=arguments.confidence,
        progress=partial(tqdm, unit="image", desc="predict"),
    )
    for line in summary.failed:
        print(f"error: {line}", file=sys.stderr)
    print(f"{summary.done} of {len(paths)} images labeled in {output}")
    return 2 if summary.failed else 0
