"""CVAT's archives of segmentation masks 1.1: labelmap.txt, and a PNG in its colors for each image."""

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np

from keras_seg.data.annotation.raster import region_mask
from keras_seg.data.annotation.runs import mask_runs
from keras_seg.data.annotation.shapes import (
    BACKGROUNDS,
    AnnotatedImage,
    Annotations,
    Shape,
    find_image,
    reading,
)
from keras_seg.data.formats.headers import MAX_PIXELS, stored_size
from keras_seg.errors import InputError
from keras_seg.palette import voc_colors

LABELS = "labelmap.txt"
_MASKS = "SegmentationClass"


def read(source: Path, files: dict, images: Path | None) -> Annotations:
    """Reads an archive, whose files are given as functions that return their bytes by name.

    The image of a mask is told by its name without suffix.
    """
    with reading(source, LABELS):
        colors = _read_labels(source, files[LABELS]().decode("utf-8-sig"))
    prefix, found = f"{_MASKS}/", []
    for name in sorted(files):
        if name.startswith(prefix) and name.endswith(".png"):
            with reading(source, name):
                stem = name.removeprefix(prefix).removesuffix(".png")
                found.append(_read_mask(source, name, stem, files[name](), colors, images or source.parent))
    # Of a background there is nothing to draw.
    return Annotations(found, tuple(colors))


def _read_labels(source, text):
    """Lines of NAME:RED,GREEN,BLUE:PARTS:ACTIONS; where none has a color, they have Pascal VOC's."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    names = [line.split(":")[0] for line in lines]
    if not any(line.split(":")[1] for line in lines):
        return dict(zip(names, map(tuple, voc_colors(len(names)).tolist()), strict=True))
    colors = {}
    for line in lines:
        name, color = line.split(":")[:2]
        red, green, blue = (int(number) for number in color.split(","))
        if not all(0 <= number <= 255 for number in (red, green, blue)):
            raise ValueError(f"{name} has the color {color}")
        if (red, green, blue) in colors.values():
            raise InputError(f"{source}: {LABELS} has the color {color} twice; no mask can tell them.")
        colors[name] = (red, green, blue)
    return colors


def _read_mask(source, name, stem, contents, colors, folder):
    if ".." in Path(stem).parts or Path(stem).is_absolute():
        raise InputError(f"{source}: the file name {name!r} leaves the folder of the images; correct it.")
    size = stored_size(contents)
    if size is None or size[0] * size[1] > MAX_PIXELS:
        raise ValueError("it is no PNG that can be read")
    pixels = cv2.imdecode(np.frombuffer(contents, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("it is a damaged PNG")
    codes = pixels.astype(np.int32) @ np.array([1, 256, 65536])  # OpenCV gives blue, green, red.
    shapes, known = [], np.zeros(size, bool)
    for label, (red, green, blue) in colors.items():
        region = codes == red * 65536 + green * 256 + blue
        known |= region
        if label not in BACKGROUNDS and region.any():
            shapes.append(Shape(label, mask_runs(region, (0, 0), size), f"{name}, {label!r},"))
    if not known.all():
        y, x = np.argwhere(~known)[0]
        blue, green, red = pixels[y, x].tolist()
        raise InputError(
            f"{source}: {name} has the color {red},{green},{blue} at {x}, {y}, which {LABELS} does not name;"
            " add it there."
        )
    return AnnotatedImage(find_image(folder, stem), stem, size, shapes, source)


def write(images, export):
    """Writes all images into one archive; yields its name and bytes. Masks have no place for scores."""
    names = ["background", *(name for name in export.classes if name not in BACKGROUNDS)]
    colors = voc_colors(len(names))
    ids = [0 if name in BACKGROUNDS else names.index(name) for name in export.classes]
    lines = [
        f"{name}:{','.join(map(str, color))}::" for name, color in zip(names, colors.tolist(), strict=True)
    ]
    if broken := [
        name for name in names if ":" in name or name.startswith("#") or name.splitlines() != [name]
    ]:
        raise InputError(f"{broken[0]!r}: is a name that {LABELS} cannot hold; take another format.")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(LABELS, "# label:color_rgb:parts:actions\n" + "\n".join(lines) + "\n")
        stems = []
        for image in images:
            mask = np.zeros(image.size, np.uint8)
            for region in image.regions:
                (left, top), pixels = region_mask(region.rings, image.size)
                mask[top : top + pixels.shape[0], left : left + pixels.shape[1]][pixels] = ids[
                    region.class_id
                ]
            _, png = cv2.imencode(".png", colors[mask][..., ::-1])
            stems.append(image.image.stem)
            archive.writestr(f"{_MASKS}/{stems[-1]}.png", png.tobytes())
        archive.writestr("ImageSets/Segmentation/default.txt", "".join(f"{stem}\n" for stem in stems))
    yield "cvat-masks.zip", content.getvalue()
