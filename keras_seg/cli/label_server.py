"""Serves a run's masks to Label Studio while people label (its machine-learning backend)."""

import os
import secrets
import sys
import time

from keras_seg.cli.inference_flags import add_inference_flags, predictor_options
from keras_seg.cli.quiet import import_tensorflow
from keras_seg.errors import InputError

TOKEN = "KERAS_SEG_TOKEN"

EXAMPLES = ("python -m keras_seg label-server --run runs/unet-photographs --images holiday",)


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument("--run", dest="run_folder", metavar="RUN", required=True, help="run folder")
    parser.add_argument(
        "--images",
        metavar="FOLDER",
        required=True,
        help="folder of the images, the only one from which files are read",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine alone)"
    )
    parser.add_argument("--port", type=int, default=9090, help="(default: 9090)")
    add_inference_flags(parser)


def run(arguments):
    """Serves until it is interrupted."""
    if not 0 <= arguments.port < 65536:
        raise InputError(f"--port must be from 0 to 65535, received {arguments.port}")
    import_tensorflow("inference")
    from keras_seg.labeling.server import Labeler, make_server
    from keras_seg.runs import Run

    run = Run.open(arguments.run_folder)
    predictor = run.predictor(**predictor_options(arguments))
    trained = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.best_path.stat().st_mtime))
    version = f"{run.path.resolve().name} {trained}"
    labeler = Labeler(predictor, arguments.images, version, _note)
    token = os.environ.get(TOKEN) or secrets.token_urlsafe(24)
    with make_server(labeler, token, arguments.host, arguments.port) as server:
        host, port = server.server_address[:2]
        print(f"{version} listens on http://{host}:{port}", flush=True)
        shown = f"that of {TOKEN}" if os.environ.get(TOKEN) else token
        print(f"Label Studio, Settings, Model: basic authentication, any user, password {shown}", flush=True)
        server.serve_forever()


def _note(line):
    print(f"error: {line}", file=sys.stderr, flush=True)
