"""The annotation formats that are read and written: one row each."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from keras_seg.data.annotation import coco, cvat, cvat_masks, label_studio, labelme
from keras_seg.data.annotation.shapes import AnnotatedImage, Annotations, Export
from keras_seg.errors import InputError
from keras_seg.files import regular_file
from keras_seg.texts import parse_json, read_text

_MAX_BYTES = 1 << 30  # Of one file of an archive, unpacked.


class Format(NamedTuple):
    """A format of an annotation tool.

    Attributes:
        files: Names of the files that are written for all images, or for each; {stem} is the image's.
        write: Takes PredictedImages and an Export; yields the files' names and bytes.
        shapes: What it writes unless asked otherwise: "polygons" or "masks", as its tool edits them best.
    """

    files: tuple[str, ...]
    write: Callable
    shapes: str

    @property
    def is_per_image(self) -> bool:
        return "{stem}" in self.files[0]

    def targets(self, folder: Path, stem: str) -> list[Path]:
        """Returns the files that are written into a folder for an image of that stem."""
        return [folder / name.format(stem=stem) for name in self.files]


FORMATS = {
    "label-studio": Format(("label-studio.json", "label-studio.xml"), label_studio.write, "masks"),
    "cvat": Format(("cvat.xml",), cvat.write, "masks"),
    "cvat-masks": Format(("cvat-masks.zip",), cvat_masks.write, "masks"),
    "coco": Format(("coco.json",), coco.write, "polygons"),
    "labelme": Format(("{stem}.json",), labelme.write, "polygons"),
}
# What tells JSON of a format, and what reads it.
_JSON = (
    (label_studio.is_label_studio, label_studio.read),
    (coco.is_coco, coco.read),
    (labelme.is_labelme, labelme.read),
)
_CVAT_XML = "annotations.xml"


def read_annotations(source: Path, images: Path | None = None) -> Annotations:
    """Reads what an annotation tool wrote; the format is told by its content.

    Args:
        source: A JSON file of Label Studio, COCO or labelme, a folder of labelme's, or CVAT's XML or archive,
            packed or not.
        images: The folder of the images; by default beside the source.

    Raises:
        InputError: It is none of these, or an annotation in it is wrong.
    """
    if source.is_dir() and not any((source / name).is_file() for name in (cvat_masks.LABELS, _CVAT_XML)):
        return labelme.read(source, None, images)
    if source.is_dir():
        paths = [path for path in source.rglob("*") if path.is_file()]
        files = {path.relative_to(source).as_posix(): path.read_bytes for path in paths}
        return _read_archive(source, files, images or source)
    if zipfile.is_zipfile(regular_file(source)):
        try:
            with zipfile.ZipFile(source) as archive:
                files = {entry.filename: _member(source, archive, entry) for entry in archive.infolist()}
                return _read_archive(source, files, images)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            raise InputError(f"{source}: cannot be unpacked ({error}); export it again.") from None
    if source.suffix.lower() == ".xml":
        return cvat.read(source, source.read_bytes(), images)
    content = parse_json(source, read_text(source))
    for is_format, read in _JSON:
        if is_format(content):
            return read(source, content, images)
    raise InputError(
        f"{source}: holds {json.dumps(content)[:40]}, which no annotation tool writes; name another."
    )


def _read_archive(source, files, images):
    if cvat_masks.LABELS in files:
        return cvat_masks.read(source, files, images)
    if _CVAT_XML in files:
        return cvat.read(source, files[_CVAT_XML](), images)
    raise InputError(f"{source}: holds neither {cvat_masks.LABELS} nor {_CVAT_XML}; name an archive of CVAT.")


def _member(source, archive, entry):
    def read():
        # What is unpacked ends at the size that the archive tells.
        if entry.file_size > _MAX_BYTES:
            raise InputError(f"{source}: {entry.filename} has {entry.file_size} bytes; unpack it by hand.")
        return archive.read(entry)

    return read


class Writer:
    """Writes predictions for an annotation tool, each file whole or not at all.

    Args:
        name: Key of FORMATS.
        export: Export.
        save: Takes a path and bytes.

    Raises:
        InputError: The format cannot hold a class's name.
    """

    def __init__(self, name: str, export: Export, save: Callable[[Path, bytes], None]):
        self._format, self._export, self._save = FORMATS[name], export, save
        self._images: list[AnnotatedImage] = []
        if not self._format.is_per_image:
            # Names of classes that the format cannot hold are refused before anything is predicted.
            list(self._format.write([], export))

    def add(self, image: AnnotatedImage) -> None:
        """Takes a PredictedImage, and writes it where its format has a file for each."""
        if self._format.is_per_image:
            self._write([image])
        else:
            self._images.append(image)

    def finish(self) -> None:
        """Writes what belongs to all images together."""
        if not self._format.is_per_image:
            self._write(self._images)

    def _write(self, images):
        for name, contents in self._format.write(images, self._export):
            self._save(self._export.folder / name, contents)
