"""Weights files from anywhere: each reads only itself, and a bad one ends in a one-line error."""

import io
import json
import struct
import zipfile
from contextlib import contextmanager

import h5py

from keras_seg.errors import InputError
from keras_seg.files import regular_file

WEIGHTS = "model.weights.h5"
_MEMBERS = {"metadata.json", "config.json", WEIGHTS}
_LOCAL_HEADER = 30  # Bytes, of which the last four are the lengths of the name and of the extra field.


@contextmanager
def reading(path, way_out="download it again, or save it again"):
    """Turns any error of reading a weights file into one line; the only place that does.

    HDF5, zip, JSON, safetensors and protobuf each fail on damaged files in many exceptions of their own, so
    it takes all of them.

    Args:
        path: The file.
        way_out: What the line tells the reader to do.

    Raises:
        InputError: Anything went wrong; an InputError from within passes as it is.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(f"{path}: cannot be read ({reason}); {way_out}") from error


def open_zip(path):
    """Opens an archive with uncompressed members, as Keras and PyTorch write them.

    So none can be larger than the file.

    Args:
        path: Path or binary file.

    Returns:
        `zipfile.ZipFile`.

    Raises:
        ValueError: A member is compressed or encrypted.
    """
    archive = zipfile.ZipFile(path)
    for member in archive.infolist():
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            archive.close()
            raise ValueError(f"its member {member.filename!r} is compressed or encrypted")
    return archive


def check_sums(archive):
    """Compares what an archive holds with its checksums, which readers of single members pass over.

    Args:
        archive: `zipfile.ZipFile`.

    Raises:
        ValueError: A member was damaged.
    """
    damaged = archive.testzip()
    if damaged:
        raise ValueError(f"Bad CRC-32 of {damaged}")


def member_start(file, info):
    """The position of a member's first byte in an archive without compression.

    Args:
        file: The archive, opened to read bytes.
        info: The member's `zipfile.ZipInfo`.
    """
    file.seek(info.header_offset)
    lengths = struct.unpack("<HH", file.read(_LOCAL_HEADER)[-4:])
    return info.header_offset + _LOCAL_HEADER + sum(lengths)


@contextmanager
def open_keras(path):
    """Opens a `.keras` file.

    Yields:
        `(config, weights)`: what its `config.json` says, and its `h5py.File`, as `open_hdf5` gives it.

    Raises:
        ValueError: It holds something else as well, or see `open_zip` and `open_hdf5`.
    """
    with open_zip(regular_file(path)) as archive, path.open("rb") as file:
        other = sorted(set(archive.namelist()) - _MEMBERS)
        if other:
            raise ValueError(f"it holds {other[0]!r}, which no network needs")
        with open_hdf5(_Member(file, archive.getinfo(WEIGHTS))) as weights:
            yield json.loads(archive.read("config.json")), weights


def open_hdf5(file):
    """Opens an HDF5 file without compression or external data.

    Args:
        file: Path or binary file.

    Returns:
        `h5py.File`.

    Raises:
        ValueError: It takes something from another file, has links, is compressed, or declares more numbers
            than it holds.
    """
    root = h5py.File(file, "r")
    try:
        _check_hdf5(root)
    except BaseException:
        root.close()
        raise
    return root


def _check_hdf5(root):
    size = root.id.get_filesize()
    groups, seen = [root], {root}  # A group can hold itself.
    while groups:
        group = groups.pop()
        for name in group:
            if isinstance(group.get(name, getlink=True), (h5py.ExternalLink, h5py.SoftLink)):
                raise ValueError(f"its {name!r} is a link, which may lead to another file")
            item = group[name]
            if isinstance(item, h5py.Dataset):
                _check_dataset(item, name, size)
            elif isinstance(item, h5py.Group) and item not in seen:
                seen.add(item)
                groups.append(item)


def _check_dataset(dataset, name, file_size):
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"its {name!r} takes its numbers from another file")
    # A filter may also be a plug-in, which HDF5 would load from a folder.
    if dataset.id.get_create_plist().get_nfilters():
        raise ValueError(f"its {name!r} is compressed; write it without")
    if dataset.nbytes > min(dataset.id.get_storage_size(), file_size):
        raise ValueError(f"its {name!r} declares {dataset.nbytes} bytes and holds fewer")


class _Member(io.RawIOBase):
    """An uncompressed member of a zip file; zipfile's own reader would read everything that it skips.

    Args:
        file: The zip file, opened to read bytes.
        info: The member's `zipfile.ZipInfo`.
    """

    def __init__(self, file, info):
        self._file, self._start, self._size = file, member_start(file, info), info.file_size
        self.seek(0)

    def seek(self, offset, whence=io.SEEK_SET):
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._size}
        return self._file.seek(self._start + bases[whence] + offset) - self._start

    def tell(self):
        return self._file.tell() - self._start

    def readinto(self, buffer):
        return self._file.readinto(buffer)

    def readable(self):
        return True
