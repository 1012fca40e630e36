"""Exports a run: a SavedModel for TensorFlow Serving, ONNX or LiteRT."""

from pathlib import Path

from keras_seg.cli.inference_flags import bytes_of
from keras_seg.cli.quiet import import_tensorflow
from keras_seg.errors import InputError

# format: its precisions, the first of a SavedModel and all of LiteRT's by default.
PRECISIONS = {
    "saved_model": ("float32", "bfloat16"),
    "onnx": ("float32",),
    "litert": ("float", "dynamic", "int8"),
}
LIMITS = ("max_pixels", "max_tiled_pixels", "tile")
# Flags that are not of every format.
FORMATS = {
    **dict.fromkeys(("name", "warm_up", "memory", *LIMITS), ("saved_model",)),
    "fixed_size": ("saved_model", "litert"),
    "threshold": ("saved_model", "onnx"),
    "images": ("onnx", "litert", "saved_model --precision bfloat16"),
}
_MOST = (1 << 31) - 1

EXAMPLES = ("python -m keras_seg export --run runs/unet-photographs --format onnx",)


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument("--run", dest="run_folder", metavar="RUN", required=True, help="run folder")
    parser.add_argument("--format", choices=PRECISIONS, default="saved_model", help="(default: saved_model)")
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
    parser.add_argument(
        "--memory", type=float, metavar="GB",
        help="for one request, with program and weights; larger images go through in tiles (default: 8)",
    )  # fmt: skip
    parser.add_argument("--max-pixels", type=int, metavar="N", help="of an image or request (default: 2^25)")
    parser.add_argument(
        "--max-tiled-pixels", type=int, metavar="N", help="of an image for `tiled` (default: 2^27)"
    )
    parser.add_argument("--tile", type=int, metavar="N", help="side of the tiles of `tiled` (default: 512)")
    parser.add_argument(
        "--threshold", type=float, metavar="X",
        help="probability from which a pixel is foreground, of one class (default: the run's)",
    )  # fmt: skip
    parser.add_argument(
        "--precision", nargs="+", metavar="NAME",
        help="saved_model: float32 or bfloat16 (default: float32); litert: which of float, dynamic and int8 "
        "to write (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--images", nargs="+", metavar="INPUT",
        help="onnx, litert and bfloat16: images to check and calibrate with (default: the run's data)",
    )  # fmt: skip


def run(arguments):
    """Exports."""
    limits = {name: value for name in LIMITS if (value := getattr(arguments, name)) is not None}
    for name, value in limits.items():
        _check(_flag(name), [value])
    if arguments.memory is not None:
        limits["memory"] = bytes_of(arguments.memory)
    for size in [*arguments.warm_up, arguments.fixed_size or [1]]:
        _check("--fixed-size" if size is arguments.fixed_size else "--warm-up", size)
    precisions = _precisions(arguments.format, arguments.precision)
    _check_formats(arguments, precisions)
    import_tensorflow()
    from keras_seg.runs import Run

    run = Run.open(arguments.run_folder)
    if arguments.format == "saved_model":
        found = _export_saved_model(run, arguments, precisions[0], limits)
    else:
        found = _export_other(run, arguments, precisions)
    for path, certificate in found:
        print(f"written to {path}" + (f"\n{certificate}" if certificate else ""))
        if arguments.format == "saved_model":
            print(_in_words(path))


def _export_saved_model(run, arguments, precision, limits):
    from keras_seg.serving import export_saved_model, next_version

    folder = Path(arguments.output) if arguments.output else next_version(run.export_path)
    if not folder.name.isdecimal():
        raise InputError(f"--output {folder}: a version's name is a number; write {folder / '1'}")
    options = {
        "name": arguments.name,
        "warm_up": arguments.warm_up,
        "image_size": arguments.fixed_size,
        "threshold": run.threshold if arguments.threshold is None else arguments.threshold,
        **limits,
    }
    if precision == "bfloat16":
        from keras_seg.serving.formats import export_bfloat16

        return export_bfloat16(run, folder, _images(arguments, run), **options)
    options |= {"classes": run.classes, "colors": run.colors, "depth": run.images.depth}
    export_saved_model(run.load_model(), folder, **options)
    return [(folder, None)]


def _in_words(folder):
    from keras_seg.serving.export import read_limits

    found = read_limits(folder)
    whole, most, tiled = (found[name] / 1e6 for name in ("pixels_at_once", "max_pixels", "max_tiled_pixels"))
    return (
        f"images up to {whole:.1f} megapixels go through the network whole, larger ones up to {most:.1f} in "
        f"bands or tiles of that size (`tiled`: up to {tiled:.1f}); a request takes "
        f"{found['memory_bytes'] / 1e9:g} GB at most"
    )


def _export_other(run, arguments, precisions):
    from keras_seg.serving.formats import export_litert, export_onnx

    folder, images = arguments.output or run.export_path, _images(arguments, run)
    if arguments.format == "onnx":
        return export_onnx(run, folder, images, arguments.threshold)
    return export_litert(run, folder, arguments.fixed_size, precisions, images)


def _images(arguments, run):
    from keras_seg.serving.formats import named_images

    return named_images(arguments.images, run.images) if arguments.images else None


def _precisions(file_format, named):
    known = PRECISIONS[file_format]
    most = len(known) if file_format == "litert" else 1
    named = named or known[:most]
    if len(named) > most or not set(named) <= set(known):
        raise InputError(
            f"--precision of {file_format} must be {'some' if most > 1 else 'one'} of {', '.join(known)}, "
            f"received {' '.join(named)}"
        )
    return named


def _check_formats(arguments, precisions):
    """Refuses flags that the format would ignore."""
    chosen = arguments.format
    if list(precisions) == ["bfloat16"]:
        chosen += " --precision bfloat16"
    for name, formats in FORMATS.items():
        is_given = getattr(arguments, name) not in (None, [])  # A threshold of 0 is given too.
        if is_given and chosen not in formats and arguments.format not in formats:
            raise InputError(
                f"{_flag(name)} is for --format {' or '.join(formats)}, not for {arguments.format}; drop it"
            )


def _check(flag, values):
    if not 1 <= min(values) <= max(values) <= _MOST:
        raise InputError(f"{flag} must be from 1 to {_MOST}, received {' '.join(map(str, values))}")


def _flag(name):
    return f"--{name.replace('_', '-')}"
