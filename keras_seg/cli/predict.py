"""Labels every pixel of images: PNG masks of class ids, at each image's own size and orientation."""

import math
import sys
from functools import partial
from pathlib import Path

from keras_seg.cli.inference_flags import add_inference_flags, predictor_options
from keras_seg.cli.quiet import import_tensorflow
from keras_seg.errors import InputError

OUTPUTS = (
    *("overlay", "confidence", "probabilities", "polygons"),
    *("annotations", "annotation_shapes", "image_prefix", "classes"),
)
# What a server does not do; its signature `tiled` is another way.
LOCAL = (
    "camera",
    *OUTPUTS[2:],
    "sliding",
    "overlap",
    "blend",
    "scales",
    "flip",
    "tta",
    "crf",
    "memory",
    "threshold",
    "precision",
)

EXAMPLES = (
    "python -m keras_seg predict new/*.jpg --run runs/unet-photographs --output masks --overlay",
    "python -m keras_seg predict new/*.jpg --server localhost:8500/unet --output masks",
)


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument("inputs", metavar="INPUT", nargs="*", help="images, folders, globs, or videos")
    parser.add_argument("--camera", metavar="N", type=int, help="a camera, until Ctrl-C, instead of inputs")
    parser.add_argument("--run", dest="run_folder", metavar="RUN", help="run folder")
    parser.add_argument(
        "--pretrained",
        metavar="NAME",
        help="a published network instead of a run, such as deeplabv3_resnet50_coco "
        "(docs/reference/prediction.md)",
    )
    parser.add_argument(
        "--server",
        metavar="HOST:PORT",
        help="ask TensorFlow Serving instead: HOST:PORT (gRPC) or http://HOST:PORT (REST), and /MODEL where "
        "--run does not say which",
    )
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="SECONDS", help="for each answer of --server"
    )
    parser.add_argument("--output", metavar="FOLDER", required=True, help="folder for the masks")
    parser.add_argument("--overlay", action="store_true", help="also write the classes drawn over the image")
    parser.add_argument(
        "--confidence", action="store_true", help="also write each pixel's confidence as a grey PNG"
    )
    parser.add_argument(
        "--probabilities",
        metavar="npz|png",
        help="also write each class's probability, as arrays or as grey PNGs of 16 bits",
    )
    parser.add_argument(
        "--polygons", metavar="geojson|coco", help="also write the outlines of the classes' regions"
    )
    parser.add_argument(
        "--annotations",
        metavar="FORMAT",
        help="also write what an annotation tool reads, with scores: label-studio, cvat, cvat-masks, coco or "
        "labelme",
    )
    parser.add_argument(
        "--annotation-shapes",
        metavar="masks|polygons",
        help="how they give regions (default: polygons for coco and labelme)",
    )
    parser.add_argument(
        "--image-prefix",
        metavar="ADDRESS",
        help="what stands before an image's name in Label Studio's tasks (default: /data/local-files/?d=)",
    )
    parser.add_argument(
        "--classes", metavar="NAME", nargs="+", help="keep these; pixels of the others become 255"
    )
    add_inference_flags(parser)


def run(arguments):
    """Predicts; a bad image is reported and skipped."""
    if not arguments.inputs and arguments.camera is None:
        raise InputError("no input; name images, folders, globs or videos, or a --camera")
    if arguments.pretrained and (arguments.run_folder or arguments.server):
        raise InputError("two models; drop --pretrained, or --run and --server")
    if arguments.server:
        return _ask_server(arguments)
    if not arguments.run_folder and not arguments.pretrained:
        raise InputError(
            "no model; name a run folder with --run, a published network with --pretrained, or a server with "
            "--server"
        )
    import_tensorflow("inference")
    from tqdm import tqdm

    from keras_seg.files import make_folder
    from keras_seg.inference import Predictor, predict_files

    classes, colors, load = _model(arguments)
    options = predictor_options(arguments)
    output = Path(arguments.output)
    wanted = {name: getattr(arguments, name) for name in OUTPUTS}
    paths, videos = _inputs(arguments, classes, colors, output, wanted)
    make_folder(output)
    predictor = Predictor(load(), classes, colors, **options)
    failed = _predict_videos(predictor, videos, output)
    if not paths:
        return _report(failed, videos, output, "videos")
    progress = partial(tqdm, unit="image", desc="predict")
    summary = predict_files(predictor, paths, output, progress=progress, **wanted)
    if summary.transparent:
        print(f"note: {summary.transparent} images have transparency, which was dropped")
    return _report(failed + summary.failed, [*videos, *paths], output)


def _model(arguments):
    """Returns the class names and colors, and a function that loads the model, or gives the run."""
    if arguments.run_folder:
        from keras_seg.runs import Run

        run = Run.open(arguments.run_folder)
        return run.classes, run.colors, lambda: run
    from keras_seg.models.pretrained import find_pretrained, load_pretrained

    trained = find_pretrained(arguments.pretrained)
    classes, colors = trained.file.classes, trained.colors
    return classes, colors, lambda: load_pretrained(arguments.pretrained, aux_head=False).model


def _inputs(arguments, classes, colors, output, wanted):
    """Returns the images and the videos, after checking that no output can overwrite another file."""
    from keras_seg.files import check_beside, check_targets
    from keras_seg.inference import expand_inputs
    from keras_seg.inference.outputs import Outputs, Wanted
    from keras_seg.inference.video import VIDEO_SUFFIXES, is_video, video_target

    named = [name for name in arguments.inputs if is_video(name)]
    images = [name for name in arguments.inputs if not is_video(name)]
    paths = expand_inputs(images) if images else []
    videos = expand_inputs(named, VIDEO_SUFFIXES) if named else []
    outputs = Outputs(output, Wanted(**wanted), classes, colors)
    if not paths:
        for name in OUTPUTS[1:]:
            if wanted[name]:
                flag = name.replace("_", "-")
                raise InputError(
                    f"--{flag} applies to images, a video only gets its overlay; drop one of them"
                )
    check_targets(
        {path: outputs.targets(path) for path in paths}
        | {path: [video_target(path, output)] for path in videos}
    )
    check_beside(paths, output)
    return paths, videos if arguments.camera is None else [*videos, arguments.camera]


def _predict_videos(predictor, sources, output):
    """Returns one line for each video that failed."""
    from tqdm import tqdm

    from keras_seg.inference.video import predict_video

    failed = []
    for source in sources:
        title = f"camera {source}" if isinstance(source, int) else str(source)
        try:
            video = predict_video(predictor, source, output, progress=partial(tqdm, unit="frame", desc=title))
        except InputError as error:
            failed.append(str(error))
            continue
        print(f"{video.frames} frames written to {video.path}")
        # Some formats announce a frame or two that are not there.
        if video.announced and video.frames < 0.95 * video.announced - 2:
            failed.append(
                f"{source}: ends after {video.frames} of {video.announced} frames; those are in {video.path}"
            )
    return failed


def _ask_server(arguments):
    if not 0 < arguments.timeout < math.inf:
        raise InputError(f"--timeout must be a number of seconds above 0, received {arguments.timeout}")
    for name in LOCAL:
        value = getattr(arguments, name)
        if value is not None and value is not False:
            flag = name.replace("_", "-")
            raise InputError(f"--{flag} works with --run alone, not with --server; drop one of them")
    from tqdm import tqdm

    from keras_seg.cli.quiet import quiet_start
    from keras_seg.runs import Run

    with quiet_start():
        from keras_seg.inference import expand_inputs
        from keras_seg.serving import Client
        from keras_seg.serving.remote import predict_files

    name = Run.open(arguments.run_folder).config["model"] if arguments.run_folder else None
    paths = expand_inputs(arguments.inputs)
    output = Path(arguments.output)
    with Client(arguments.server, name, timeout=arguments.timeout) as client:
        failed = predict_files(
            client,
            paths,
            output,
            overlay=arguments.overlay,
            confidence=arguments.confidence,
            progress=partial(tqdm, unit="image", desc="predict", total=len(paths)),
        )
    return _report(failed, paths, output)


def _report(failed, paths, output, what="images"):
    for line in failed:
        print(f"error: {line}", file=sys.stderr)
    print(f"{len(paths) - len(failed)} of {len(paths)} {what} labeled in {output}")
    return 2 if failed else 0
