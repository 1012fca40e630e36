"""The output of a job: masks under names derived from the images, each written whole or not at all."""

import hashlib
from pathlib import Path, PurePosixPath

from keras_seg.batch.sources import open_folder
from keras_seg.errors import InputError
from keras_seg.files import replacing

_STEM = 80  # Characters of an image's name that its mask's keeps.


def target_name(address):
    """Returns the name of an image's mask, without suffix: `3f/3f9a0c1e2b7d-street`.

    The digits are a hash of the whole address, so that images of one name in two folders have two masks,
    and that no folder grows beyond a 256th of all.
    """
    digest = hashlib.sha256(address.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return f"{digest[:2]}/{digest}-{PurePosixPath(address).stem[:_STEM]}"


class Target:
    """A folder, here or in an object store, in which files appear whole.

    Args:
        address: Of the folder, as fsspec knows it.

    Raises:
        InputError: Its store is unknown.
    """

    def __init__(self, address):
        self.address = str(address)
        self.files, self.root = open_folder(self.address)
        self.is_local = "file" in self.files.protocol

    def write(self, name, contents):
        """Writes bytes under a name below the folder; raises InputError where it cannot."""
        path = f"{self.root}/{name}"
        if self.is_local:
            try:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(
                    f"{path}: cannot be written ({error.strerror or error}); name another --output"
                ) from None
            with replacing(path) as temporary:
                temporary.write_bytes(contents)
            return
        try:
            self.files.pipe_file(path, contents)  # A store shows an object once it is whole.
        except Exception as error:  # Each store has exceptions of its own.
            raise InputError(
                f"{self.address}/{name}: cannot be written ({error}); check its permissions"
            ) from None

    def read(self, name):
        """Returns the bytes of a file, None where there is none."""
        path = f"{self.root}/{name}"
        return self.files.cat_file(path) if self.files.exists(path) else None

    def names(self, folder):
        """Returns the names of the files right in one of its folders."""
        path = f"{self.root}/{folder}"
        if not self.files.isdir(path):
            return []
        return sorted(f"{folder}/{PurePosixPath(each).name}" for each in self.files.ls(path, detail=False))

    def remove(self, names):
        """Removes files."""
        for name in names:
            self.files.rm_file(f"{self.root}/{name}")

    def holds(self, address):
        """Tells whether an address lies in the folder."""
        files, path = open_folder(address)
        return type(files) is type(self.files) and path.startswith(f"{self.root}/")
