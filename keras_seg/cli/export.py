"""Exports a run: a SavedModel for TensorFlow Serving, ONNX or LiteRT."""

from pathlib import Path

from keras_seg.cli.quiet import import_tensorflow
from keras_seg.errors import InputError

FORMATS, PRECISIONS = ("saved_model", "onnx", "litert"), ("float", "dynamic", "int8")
LIMITS = ("max_pixels", "max_tiled_pixels", "tile")


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument("--run", dest="run_folder", metavar="RUN", required=True, help="run folder")
    parser.add_argument("--format", choices=FORMATS, default="saved_model", help="(default: saved_model)")
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        help="version folder to write, its name a number (default: the next one of RUN/export); onnx, "
        "litert: folder to write into (default: RUN/export)",
    )
    parser.add_argument("--name", help="the model's name at the server (default: the network's)")
    parser.add_argument(
        "--warm-up", nargs=2, type=int, action="append", default=[], metavar=("H", "W"),
        help="have the server try every signature at this size before it serves; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--fixed-size", nargs=2, type=int, metavar=("H", "W"),
        help="hold requests of arrays to one size, as the server's batching needs; litert: the image's size "
        "(default: that of the training)",
    )  # fmt: skip
    parser.add_argument("--max-pixels", type=int, metavar="N", help="of a picture or request (default: 2^25)")
    parser.add_argument(
        "--max-tiled-pixels", type=int, metavar="N", help="of a picture for `tiled` (default: 2^27)"
    )
    parser.add_argument("--tile", type=int, metavar="N", help="side of the tiles of `tiled` (default: 512)")
    parser.add_argument(
        "--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS, help="litert: which files to write"
    )
    parser.add_argument(
        "--images", nargs="+", metavar="INPUT",
        help="onnx and litert: pictures to check and calibrate with (default: the run's data)",
    )  # fmt: skip


def run(arguments):
    """Exports."""
    limits = {name: value for name in LIMITS if (value := getattr(arguments, name)) is not None}
    for name, value in limits.items():
        _check(f"--{name.replace('_', '-')}", [value])
    for size in [*arguments.warm_up, arguments.fixed_size or [1]]:
        _check("--fixed-size" if size is arguments.fixed_size else "--warm-up", size)
    import_tensorflow()
    from keras_seg.runs import Run

    run = Run.open(arguments.run_folder)
    if arguments.format != "saved_model":
        return _export_other(run, arguments)
    from keras_seg.serving import export_saved_model, next_version

    folder = Path(arguments.output) if arguments.output else next_version(run.export_path)
    export_saved_model(
        run.load_model(),
        folder,
        classes=run.classes,
        colors=run.colors,
        name=arguments.name,
        warm_up=arguments.warm_up,
        image_size=arguments.fixed_size,
        **limits,
    )
    print(f"written to {folder}")


def _export_other(run, arguments):
    from keras_seg.serving.formats import export_litert, export_onnx, named_images

    folder = arguments.output or run.export_path
    images = named_images(arguments.images) if arguments.images else None
    if arguments.format == "onnx":
        found = export_onnx(run, folder, images)
    else:
        found = export_litert(run, folder, arguments.fixed_size, arguments.precision, images)
    for path, certificate in found:
        print(f"written to {path}\n{certificate}")


def _check(flag, values):
    if min(values) < 1:
        raise InputError(f"{flag} must be 1 or more, received {' '.join(map(str, values))}")
