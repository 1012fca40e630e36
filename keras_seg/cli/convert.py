"""Draws labelme or COCO annotations into masks, with a dataset.json.

The images stay where they are. Call it once for each split, with the same --output.
"""

from functools import partial

from keras_seg.cli.quiet import import_tensorflow


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument("source", metavar="SOURCE", help="COCO JSON file, or folder of labelme JSON files")
    parser.add_argument("--output", metavar="FOLDER", required=True, help="data folder to write")
    parser.add_argument("--images", metavar="FOLDER", help="folder of the images (default: beside the JSON)")
    parser.add_argument(
        "--classes", metavar="NAME", nargs="+", help="class names in id order, the background first"
    )
    parser.add_argument(
        "--split", metavar="train|val|test", default="train", help="split to write (default: train)"
    )


def run(arguments):
    """Converts."""
    import_tensorflow()
    from tqdm import tqdm

    from keras_seg.data.annotation.conversion import convert

    count = convert(
        arguments.source,
        arguments.output,
        images=arguments.images,
        classes=arguments.classes,
        split=arguments.split,
        progress=partial(tqdm, unit="image", desc="convert"),
    )
    print(f"{count} masks written to {arguments.output}")
