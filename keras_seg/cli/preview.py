"""Draws what training sees: augmented images with their masks, as one image.

The flags are those of `train.py`, with the same defaults; --run takes the settings and the data of a run.
"""

from keras_seg.cli.picture_names import check_picture_name
from keras_seg.cli.quiet import import_tensorflow
from keras_seg.cli.train_flags import MASK_SETTINGS, add_some_flags, flag_of, given_settings
from keras_seg.errors import InputError
from keras_seg.settings import settings_of
from keras_seg.training.settings.subjects import AugmentationSettings

SEEDS = ("seed", "val_seed", "val_fraction")
OF_TRAINING = (*MASK_SETTINGS, "model", "recipe", "image_size", *settings_of(AugmentationSettings), *SEEDS)

EXAMPLES = ("python -m keras_seg preview photographs --rotation 15 --output preview.png",)


def add_arguments(parser):
    """Adds the flags; those of training that are left out keep the defaults of `TrainConfig`."""
    parser.add_argument("folder", metavar="FOLDER", nargs="?", help="data folder (default: shapes)")
    parser.add_argument("--run", dest="run_folder", metavar="RUN", help="draw what this run is trained on")
    parser.add_argument(
        "--output", metavar="FILE", default="preview.png", help=".png or .jpg (default: preview.png)"
    )
    parser.add_argument("--count", metavar="N", type=int, default=8, help="number of images (default: 8)")
    add_some_flags(parser, OF_TRAINING)


def run(arguments):
    """Draws."""
    check_picture_name("--output", arguments.output)
    settings = given_settings(arguments)
    settings.pop("output")  # Of the image.
    if arguments.run_folder and (settings or arguments.folder):
        given = flag_of(next(iter(settings))) if settings else arguments.folder
        raise InputError(f"--run takes the settings and the data of the run; drop it or {given}")
    import_tensorflow()
    from keras_seg.data.folders.dataset import dataset_of_settings
    from keras_seg.data.preview import draw_preview
    from keras_seg.inference.images import write_image
    from keras_seg.runs import Run
    from keras_seg.training import TrainConfig
    from keras_seg.training.run_state.resume import recorded_config

    if arguments.run_folder:
        config = recorded_config(arguments.run_folder)
        dataset = Run.open(arguments.run_folder).dataset()
    else:
        config = TrainConfig(data=arguments.folder, **settings).resolve()
        dataset = dataset_of_settings(config.settings())
    if "augment" in config.objects:
        raise InputError(
            f"{arguments.run_folder}: was augmented by a function, which no file holds; name a folder"
        )
    size, seed = config.image_size, config.seed
    image = draw_preview(dataset, size, arguments.count, seed, config.augmentation)
    write_image(arguments.output, image)
    print(f"written to {arguments.output}")
