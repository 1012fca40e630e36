"""The state that a training resumes from, in one file that is whole or recognized as damaged.

The file is a NumPy `.npz`: a zip of arrays. Its table of contents comes last and every array has a CRC-32,
so a file that was cut off or changed is told from a whole one.
"""

import json
import math
import os
import re
import zipfile
from dataclasses import dataclass, field

import keras
import numpy as np

from keras_seg.errors import InputError
from keras_seg.files import regular_file, replacing
from keras_seg.texts import shown
from keras_seg.weights_files import open_zip, reading

NAME = "step-{:08d}.npz"
KEPT = 2
NOTES = "notes.json"
WAY_OUT = "train the run again"


@dataclass
class Progress:
    """The progress of a training.

    Attributes:
        steps_per_epoch: Batches of an epoch.
        step: Batches that are done.
        rows: Figures of the epochs that are done, as in `history.csv`.
        best: Validation mean IoU of `best.keras`, None before the first.
    """

    steps_per_epoch: int
    step: int = 0
    rows: list = field(default_factory=list)
    best: float | None = None

    def check(self):
        """Checks that these are what a training writes; raises ValueError for what it does not."""
        counts = (type(self.steps_per_epoch), type(self.step)) == (int, int)
        if not counts or self.steps_per_epoch < 1 or self.step < 0:
            raise ValueError(f"its {NOTES} counts {shown(self.step)} steps of {shown(self.steps_per_epoch)}")
        is_right = isinstance(self.rows, list) and all(map(_is_row, self.rows))
        if not is_right or not (self.best is None or _is_number(self.best)):
            raise ValueError(f"its {NOTES} holds no metrics of epochs")

    @property
    def epoch(self):
        """Epochs whose batches are done."""
        return self.step // self.steps_per_epoch

    @property
    def validation_is_pending(self):
        """Whether the last epoch was stopped between its last batch and the end of its validation."""
        return len(self.rows) < self.epoch


def write_state(folder, progress, groups):
    """Writes `step-NNNNNNNN.npz`, and keeps the one before.

    Args:
        folder: Path of the folder of checkpoints.
        progress: A `Progress`.
        groups: `{name: list of arrays or keras variables}`.

    Raises:
        InputError: It cannot be written; the one before is untouched.
    """
    new = folder / NAME.format(progress.step)
    # Room for the new one; while it is written, the newest is still there.
    for path in [path for path in states(folder) if path != new][KEPT - 1 :]:
        path.unlink()
    with replacing(new) as temporary, temporary.open("wb") as file:
        with zipfile.ZipFile(file, "w") as archive:
            for member, variable in _members(groups):
                with archive.open(member, "w", force_zip64=True) as stream:
                    array = np.asarray(keras.ops.convert_to_numpy(variable))
                    np.lib.format.write_array(stream, array, allow_pickle=False)
            archive.writestr(NOTES, json.dumps(vars(progress)))
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)


def restore_state(path, groups):
    """Gives variables the values of a file, once all of them are known to be there.

    Args:
        path: Path of the file.
        groups: `{name: list of keras variables}`.

    Raises:
        InputError: They are not the variables that were written.
    """
    members = _members(groups)
    with reading(path, WAY_OUT), open_zip(path) as archive:
        wanted = {member: tuple(variable.shape) for member, variable in members}
        present = set(archive.namelist()) - {NOTES}
        stored = {member: _shape(archive, member) for member in wanted if member in present}
        differing = [member for member, shape in wanted.items() if stored.get(member) != shape]
        surplus = [name for name in present - wanted.keys() if name.split("/")[0] in groups]
        if differing or surplus:
            raise InputError(
                f"{path}: is not of this network and optimizer, {len(differing) + len(surplus)} arrays "
                f"differ, first {(differing + surplus)[0]}; {WAY_OUT}"
            )
        for member, variable in members:
            with archive.open(member) as stream:
                variable.assign(np.lib.format.read_array(stream, allow_pickle=False))


def read_group(path, name):
    """The arrays of one group; raises InputError."""
    with reading(path, WAY_OUT), open_zip(path) as archive:
        members = [member for member in archive.namelist() if member.startswith(f"{name}/")]
        arrays = []
        for member in sorted(members):
            _shape(archive, member)
            with archive.open(member) as stream:
                arrays.append(np.lib.format.read_array(stream, allow_pickle=False))
        return arrays


def newest_state(folder, report):
    """Finds the newest whole state; a damaged one is reported and passed over.

    Args:
        folder: Path of the folder of checkpoints.
        report: Function that is given a line for the reader.

    Returns:
        `(path, Progress)`, or `(None, None)` where there is no state.

    Raises:
        InputError: There are states, and none is whole.
    """
    damaged = None
    for path in states(folder):
        try:
            with open_zip(regular_file(path)) as archive:
                broken = archive.testzip()
                if broken is not None:
                    raise zipfile.BadZipFile(f"bad checksum of {broken}")
                progress = Progress(**json.loads(archive.read(NOTES)))
                progress.check()
        except Exception as error:  # Zip and JSON answer damaged files with many kinds.
            report(f"{path}: is damaged ({error}); resuming from the checkpoint before")
            damaged = path
        else:
            return path, progress
    if damaged is not None:
        raise InputError(f"{damaged}: is damaged, and there is no other checkpoint; train the run again")
    return None, None


def states(folder):
    """Paths of the states in a folder, the newest first."""
    paths = (path for path in folder.glob("step-*.npz") if step_of(path) is not None)
    return sorted(paths, key=step_of, reverse=True)


def remove_leftovers(folder, newest):
    """Removes what a killed process had begun to write, and what is damaged, down to `newest`, if any."""
    damaged = states(folder)[: states(folder).index(newest)] if newest else []
    for path in (*folder.glob(".step-*.npz"), *folder.parent.glob(".best.*.keras"), *damaged):
        path.unlink(missing_ok=True)


def sync_folder(folder):
    """Makes the renaming of a file in a folder survive a power failure, where the system supports it."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def step_of(path):
    """The step of a state, by the name of its file; None where that is no such name."""
    match = re.fullmatch(r"step-(\d+)", path.stem)
    return int(match.group(1)) if match else None


def _is_number(value):
    return type(value) in (int, float)


def _is_row(row):
    return (
        isinstance(row, dict)
        and all(map(_is_number, row.values()))
        and {"epoch", "val_mean_iou"} <= row.keys()
    )


def _members(groups):
    return [
        (f"{name}/{index:05d}.npy", variable)
        for name, variables in groups.items()
        for index, variable in enumerate(variables)
    ]


def _shape(archive, member):
    """The shape of a member's array; raises ValueError where it declares another size than it has."""
    with archive.open(member) as stream:
        is_first = np.lib.format.read_magic(stream) == (1, 0)
        read = np.lib.format.read_array_header_1_0 if is_first else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        declared, held = math.prod(shape) * dtype.itemsize, archive.getinfo(member).file_size - stream.tell()
    if declared != held:
        raise ValueError(f"its {member} declares {declared} bytes and holds {held}")
    return shape
