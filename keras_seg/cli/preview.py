"""Draws what training sees: augmented images with their masks, as one picture."""

from keras_seg.cli.picture_names import check_picture_name
from keras_seg.cli.quiet import import_tensorflow
from keras_seg.cli.train_flags import add_mask_flags, mask_options
from keras_seg.errors import InputError

_OPTIONS = (
    ("--rotation", "DEGREES", "most degrees to turn"),
    ("--blur", "PIXELS", "most standard deviation of the blur"),
    ("--elastic", "PIXELS", "standard deviation of an elastic deformation (U-Net: 10)"),
    ("--max-class-share", "FRACTION", "most that one class should fill of a crop"),
)
_LAST_SEED = (1 << 31) - 1


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", default="shapes", help="data folder (default: shapes)"
    )
    parser.add_argument(
        "--output", metavar="FILE", default="preview.png", help=".png or .jpg (default: preview.png)"
    )
    parser.add_argument("--count", metavar="N", type=int, default=8, help="number of images (default: 8)")
    parser.add_argument("--image-size", metavar=("H", "W"), nargs=2, type=int, default=(256, 256))
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="(default: 0)")
    add_mask_flags(parser)
    for flag, unit, text in _OPTIONS:
        parser.add_argument(flag, metavar=unit, type=float, help=f"{text} (default: off)")


def run(arguments):
    """Draws."""
    check_picture_name("--output", arguments.output)
    if not 0 <= arguments.seed <= _LAST_SEED:
        raise InputError(f"--seed must be between 0 and {_LAST_SEED}, received {arguments.seed}.")
    import_tensorflow()
    from keras_seg.data.augment import Augmentation
    from keras_seg.data.folders import load_dataset
    from keras_seg.data.preview import draw_preview
    from keras_seg.inference.images import write_image

    names = (flag.removeprefix("--").replace("-", "_") for flag, _, _ in _OPTIONS)
    given = {name: getattr(arguments, name) for name in names}
    options = Augmentation(**{name: value for name, value in given.items() if value is not None})
    dataset = load_dataset(arguments.folder, seed=arguments.seed, **mask_options(arguments))
    picture = draw_preview(dataset, tuple(arguments.image_size), arguments.count, arguments.seed, options)
    write_image(arguments.output, picture)
    print(f"written to {arguments.output}")
