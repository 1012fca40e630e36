"""Flags of how an image goes through the network, which predict and evaluate share."""

from keras_seg.errors import InputError

_MOST_GIGABYTES = 1_000_000


def add_inference_flags(parser):
    """Adds the flags of `Averaging` and of the CRF."""
    group = parser.add_argument_group("how an image goes through the network (docs/reference/prediction.md)")
    group.add_argument(
        "--sliding",
        metavar=("H", "W"),
        nargs=2,
        type=int,
        help="in overlapping windows of H x W pixels, for images too large for the memory",
    )
    group.add_argument(
        "--overlap", metavar="FRACTION", type=float, help="of neighboring windows at least (default: 0.25)"
    )
    group.add_argument(
        "--blend",
        metavar="linear|gaussian",
        help="how weights fall towards a window's border (default: linear)",
    )
    group.add_argument("--scales", metavar="X", nargs="+", type=float, help="mean over several sizes")
    group.add_argument("--flip", action="store_true", help="mean of the image and its mirror image")
    group.add_argument(
        "--tta", action="store_true", help="test-time augmentation: --flip --scales 0.75 1 1.25"
    )
    group.add_argument(
        "--crf",
        action="store_true",
        help="refine along the image's edges with a dense CRF, as DeepLab does",
    )
    group.add_argument(
        "--threshold",
        metavar="X",
        type=float,
        help="probability from which a pixel is foreground, of one class (default: the run's)",
    )
    group.add_argument(
        "--memory",
        metavar="GB",
        type=float,
        help="for one image, with program and weights; larger ones go through in tiles (default: 8)",
    )
    group.add_argument(
        "--precision",
        metavar="float32|bfloat16|auto",
        help="of the arithmetic; auto: bfloat16 where the processor has it (default: float32)",
    )


def bytes_of(gigabytes):
    """Returns the bytes of `--memory`; raises InputError if it is not an amount of memory."""
    if not 0 < gigabytes <= _MOST_GIGABYTES:
        raise InputError(f"--memory must be above 0 and at most {_MOST_GIGABYTES} GB, received {gigabytes:g}")
    return int(gigabytes * 10**9)


def predictor_options(arguments):
    """Keyword arguments of `Predictor`, from the flags; prints which precision was chosen, and why.

    Raises:
        InputError: A value is out of range.
    """
    from keras_seg.inference.averaging import TTA_SCALES, Averaging

    settings = {
        "window": arguments.sliding and tuple(arguments.sliding),
        "overlap": arguments.overlap,
        "blend": arguments.blend,
        "scales": tuple(arguments.scales) if arguments.scales else TTA_SCALES if arguments.tta else None,
        "flip": arguments.flip or arguments.tta,
    }
    for name in ("overlap", "blend"):
        if settings[name] is not None and settings["window"] is None:
            raise InputError(f"--{name} is of windows; add --sliding H W, or drop it")
    given = {name: value for name, value in settings.items() if value is not None}
    options = {"averaging": Averaging(**given)}
    if arguments.threshold is not None:
        options["threshold"] = arguments.threshold
    if arguments.memory is not None:
        options["memory"] = bytes_of(arguments.memory)
    if arguments.crf:
        from keras_seg.inference.crf import CRF

        options["crf"] = CRF()
    if arguments.precision:
        from keras_seg.hardware import find_hardware
        from keras_seg.precision import choose_precision

        options["precision"], line = choose_precision(arguments.precision, find_hardware(), "prediction")
        if line:
            print(line)
    return options
