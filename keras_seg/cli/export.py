"""Exports a run as a SavedModel for TensorFlow Serving."""

from pathlib import Path

from keras_seg.cli.quiet import import_tensorflow


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument("--run", dest="run_folder", metavar="RUN", required=True, help="run folder")
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        help="version folder to write, its name a number (default: the next one of RUN/export)",
    )


def run(arguments):
    """Exports."""
    import_tensorflow()
    from keras_seg.runs import Run
    from keras_seg.serving import export_saved_model, next_version

    run = Run.open(arguments.run_folder)
    folder = Path(arguments.output) if arguments.output else next_version(run.export_path)
    export_saved_model(run.load_model(), folder, classes=run.classes, colors=run.colors)
    print(f"written to {folder}")
