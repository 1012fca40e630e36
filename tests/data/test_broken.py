"""Deliberately broken data sets: each defect is named by the doctor and by the command that trains."""

import json
import re
import shutil

import numpy as np
import pytest

from keras_seg import InputError
from keras_seg.cli import main
from keras_seg.data import check_dataset, load_dataset
from keras_seg.data.doctor.examination import examine
from keras_seg.data.doctor.reports import draw_sheet
from tests.data.helpers import GREY, PALETTE, encode, picture, png, write_folder

SIZE = (48, 64)
MASK = np.arange(48 * 64).reshape(SIZE) // 16 % 3
COLORS = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]])
PAIRS = "".join(f"images/{index}.jpg,masks/{index}.png\n" for index in range(5))


def _mask(mask, *options, index=3):
    """Puts a mask in the place of one."""
    return lambda root: (root / f"masks/{index}.png").write_bytes(png(mask, *options))


def _masks(contents):
    def spoil(root):
        for path in root.glob("masks/*"):
            path.write_bytes(contents)

    return spoil


def _file(name, contents):
    return lambda root: (root / name).write_bytes(
        contents if isinstance(contents, bytes) else contents.encode()
    )


def _json(**content):
    return _file("dataset.json", json.dumps(content))


def _odd_value(root):
    mask = MASK.copy()
    mask[0, :7] = 77
    for kind, contents in (("images/3.jpg", None), ("masks/3.png", png(mask))):
        path = root / kind
        contents = contents or path.read_bytes()
        path.unlink()
        path.with_name("gr\udcfcn\n" + path.suffix.upper()).write_bytes(contents)


def _broken_link(root):
    (root / "images/3.jpg").unlink()
    (root / "images/3.jpg").symlink_to("gone.jpg")


def _same_image(root):
    shutil.copy(root / "images/2.jpg", root / "images/3.jpg")
    _mask((MASK + 1) % 3)(root)


def _shuffled_palette(root):
    for index in range(6):
        order = [0, 2, 1] if index == 3 else [0, 1, 2]
        _mask(np.argsort(order)[MASK], PALETTE, 8, COLORS[order], index=index)(root)


def _subfolders(root):
    for kind in ("images", "masks"):
        (root / kind).rename(root / "ulm")
        (root / kind).mkdir()
        (root / "ulm").rename(root / kind / "ulm")


DEFECTS = {
    "a text file named .png": (_file("masks/3.png", "text"), r"masks/3\.png: is not an image .*b'text'"),
    "an empty image": (_file("images/3.jpg", b""), r"images/3\.jpg: is empty \(0 bytes\)"),
    "a truncated mask": (
        _file("masks/3.png", png(MASK)[:-20]),
        r"masks/3\.png: is a truncated or damaged PNG",
    ),
    "a link to nothing": (_broken_link, r"images/3\.jpg: cannot be read: No such file"),
    "a JPEG as mask": (_file("masks/3.png", encode(MASK, ".jpg")), r"masks/3\.png: is a JPEG"),
    "a mask of another size": (_mask(MASK[:40]), r"masks/3\.png: is 64 x 40 pixels, but .*3\.jpg is 64 x 48"),
    "a mask on its side": (_mask(MASK.T), r"masks/3\.png: is 48 x 64 pixels, .* on its side; turn the mask"),
    "a color mask": (
        _file("masks/3.png", encode(COLORS[MASK])),
        r"masks/3\.png: is a color image: 2048 pixels have colors such as RGB \(128, 0, 0\); "
        r".*--mask-colors FILE",
    ),
    "a value beyond the classes": (
        _mask(np.where(MASK == 2, 99, MASK)),
        r"masks/3\.png: 1024 pixels have the value 99, which is not a class .* 1 of 6 masks",
    ),
    "a value in files of odd names": (_odd_value, r"gr\\udcfcn.*PNG: 7 pixels have the value 77"),
    "255 as foreground in one mask": (
        _mask((MASK == 1) * 255),
        r"masks/3\.png: holds 0 and 255, and other masks hold 1, 2; if its 1024 pixels .*`?ignore_labels",
    ),
    "255 as foreground in all": (
        _masks(png((MASK == 1) * 255)),
        r'hold only 0, 255: .*"mask_values": \[0, 255\]',
    ),
    "one mask off by one": (_mask(MASK + 1), r"masks/3\.png: 1024 pixels have the value 3, .*off by one"),
    "all masks off by one": (_masks(png(MASK + 1)), r"run from 1 to 3, off by one: --reduce-zero-label"),
    "ids stretched to 16 bits": (_mask(MASK * 257, GREY, 16), r"masks/3\.png: .*are 257 times 8-bit ids"),
    "grey levels as classes": (
        _masks(png(MASK * 50)),
        r'if 0, 50, 100 are the classes in this order, put "mask_values": \[0, 50, 100\]',
    ),
    "palettes in another order": (
        _shuffled_palette,
        r"masks/3\.png: its palette has RGB \(0, 128, 0\) as 1, .* as 2",
    ),
    "a list that holds nothing": (_file("train.csv", ""), r"holds no pairs; add some"),
    "a list with an open quote": (
        _file("train.csv", '"images/0.jpg,masks/0.png\n'),
        r"train\.csv: line 1 is no CSV",
    ),
    "a list of three columns": (_file("train.csv", PAIRS + "1,2,3"), r"train\.csv: line 6 holds 3 columns"),
    "a list of a file that is not there": (
        _file("train.csv", PAIRS + f"{'x' * 300}.jpg,masks/0.png"),
        r"train\.csv: line 6 names x+\.jpg, which does not exist",
    ),
    "a list in UTF-16": (_file("train.csv", PAIRS.encode("utf-16")), r"train\.csv: is not UTF-8 text"),
    "images in subfolders": (_subfolders, r"images: holds no images; name its folder ulm under `splits`"),
    "a key that is there twice": (
        _file("dataset.json", '{"ignore_label": 1, "ignore_label": 2}'),
        r"dataset\.json: has the key 'ignore_label' twice",
    ),
    "a key of another type": (
        _json(classes="xyz"),
        r"dataset\.json: 'classes' must be a list .*received \"xyz\"",
    ),
    "a key that does not exist": (
        _json(labels=["x"]),
        r"dataset\.json: unknown key 'labels'; the keys are classes",
    ),
    "nothing but brackets": (
        _file("dataset.json", "[" * 100000),
        r"dataset\.json: is not JSON: .*nested too deep",
    ),
    "an endless number": (
        _file("dataset.json", "9" * 5000),
        r"dataset\.json: (is not JSON|must hold an object)",
    ),
    "a null byte in a name": (_json(splits={"train": "a\0b.csv"}), r"b\.csv: cannot be read as a list"),
    "a class that is ignored": (
        _json(classes=["x", "y", "z"], mask_values=[0, 1, 2], ignore_label=1),
        r"1 is a class and ignored as well; correct `ignore_label`",
    ),
    "a color that no mask can hold": (
        _json(mask_colors=COLORS.tolist(), ignore_label=1000),
        r"the value 1000 is ignored, but masks in color hold 0 to 255",
    ),
}

# What may be meant: told, and refused by those who ask for it.
DOUBTS = {
    "two masks of one image": (_same_image, r"masks/3\.png: labels the same image as .*2\.png and differs"),
    "an image twice": (
        lambda root: shutil.copy(root / "images/2.jpg", root / "images/3.jpg"),
        r"images/3\.jpg: the same file as .*2\.jpg, with the same mask",
    ),
    "one image in both lists": (
        lambda root: [_file(name, PAIRS)(root) for name in ("train.csv", "val.csv")],
        r"images/0\.jpg: is listed twice, in the splits train and val; .* \(4 more like it\)",
    ),
    "one image in both lists with another mask": (
        lambda root: [
            _file("train.csv", PAIRS)(root),
            _file("val.csv", "images/0.jpg,masks/5.png\n")(root),
            _mask((MASK + 1) % 3, index=5)(root),
        ],
        r"images/0\.jpg: is listed twice, in the splits train and val, with another mask",
    ),
}


@pytest.fixture
def folder(tmp_path):
    """Six sound pairs; the doctor has nothing to say but that there is no val split."""
    return write_folder(tmp_path / "data", 6, SIZE, MASK, {"classes": ["x", "y", "z"]})


@pytest.mark.parametrize("name", DEFECTS)
def test_a_broken_folder_is_refused_by_the_doctor_and_by_training(folder, tmp_path, name, capsys):
    spoil, message = DEFECTS[name]
    spoil(folder)
    flags = ["--output", str(tmp_path / "run"), "--weights", "none"]
    for command in (["doctor"], ["train", "--model", "unet", *flags, "--data"]):
        assert main([*command, str(folder)]) == 2
        out, err = capsys.readouterr()
        last = "".join(err.strip().splitlines()[-1:]).encode(errors="backslashreplace").decode()
        text = out.encode(errors="backslashreplace").decode() + last
        assert re.search(message, text.replace("\\\\", "\\")), text
        assert "Traceback" not in out + err
    assert last.startswith("error: ")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", DOUBTS)
def test_a_doubtful_pair_is_told_and_strictly_refused(folder, name, capsys):
    spoil, message = DOUBTS[name]
    spoil(folder)
    assert main(["doctor", str(folder)]) == 1
    assert re.search(message.split(" \\(")[0], capsys.readouterr().out)
    dataset = load_dataset(folder)
    assert any(re.search(message, line) for line in check_dataset(dataset))
    with pytest.raises(InputError, match=message):
        check_dataset(dataset, strict=True)
    flags = ["--output", str(folder / "run"), "--weights", "none", "--model", "unet", "--strict"]
    assert main(["train", "--data", str(folder), *flags]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_training_prints_what_the_check_warns_of(folder, tmp_path, capsys):
    shutil.copy(folder / "images/1.jpg", folder / "images/2.jpg")
    flags = ["--output", str(tmp_path / "run"), "--weights", str(tmp_path / "none.h5"), "--model", "unet"]
    assert main(["train", "--data", str(folder), *flags]) == 2  # for want of the weights
    assert "warning: " in (out := "".join(capsys.readouterr()))
    assert "2.jpg: the same file as" in out


def test_a_folder_without_training_pairs_is_told(folder):
    (folder / "dataset.json").write_text('{"splits": {"val": {"images": "images", "masks": "masks"}}}')
    (problem,) = examine(folder).warnings
    assert "has no train split, only val" in problem.text


def test_an_ignored_class_is_told(folder):
    (folder / "dataset.json").write_text('{"classes": ["x", "y", "z"], "ignore_label": 1}')
    found = {problem.kind: problem.text for problem in examine(folder).warnings}
    assert sorted(found) == ["ignored", "split"]
    assert "the class y has the value 1, which is ignored" in found["ignored"]


@pytest.mark.parametrize("palette", [np.zeros((256, 3)), COLORS])
def test_palettes_that_agree_or_say_nothing_pass(folder, palette):
    for index in range(6):
        _mask((MASK + index) % 3, PALETTE, 8, palette, index=index)(folder)
    assert examine(folder).errors == []


def test_the_flags_for_masks_reach_the_doctor_and_its_fix(folder, tmp_path, capsys):
    _masks(encode(COLORS[MASK]))(folder)
    table = tmp_path / "colors.txt"
    table.write_text("0 0 0 x\n128 0 0 y\n0 128 0 z\n")
    assert main(["doctor", str(folder), "--mask-colors", str(table), "--fix"]) == 1
    assert json.loads((folder / "dataset.json").read_text())["mask_colors"] == COLORS.tolist()
    assert main(["doctor", str(folder)]) == 1
    assert "errors: none" in capsys.readouterr().out


def test_unnamed_ids_from_one_are_suggested_to_be_shifted(folder):
    (folder / "dataset.json").unlink()
    _masks(png(MASK + 1))(folder)
    report = examine(folder)
    assert report.suggestion["reduce_zero_label"]
    assert any("--reduce-zero-label" in problem.text for problem in report.warnings)


def test_smeared_masks_get_no_suggestion_of_classes(folder):
    (folder / "dataset.json").unlink()
    smeared = np.where(MASK > 0, 100, 0)
    smeared[::9, ::9] = np.arange(6 * 8).reshape(6, 8) % 20 + 80
    _masks(png(smeared))(folder)
    report = examine(folder)
    assert "went through JPEG or smooth scaling" in report.errors[0].text
    assert "mask_values" not in report.suggestion


def test_the_sheet_shows_the_pairs_with_problems_first(folder):
    sound = draw_sheet(examine(folder), 1)
    (folder / "images/3.jpg").write_bytes(encode(picture(*SIZE, seed=3) * 0, ".jpg"))
    _mask(np.where(MASK == 2, 99, MASK))(folder)
    sheet = draw_sheet(examine(folder), 2)
    assert sheet.shape[0] > sound.shape[0]
    assert sheet[100:150, 100:150].max() == 0  # The black image is on top.
