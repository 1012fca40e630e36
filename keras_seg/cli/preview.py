"""Draws what training sees: augmented images with their masks, as one picture.

The flags are those of `train.py`, with the same defaults; --run takes the settings and the data of a run.
"""

import argparse

from keras_seg.cli.picture_names import check_picture_name
from keras_seg.cli.quiet import import_tensorflow
from keras_seg.cli.train_flags import GROUPS, PAIRS, add_mask_flags
from keras_seg.errors import InputError

OF_TRAINING = {
    "network and data": ("--model",),
    "recipe (docs/training.md)": ("--recipe", "--image-size"),
    "augmentation": tuple(GROUPS["augmentation"]),
    "run": ("--seed",),
}
OWN = ("run", "run_folder", "folder", "output", "count")


def add_arguments(parser):
    """Adds the flags; those of training that are left out keep the defaults of `TrainConfig`."""
    parser.add_argument("folder", metavar="FOLDER", nargs="?", help="data folder (default: shapes)")
    parser.add_argument("--run", dest="run_folder", metavar="RUN", help="draw what this run is trained on")
    parser.add_argument(
        "--output", metavar="FILE", default="preview.png", help=".png or .jpg (default: preview.png)"
    )
    parser.add_argument("--count", metavar="N", type=int, default=8, help="number of images (default: 8)")
    add_mask_flags(parser)
    for title, flags in OF_TRAINING.items():
        for flag in flags:
            parser.add_argument(flag, default=argparse.SUPPRESS, **GROUPS[title][flag])


def run(arguments):
    """Draws."""
    check_picture_name("--output", arguments.output)
    settings = {name: value for name, value in vars(arguments).items() if name not in OWN}
    if arguments.run_folder and (settings or arguments.folder):
        given = f"--{next(iter(settings)).replace('_', '-')}" if settings else arguments.folder
        raise InputError(f"--run takes the settings and the data of the run; drop it or {given}")
    import_tensorflow()
    from keras_seg.data.preview import draw_preview
    from keras_seg.inference.images import write_image
    from keras_seg.training import TrainConfig
    from keras_seg.training.run_state.resume import recorded_config
    from keras_seg.training.trainer import load_data

    if arguments.run_folder:
        config = recorded_config(arguments.run_folder)
    else:
        settings |= {name: tuple(settings[name]) for name in PAIRS if name in settings}
        config = TrainConfig(data=arguments.folder, **settings)
    picture = draw_preview(
        load_data(config), config.image_size, arguments.count, config.seed, config.augmentation
    )
    write_image(arguments.output, picture)
    print(f"written to {arguments.output}")
