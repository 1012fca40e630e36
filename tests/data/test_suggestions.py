import json

import numpy as np
import pytest

from keras_seg.cli import main
from keras_seg.data import check_dataset, load_dataset
from keras_seg.data.doctor.examination import examine
from keras_seg.data.folders.writing import write_description
from keras_seg.errors import InputError
from keras_seg.palette import default_colors
from tests.data.helpers import PALETTE, encode, png, write_folder

CLASSES = {"classes": ["x", "y", "z"]}
SIZE = (48, 64)
MASK = np.arange(48 * 64).reshape(SIZE) // 16 % 3
COLORS = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]])
DEFAULT_COLORS = default_colors(3).tolist()


@pytest.mark.parametrize(
    "contents, description, key, value",
    [
        (png(MASK + 1), CLASSES, "reduce_zero_label", True),
        (png(MASK + 1), {}, "classes", ["class_0", "class_1", "class_2"]),
        (png(np.array([0, 128, 255])[MASK]), {}, "mask_values", [0, 128, 255]),
        (png(MASK // 2 * 255), {"classes": ["ground", "thing"]}, "mask_values", [0, 255]),
        (png(MASK * 50), {}, "mask_values", [0, 50, 100]),
        (encode(COLORS[MASK]), CLASSES, "mask_colors", COLORS.tolist()),
        (encode(COLORS[MASK] + 1), {}, "mask_colors", [[1, 1, 1], [1, 129, 1], [129, 1, 1]]),
        (png(MASK, PALETTE, 8, COLORS), {}, "classes", ["class_0", "class_1", "class_2"]),
    ],
)
def test_fix_writes_a_description_that_makes_the_folder_sound(
    tmp_path, contents, description, key, value, capsys
):
    root = write_folder(tmp_path, 6, SIZE, description=description or None)
    for path in root.glob("masks/*"):
        path.write_bytes(contents)
    try:
        check_dataset(load_dataset(root))
    except InputError as error:  # What cures it is told first.
        assert "`python -m keras_seg doctor " in str(error) and " --fix`" in str(error)
    main(["doctor", str(root), "--fix"])
    assert json.loads((root / "dataset.json").read_text())[key] == value
    assert (root / "dataset.json.bak").exists() == bool(description)
    assert examine(root).errors == []
    check_dataset(load_dataset(root))
    assert "written to" in capsys.readouterr().out


@pytest.mark.parametrize(
    "contents, description, flags, expected",
    [
        (png(MASK * 50), {}, ["--ignore-label", "100"], {"ignore_label": 100, "mask_values": [0, 50]}),
        (
            png(MASK * 50),
            {"classes": ["x", "y", "z"], "mask_values": [0, 50, 100], "ignore_label": 100},
            [],
            {"ignore_label": 100, "mask_values": [0, 50]},
        ),
        (png(MASK * 50), {"reduce_zero_label": True}, [], {"mask_values": [50, 100], "ignore_labels": [0]}),
        (png(MASK * 50), {"ignore_labels": [[50] * 3]}, [], {"mask_values": [0, 100], "ignore_labels": [50]}),
        (encode(COLORS[MASK]), {"mask_values": [0, 1, 2]}, [], {"mask_colors": COLORS.tolist()}),
        (encode(COLORS[MASK]), {"reduce_zero_label": True}, [], {"mask_colors": COLORS.tolist()}),
        (
            encode(COLORS[MASK]),
            {},
            ["--ignore-label", "0"],
            {"mask_colors": COLORS[1:].tolist(), "ignore_label": 0},
        ),
        (png(MASK), {"colors": [[1, 2, 3], [4, 5, 6]]}, [], {"colors": DEFAULT_COLORS}),
        (
            png(MASK + 1),
            {"mask_values": [1, 2, 3], "colors": [[1, 2, 3]] * 3},
            [],
            {"mask_values": [1, 2, 3]},
        ),
    ],
)
def test_fix_leaves_no_key_that_the_others_or_the_masks_exclude(
    tmp_path, contents, description, flags, expected
):
    root = write_folder(tmp_path, 6, SIZE, description=description)
    for path in root.glob("masks/*"):
        path.write_bytes(contents)
    main(["doctor", str(root), "--fix", *flags])
    written = json.loads((root / "dataset.json").read_text())
    assert {key: written.get(key) for key in expected} == expected
    meanings = ("mask_values", "mask_colors", "reduce_zero_label")
    assert [key for key in meanings if key in written] == [key for key in meanings if key in expected]
    check_dataset(load_dataset(root))


def test_fix_never_replaces_what_was_kept_of_the_last(tmp_path):
    root = write_folder(tmp_path, 6, SIZE, MASK, description={"classes": ["x", "y", "z"]})
    contents = [(root / "dataset.json").read_bytes()]
    for value in ("77", "88"):
        main(["doctor", str(root), "--fix", "--ignore-label", value])
        contents.append((root / "dataset.json").read_bytes())
    main(["doctor", str(root), "--fix"])  # Says what is there already.
    kept = {path.name: path.read_bytes() for path in root.glob("dataset.json*")}
    assert kept == dict(zip(["dataset.json.bak", "dataset.json.bak2", "dataset.json"], contents, strict=True))


def test_what_cannot_be_read_again_is_not_written(tmp_path):
    with pytest.raises(InputError, match="'mask_values' and 'reduce_zero_label' contradict"):
        write_description(tmp_path, {"mask_values": [0], "reduce_zero_label": True}, keep_old=True)
    assert list(tmp_path.iterdir()) == []
