"""Labels very many images with several workers, here or on a Ray cluster; started again, a job resumes."""

import sys
from functools import partial

from keras_seg.cli.inference_flags import add_inference_flags, predictor_options
from keras_seg.errors import InputError

EXAMPLES = ("python -m keras_seg batch images --run runs/unet-photographs --output masks --workers 4",)


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument(
        "sources",
        metavar="SOURCE",
        nargs="+",
        help="images, folders with all below them, globs, lists (.txt) or manifests (.csv, .parquet); "
        "local, or s3://, gs:// and what else fsspec knows",
    )
    parser.add_argument("--run", dest="run_folder", metavar="RUN", required=True, help="run folder")
    parser.add_argument(
        "--output", metavar="TARGET", required=True, help="folder or address for masks/ and manifest.parquet"
    )
    parser.add_argument(
        "--column",
        metavar="NAME",
        help="column of the manifests that names images (default: path, uri, image)",
    )
    parser.add_argument("--confidence", action="store_true", help="also write each pixel's confidence")
    parser.add_argument("--overlay", action="store_true", help="also write the classes drawn over the image")
    parser.add_argument("--retry", action="store_true", help="try images again that failed before")
    add_worker_flags(parser)
    add_inference_flags(parser)


def add_worker_flags(parser):
    """Adds the flags of `Workers`, which `evaluate` has too."""
    parser.add_argument(
        "--address", metavar="RAY", help="cluster, as ray://HOST:10001 or HOST:6379 (default: this machine)"
    )
    parser.add_argument(
        "--workers", metavar="N", type=int, help="(default: one a GPU, else as cores and memory allow)"
    )
    parser.add_argument("--cores", metavar="N", type=int, default=1, help="of each worker (default: 1)")


def workers_of(arguments):
    """Returns the `Workers` of the flags; raises InputError where they are out of range."""
    for name in ("workers", "cores"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise InputError(f"--{name} must be 1 or more, received {value}")
    return {"address": arguments.address, "count": arguments.workers, "cores": arguments.cores}


def run(arguments):
    """Labels what is left of the job."""
    workers = workers_of(arguments)
    from tqdm import tqdm

    from keras_seg.cli.quiet import quiet_start

    with quiet_start():
        from keras_seg.batch import Workers, label_images
    summary = label_images(
        arguments.run_folder,
        arguments.sources,
        arguments.output,
        workers=Workers(**workers),
        column=arguments.column,
        confidence=arguments.confidence,
        overlay=arguments.overlay,
        retry=arguments.retry,
        progress=partial(tqdm, smoothing=0.05),
        **predictor_options(arguments),
    )
    for line in summary.failed[:20]:
        print(f"error: {line}", file=sys.stderr)
    if len(summary.failed) > 20:
        print(f"error: and {len(summary.failed) - 20} more, see the manifest", file=sys.stderr)
    print(
        f"{summary.done} of {summary.images} images labeled in {arguments.output}"
        + (f", {summary.before} of them before" if summary.before else "")
    )
    return 2 if summary.failed else 0
