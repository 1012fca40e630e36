"""Makes the folder of a run."""

import json
import platform
from importlib import metadata
from pathlib import Path

from keras_seg import __version__
from keras_seg.errors import InputError
from keras_seg.files import make_folder, regular_file, replacing
from keras_seg.logits import THRESHOLD
from keras_seg.runs import CONFIG, Run
from keras_seg.training.run_state.lock import locked

CHECKPOINTS = "checkpoints"
HISTORY = "history.csv"
# Holds the step whose best model was evaluated and exported.
FINISHED = "finished"
# What a training has written once it went beyond its start.
LEFT = ("best.keras", HISTORY, "metrics.json", "curves.png", "samples.png", "export")
LOCK = "lock"
PACKAGES = ("tensorflow", "keras", "numpy", "opencv-python", "h5py")


def check_output(config, resume=None):
    """Refuses a folder that no run can be written to, before anything costs time.

    Args:
        config: `TrainConfig`.
        resume: Folder of the run that is resumed; None for a new one.

    Raises:
        InputError: It holds a run, or TensorFlow cannot export to it.
    """
    path = Path(resume) if resume else _output(config)
    try:
        str(path).encode()
    except UnicodeEncodeError:
        way_out = "rename the folder" if resume else "name another --output"
        raise InputError(
            f"{path}: is no name in UTF-8, and TensorFlow exports to no other; {way_out}"
        ) from None
    if not resume:
        _check_new(path)


def claim_folder(path, held):
    """Makes a run folder, if there is none, and keeps other trainings out of it.

    Args:
        path: Of the folder.
        held: An `ExitStack` that gives it free when it is closed.

    Raises:
        InputError: It cannot be written, or another process trains there.
    """
    make_folder(path / CHECKPOINTS)
    held.enter_context(locked(path / CHECKPOINTS / LOCK, path))


def create_run(config, dataset, held):
    """Creates the run folder and its `config.json`; an older run is never overwritten.

    Args:
        config: `ResolvedConfig`.
        dataset: `Dataset`.
        held: Of `claim_folder`.

    Returns:
        The `Run`.

    Raises:
        InputError: The folder holds a run, or cannot be written.
    """
    path = _output(config)
    settings = {
        **config.to_dict(),
        "data": _place(config),
        "mask_colors": str(Path(config.mask_colors).resolve()) if config.mask_colors else None,
        "output": str(path),
        "binary": dataset.is_binary,
        "depth": dataset.images.depth,
        "threshold": (config.threshold or THRESHOLD) if dataset.is_binary else None,
        "num_classes": dataset.num_classes,
        "classes": list(dataset.classes),
        "colors": [list(map(int, color)) for color in dataset.colors],
        "versions": {
            "keras_seg": __version__,
            "python": platform.python_version(),
            **{package: metadata.version(package) for package in PACKAGES},
        },
    }
    claim_folder(path, held)
    _check_new(path)
    _write_config(path, settings)
    return Run.open(path)


def _place(config):
    if "dataset" in config.objects:
        return config.data  # What it is called.
    return None if config.is_shapes else str(Path(config.data).resolve())


def record_epochs(run, epochs):
    """Notes in `config.json` for how many epochs a run is trained from now on; returns the `Run`."""
    if run.config.get("epochs") != epochs:
        _write_config(run.path, {**run.config, "epochs": epochs})
    return Run.open(run.path)


def finished_step(run):
    """Returns the steps whose best model was evaluated and exported; 0: none was."""
    try:
        return int(regular_file(run.path / CHECKPOINTS / FINISHED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0


def note_finished(run, step):
    """Records that step as finished."""
    with replacing(run.path / CHECKPOINTS / FINISHED) as temporary:
        temporary.write_text(f"{step}\n", encoding="utf-8")


def forget_finished(run):
    """Takes that note back, for a run that resumes from before it."""
    (run.path / CHECKPOINTS / FINISHED).unlink(missing_ok=True)


def _write_config(path, settings):
    with replacing(path / CONFIG) as temporary:
        temporary.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _output(config):
    return Path(config.output) if config.output else _free_folder(Path("runs"), config.run_name())


def _check_new(path):
    if (path / CONFIG).exists():
        raise InputError(
            f"{path}: already holds a run; name another --output, or resume it with --resume {path}"
        )


def _free_folder(parent, name):
    path, number = parent / name, 1
    while path.exists():
        number += 1
        path = parent / f"{name}-{number}"
    return path
