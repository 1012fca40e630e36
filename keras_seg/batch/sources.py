"""The images of a job: files, folders, patterns, lists and manifests, local or in an object store."""

import csv
import io
from pathlib import PurePosixPath

import fsspec
from fsspec.core import url_to_fs

from keras_seg.data.folders.dataset import IMAGE_SUFFIXES
from keras_seg.errors import InputError

COLUMNS = ("path", "uri", "image")  # Names under which manifests have the images, in this order.
_MANIFESTS = (".parquet", ".csv", ".txt")


def find_images(sources, column=None):
    """Finds the images of a job.

    Args:
        sources: Names: an image; a folder, with all below it; a pattern such as `photos/**/*.jpg`; a list
            `.txt` with a name a line; a manifest `.csv` or `.parquet`. Each may be local or an address that
            fsspec knows, as `s3://bucket/photos`. Relative names in a list or a manifest are relative to its
            folder.
        column: Of the manifests, the one that holds the names; by default the first there is of `COLUMNS`.

    Returns:
        Addresses without repetition, in the order in which they were found; local ones are absolute paths.

    Raises:
        InputError: One gives nothing, cannot be read, or has no such column.
    """
    found = {}
    for source in map(str, sources):
        files, path = open_folder(source)
        try:
            names = _names(files, path, source, column)
        except InputError:
            raise
        except Exception as error:  # Each store has exceptions of its own.
            raise InputError(f"{source}: cannot be read ({_first_line(error)}); check the name") from None
        if not names:
            raise InputError(f"{source}: holds no image; images end in {', '.join(sorted(IMAGE_SUFFIXES))}")
        found.update(dict.fromkeys(names))
    return list(found)


def open_folder(address):
    """Returns fsspec's file system of an address, and the path in it.

    Raises:
        InputError: The store is unknown, or its package is not installed.
    """
    try:
        return url_to_fs(str(address))
    except (ImportError, ValueError) as error:
        raise InputError(f"{address}: cannot be opened ({_first_line(error)})") from None


def read(address):
    """Returns the bytes of a file; raises what its store raises."""
    with fsspec.open(address, "rb") as file:
        return file.read()


def _names(files, path, source, column):
    suffix = PurePosixPath(path).suffix.lower()
    if any(sign in path for sign in "*?["):
        return _images(files, files.glob(path))
    if files.isdir(path):
        return _images(files, files.find(path))
    if not files.exists(path):
        raise InputError(f"{source}: no such file or folder; check the name")
    if suffix not in _MANIFESTS:
        return [_address(files, path)]
    names = _listed(files.cat_file(path), suffix, source, column)
    folder = path.rpartition("/")[0]
    return [_absolute(files, folder, name) for name in names]


def _images(files, paths):
    """The paths that name images; hidden files are left out."""
    names = [PurePosixPath(path) for path in sorted(paths)]
    found = (name for name in names if name.suffix.lower() in IMAGE_SUFFIXES and name.name[0] != ".")
    return [_address(files, str(name)) for name in found]


def _listed(contents, suffix, source, column):
    if suffix == ".txt":
        return [line for line in map(str.strip, contents.decode("utf-8").splitlines()) if line]
    if suffix == ".csv":
        rows = list(csv.DictReader(io.StringIO(contents.decode("utf-8-sig"))))
        names = list(rows[0]) if rows else []
        chosen = _column(names, source, column)
        return [row[chosen] for row in rows if row[chosen]]
    # Imported here since it takes its time and few manifests are such.
    from pyarrow import BufferReader, parquet

    file = parquet.ParquetFile(BufferReader(contents))
    chosen = _column(file.schema_arrow.names, source, column)
    return [name for name in file.read([chosen])[chosen].to_pylist() if name]


def _column(names, source, asked):
    wanted = COLUMNS if asked is None else (asked,)
    for name in wanted:
        if name in names:
            return name
    raise InputError(
        f"{source}: has no column {' or '.join(wanted)}; name one of {', '.join(names) or 'none'} with "
        "--column"
    )


def _absolute(files, folder, name):
    if "://" in name or name.startswith("/"):
        return name
    return _address(files, f"{folder}/{name}")


def _address(files, path):
    """The address of a path; of a local file, the path itself."""
    return files.unstrip_protocol(path).removeprefix("file://")


def _first_line(error):
    return next(iter(str(error).splitlines()), "") or type(error).__name__
