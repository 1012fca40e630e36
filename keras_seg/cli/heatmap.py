"""Draws where in images the converted VGG16 classifier sees a class of ImageNet."""

import sys
from pathlib import Path

from keras_seg.cli.quiet import import_tensorflow
from keras_seg.errors import InputError

CLASSES = 1000

EXAMPLES = ("python -m keras_seg heatmap cat.jpg --class 281 --output heatmaps",)


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help="images, folders or globs")
    parser.add_argument("--output", metavar="FOLDER", required=True, help="folder for the images")
    parser.add_argument(
        "--weights", metavar="imagenet|FILE", default="imagenet", help="of VGG16 (default: imagenet)"
    )
    parser.add_argument(
        "--class",
        dest="class_ids",
        metavar="ID",
        type=int,
        nargs="+",
        help="ids of ImageNet's classes, 0 to 999 (default: the most likely one of each image)",
    )


def run(arguments):
    """Draws `STEM-ID.jpg` for each image and class; a bad image is reported and skipped."""
    for class_id in arguments.class_ids or ():
        if not 0 <= class_id < CLASSES:
            raise InputError(f"--class must be from 0 to {CLASSES - 1}, received {class_id}")
    import_tensorflow("inference")
    from keras_seg.files import check_targets, make_folder
    from keras_seg.inference import expand_inputs, read_image, write_image
    from keras_seg.inference.heatmaps import class_maps, draw_heatmap, most_likely
    from keras_seg.inference.images import drawing_path
    from keras_seg.models.classifier import vgg16_classifier
    from keras_seg.pretrained import load_weights, resolve_weights

    paths = expand_inputs(arguments.inputs)
    if arguments.weights in ("auto", "none"):
        raise InputError("--weights must be imagenet or a file: fresh weights see nothing")
    weights, line = resolve_weights("vgg16_classifier", arguments.weights, choices=("imagenet",))
    print(line)
    output = Path(arguments.output)
    class_ids = arguments.class_ids or range(CLASSES)
    check_targets({path: [output / f"{path.stem}-{each}.jpg" for each in class_ids] for path in paths})
    make_folder(output)
    classifier = vgg16_classifier(padding="same")
    print(load_weights(classifier, weights))
    failed = 0
    for path in paths:
        try:
            image = read_image(path)
            maps = class_maps(classifier, image)
        except ValueError as error:
            text = str(error) if str(path) in str(error) else f"{path}: {error}"
            print(f"error: {text}", file=sys.stderr)
            failed += 1
            continue
        for class_id in arguments.class_ids or most_likely(maps):
            picture = draw_heatmap(image, maps[..., class_id])
            target = drawing_path(output / f"{path.stem}-{class_id}", picture)
            write_image(target, picture)
            print(f"{target}: class {class_id}, probability up to {maps[..., class_id].max():.3f}")
    return 2 if failed else 0
