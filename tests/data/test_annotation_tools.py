"""The tools' own packages read the same masks from what we write, and we from what they write.

`ANNOTATION_TOOLS` names the Python of an environment that has them; CONTRIBUTING.md says how to make one.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from keras_seg.data.annotation.formats import FORMATS
from tests.data.test_annotation import convert, predict

ASK = Path(__file__).parent / "annotation_tools/ask.py"
SIZES = ((240, 320), (97, 131))
CLASSES = ("background", "tree", "house", "car")
# labelme draws the outline of a polygon too, so that a region is up to a pixel wider.
WIDER = {("labelme", "polygons")}
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif("ANNOTATION_TOOLS" not in os.environ, reason="ANNOTATION_TOOLS names no Python"),
]


def ask(command, name, folder, *words):
    """Returns the package and its version."""
    (folder / "classes.json").write_text(json.dumps(CLASSES))
    answer = subprocess.run(
        [os.environ["ANNOTATION_TOOLS"], ASK, command, name, folder, *words],
        capture_output=True,
        text=True,
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.splitlines()[-1]


def equal(found, masks):
    """Returns the pixels that are equal, and all."""
    assert found.keys() == masks.keys()
    return sum((found[stem] == mask).sum() for stem, mask in masks.items()), sum(
        m.size for m in masks.values()
    )


@pytest.mark.parametrize("shapes", ["masks", "polygons"])
@pytest.mark.parametrize("name", FORMATS)
def test_the_tool_reads_what_we_write(tmp_path, name, shapes, capsys):
    masks = predict(tmp_path, CLASSES, SIZES, annotations=name, annotation_shapes=shapes)
    np.savez(tmp_path / "masks.npz", **masks)
    package = ask("read", name, tmp_path, shapes.removesuffix("s"))
    found = dict(np.load(tmp_path / "read.npz"))
    same, pixels = equal(found, masks)
    with capsys.disabled():
        print(f"\n{name}, {shapes}: read by {package}: {same} of {pixels} pixels equal")
    if (name, shapes) not in WIDER:
        assert same == pixels
        return
    for stem, mask in masks.items():
        padded = np.pad(mask, 1, mode="edge")
        height, width = mask.shape
        near = [padded[y : y + height, x : x + width] == found[stem] for y in range(3) for x in range(3)]
        assert np.logical_or.reduce(near).all()


@pytest.mark.parametrize("name", FORMATS)
def test_we_read_what_the_tool_writes(tmp_path, name, capsys):
    masks = predict(tmp_path, CLASSES, SIZES)
    np.savez(tmp_path / "masks.npz", **masks)
    package = ask("write", name, tmp_path)
    source = tmp_path / "tool"
    if name in ("coco", "label-studio"):
        source = source / "tool.json"
    elif name == "cvat":
        (source,) = source.glob("*.xml")
    _, found = convert(tmp_path, source, "--classes", *CLASSES)
    same, pixels = equal(found, masks)
    with capsys.disabled():
        print(f"\n{name}: written by {package}: {same} of {pixels} pixels equal")
    assert same == pixels
