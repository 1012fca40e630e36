"""Folders in one file: files, folders, links and pipes of any name, as a tar archive."""

import io
import os
import shutil
import tarfile
from pathlib import Path


class Link(str):
    """What stands in the place of a file: a symbolic link to this."""


PIPE = object()


def pack(files):
    """Returns the bytes of an archive of `{name: bytes, Link, PIPE or None}`; None is an empty folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if isinstance(content, Link):
                info.type, info.linkname = tarfile.SYMTYPE, content
            elif content is PIPE:
                info.type = tarfile.FIFOTYPE
            elif content is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


def unpack(contents, folder):
    """Writes the archive into a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(contents)) as archive:
        archive.extraction_filter = lambda member, path: member  # It is ours, and is to be as odd as it is.
        archive.extractall(folder)


def read(folder):
    """Returns `{name: bytes}` of the files in a folder."""
    return {
        os.fsdecode(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }
