"""Hostile run folders through the commands that open them."""

import contextlib
import functools
import io
import json
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import cv2
import numpy as np

from keras_seg import TrainConfig, train
from tests.attack import commands, folders
from tests.attack.case import ANSWERED, Case, pick
from tests.attack.folders import PIPE, Link
from tests.attack.mutations import mutated, mutated_json
from tests.attack.place import Place
from tests.serving.helpers import encoded, picture
from tests.test_runs import NOT_SETTINGS

IN_CHILD, NEEDS_SERVER, COUNT, SECONDS = True, False, 300, 120.0
MOST_MEMORY = 3 << 30  # Bytes
MOST_GROWTH = 2 << 30  # Each network that is trained or exported leaves its traces with TensorFlow.
# Of twenty cases; the first are the cheapest.
_COMMANDS = (*["runs"] * 8, *["predict"] * 7, *["evaluate"] * 2, *["resume"] * 2, "export")
_TRAINING = "resume"
SHORT = [number for number in range(100) if _COMMANDS[number % 20] in ("runs", "predict")]
_DATA = "DATA"  # Stands in a case for the data folder, which lies elsewhere each time.
_SIZE = (24, 40)
_NO_SETTING = [(key, value) for key, values in NOT_SETTINGS for value in values]


@functools.cache
def _listed():
    """The files of a run, `{name: bytes}`."""
    with tempfile.TemporaryDirectory() as folder:
        return _files(Place(folder).run, Place(folder).data)


@functools.cache
def _trained():
    """The files of a run that was trained for an epoch, with its checkpoints."""
    with tempfile.TemporaryDirectory() as folder:
        data, output = Place(folder).data, Path(folder, "trained")
        config = TrainConfig(
            model="unet", model_options={"widths": [4, 8], "decoder_widths": [4]}, data=str(data),
            output=str(output), image_size=(16, 16), epochs=1, batch_size=2, weights="none",
        )  # fmt: skip
        with _without_finish(), contextlib.redirect_stdout(io.StringIO()):
            train(config, report=lambda line: None)
        return _files(output, data)


def _without_finish():
    """Leaves out the evaluation and the export that end a training; those have cases of their own."""
    return mock.patch("keras_seg.training.session.finish", lambda *_: None)


def _files(folder, data):
    files = folders.read(folder)
    files["config.json"] = files["config.json"].replace(
        json.dumps(str(data)).encode(), json.dumps(_DATA).encode()
    )
    return {name: content for name, content in files.items() if not name.endswith("lock")}


def case(random, number):
    """A run that is sound for each command, then settings that are none, then one to three other changes."""
    command = _COMMANDS[number % len(_COMMANDS)]
    files = dict(_trained() if command == _TRAINING else _listed())
    config = json.loads(files["config.json"])
    if number < len(_COMMANDS):
        told = "sound"
    elif number - len(_COMMANDS) < len(_NO_SETTING):
        key, value = _NO_SETTING[number - len(_COMMANDS)]
        files["config.json"], told = json.dumps({**config, key: value}).encode(), f"{key} {value!r}"
    else:
        told = ", ".join(_change(files, random) for _ in range(int(random.integers(1, 4))))
    names = {f"run/{name}": content for name, content in files.items()}
    return Case(f"{command}: {told}", folders.pack({"command": command.encode(), **names}), ".tar")


def _change(files, random):
    name = pick(random, ("config.json", "config.json", "config.json", *files))
    chance = random.random()
    content = files.get(name)
    if chance < 0.1:
        files[name] = pick(random, (PIPE, None, Link("/dev/zero"), Link(name), Link("gone")))
    elif chance < 0.2:
        files.pop(name, None)
    elif not isinstance(content, bytes):
        return f"{name} as it is"
    elif name.endswith(".json") and chance < 0.8:
        files[name] = json.dumps(mutated_json(_parsed(content), random)).encode()
    else:
        files[name] = mutated(content, random)
    return name


def _parsed(content):
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return {}


def ask(case, place):
    """Puts the folder to its command."""
    folder, output = Path(place.scratch, "hostile"), Path(place.scratch, "out")
    folders.unpack(case.contents, folder)
    run, config = folder / "run", folder / "run" / "config.json"
    run.mkdir(exist_ok=True)
    if config.is_file() and not config.is_symlink():
        config.write_bytes(
            config.read_bytes().replace(f'"{_DATA}"'.encode(), json.dumps(str(place.data)).encode())
        )
    return _ASK[(folder / "command").read_text()](run, output, place)


def _list(run, output, place):
    outcomes = [commands.run("runs", run.parent, *more) for more in ((), ("--json",))]
    assert outcomes == [ANSWERED] * 2, outcomes  # A run that cannot be read is a line in the list.
    return ANSWERED


def _predict(run, output, place):
    image = Path(place.scratch, "image.png")
    image.write_bytes(encoded(picture(*_SIZE)))
    mask = output / "image.png"
    mask.unlink(missing_ok=True)
    outcome = commands.run("predict", "--run", run, image, "--output", output, "--overlay", "--confidence")
    if outcome == ANSWERED:
        found = cv2.imread(str(mask), cv2.IMREAD_UNCHANGED)
        assert found.dtype == np.uint8 and found.shape == _SIZE, found.shape
        classes = json.loads((run / "config.json").read_bytes())["num_classes"]
        assert found.max() < classes, (found.max(), classes)
    return outcome


def _evaluate(run, output, place):
    return commands.run("evaluate", "--run", run, "--output", output / "metrics.json", "--report")


def _resume(run, output, place):
    with _without_finish():
        return commands.run("train", "--resume", run, "--epochs", 2)


def _export(run, output, place):
    folder = output / "export" / "1"
    if folder.exists():
        shutil.rmtree(folder)
    return commands.run("export", "--run", run, "--output", folder)


_ASK = {"runs": _list, "predict": _predict, "evaluate": _evaluate, "resume": _resume, "export": _export}
