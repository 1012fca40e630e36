"""CVAT for images 1.1: an XML file with the shapes of all images."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from keras_seg.data.annotation.raster import region_mask
from keras_seg.data.annotation.runs import encode, make_runs
from keras_seg.data.annotation.shapes import (
    AnnotatedImage,
    Annotations,
    Shape,
    check_xml,
    ellipse,
    hex_color,
    image_name,
    polygon,
    reading,
    rectangle,
    rotated,
)
from keras_seg.data.annotation.xml_files import parse_xml
from keras_seg.errors import InputError

_SHAPES = ("polygon", "mask", "box", "ellipse")
_SKIPPED = ("tag",)


def read(source: Path, contents: bytes, images: Path | None) -> Annotations:
    """Reads a file's bytes; the classes come in the order of its labels, where it lists them."""
    root = parse_xml(source, contents)
    if root.tag != "annotations" or root.find("track") is not None:
        raise InputError(f"{source}: is not of CVAT for images; export it as `CVAT for images 1.1`.")
    names = [label.findtext("name") for label in root.iterfind("meta//labels/label")]
    found = []
    for element in root.iterfind("image"):
        with reading(source, f"image {element.get('name')!r}"):
            found.append(_read_image(source, element, images or source.parent))
    return Annotations(found, tuple(dict.fromkeys(name for name in names if name)) or None)


def _read_image(source, element, folder):
    name = image_name(source, element.attrib["name"])
    size = (int(element.attrib["height"]), int(element.attrib["width"]))
    shapes = []
    # Python's sort keeps the order of those at one height.
    for number, drawn in enumerate(element, start=1):
        title = f"{drawn.tag} {number} of {name.as_posix()}"
        if drawn.tag in _SKIPPED:
            continue
        with reading(source, title):
            if drawn.tag not in _SHAPES:
                raise InputError(
                    f"{source}: {title} encloses nothing; draw one of {', '.join(_SHAPES)}, or take it out."
                )
            shape = Shape(drawn.attrib["label"], _read_region(source, title, drawn, size), title)
            shapes.append((int(drawn.get("z_order", 0)), shape))
    ordered = [shape for _, shape in sorted(shapes, key=lambda pair: pair[0])]
    return AnnotatedImage(folder / name, name.with_suffix("").as_posix(), size, ordered, source)


def _read_region(source, title, element, size):
    if element.tag == "mask":
        box = [int(element.attrib[key]) for key in ("left", "top", "width", "height")]
        return make_runs(_numbers(element.attrib["rle"], int), box, size, by_columns=False)
    if element.tag == "polygon":
        pairs = [_numbers(pair) for pair in element.attrib["points"].split(";")]
        return polygon(source, title, pairs)
    turn = float(element.get("rotation", 0))
    if element.tag == "ellipse":
        x, y, radius_x, radius_y = (float(element.attrib[key]) for key in ("cx", "cy", "rx", "ry"))
        return polygon(source, title, rotated(ellipse(x, y, radius_x, radius_y), turn, (x, y)))
    left, top, right, bottom = (float(element.attrib[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
    center = ((left + right) / 2, (top + bottom) / 2)
    return polygon(source, title, rotated(rectangle(left, top, right, bottom), turn, center))


def _numbers(text, kind=float):
    return [kind(number) for number in text.split(",")]


def write(images, export):
    """Writes all images into one file; yields its name and bytes.

    CVAT keeps a score where its label has an attribute of that name.
    """
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    labels = ElementTree.SubElement(
        ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task"), "labels"
    )
    for name, color in zip(export.classes, export.colors, strict=True):
        _write_label(labels, check_xml(name), color)
    for number, image in enumerate(images):
        height, width = image.size
        element = ElementTree.SubElement(
            root,
            "image",
            id=str(number),
            name=check_xml(image.known_as),
            width=str(width),
            height=str(height),
        )
        for region in image.regions:
            _write_shape(element, region, image.size, export)
    ElementTree.indent(root)
    yield "cvat.xml", ElementTree.tostring(root, "utf-8", xml_declaration=True)


def _write_label(parent, name, color):
    label = ElementTree.SubElement(parent, "label")
    ElementTree.SubElement(label, "name").text = name
    ElementTree.SubElement(label, "color").text = hex_color(color)
    ElementTree.SubElement(label, "type").text = "any"
    attribute = ElementTree.SubElement(ElementTree.SubElement(label, "attributes"), "attribute")
    values = {"name": "score", "mutable": "False", "input_type": "text", "default_value": "", "values": ""}
    for key, value in values.items():
        ElementTree.SubElement(attribute, key).text = value


def _write_shape(parent, region, size, export):
    common = {"label": export.classes[region.class_id], "source": "auto", "occluded": "0", "z_order": "0"}
    if export.shapes == "polygons" and len(region.rings) == 1:
        points = ";".join(f"{x},{y}" for x, y in region.rings[0].tolist())
        element = ElementTree.SubElement(parent, "polygon", common | {"points": points})
    else:
        (left, top), pixels = region_mask(region.rings, size)
        box = {"left": left, "top": top, "width": pixels.shape[1], "height": pixels.shape[0]}
        place = {key: str(value) for key, value in box.items()}
        runs = ", ".join(map(str, encode(np.asarray(pixels))))
        element = ElementTree.SubElement(parent, "mask", common | {"rle": runs} | place)
    ElementTree.SubElement(element, "attribute", name="score").text = f"{region.score:.4f}"
