import json
import re
import shutil

import cv2
import numpy as np
import pytest

from keras_seg.cli import main
from keras_seg.data import check_dataset, load_dataset
from keras_seg.data.doctor.examination import examine
from keras_seg.errors import InputError
from keras_seg.training.optim.class_weights import class_weights
from tests.data.helpers import encode, picture, png, write_folder

CLASSES = {"classes": ["x", "y", "z"]}
SIZE = (48, 64)
MASK = np.arange(48 * 64).reshape(SIZE) // 16 % 3


@pytest.fixture
def folder(tmp_path):
    """Sixteen sound pairs, eight of them for validation."""
    splits = {name: {"images": f"{name}/i", "masks": f"{name}/m"} for name in ("train", "val")}
    root = tmp_path / "data"
    for name in splits:
        write_folder(root, 8, SIZE, MASK, CLASSES | {"splits": splits}, f"{name}/i", f"{name}/m")
    for index, path in enumerate(sorted(root.glob("val/i/*"))):
        path.write_bytes(encode(picture(*SIZE, seed=100 + index), ".jpg"))
    return root


def _kinds(problems):
    return sorted(problem.kind for problem in problems)


def test_a_sound_folder_is_clean(folder, capsys):
    report = examine(folder)
    assert (report.errors, report.warnings, report.status) == ([], [], 0)
    assert main(["doctor", str(folder)]) == 0
    assert "errors: none" in capsys.readouterr().out


def test_pixels_images_and_weights_are_counted(folder):
    mask = np.zeros(SIZE, int)
    mask[:12], mask[12:18], mask[18:24] = 1, 2, 255
    for path in folder.glob("train/m/*"):
        path.write_bytes(png(mask))
    (folder / "train/m/0.png").write_bytes(png(mask * 0))
    report = examine(folder)
    assert report.pixels["train"].tolist() == [48 * 64 + 7 * 24 * 64, 7 * 12 * 64, 7 * 6 * 64]
    assert report.images["train"].tolist() == [8, 7, 7]
    assert report.ignored["train"] == 7 * 6 * 64
    # By hand: pixels of a class by labeled pixels of the images with it, in rows of 48, 6 of them ignored.
    frequencies = np.array([(48 + 7 * 24) / (48 + 7 * 42), 12 / 42, 6 / 42])
    np.testing.assert_allclose(report.weights, np.median(frequencies) / frequencies, atol=1e-4)
    np.testing.assert_allclose(report.weights, class_weights("balanced", load_dataset(folder)), atol=1e-4)


def _orphan_image(root):
    (root / "train/m/3.png").unlink()


def _orphan_mask(root):
    (root / "train/i/3.jpg").unlink()


def _truncate(root):
    path = root / "train/i/3.jpg"
    path.write_bytes(path.read_bytes()[:200])


def _size(root):
    (root / "train/m/3.png").write_bytes(png(MASK[:40]))


def _color(root):
    (root / "train/m/3.png").write_bytes(encode(np.uint8([[9, 0, 0], [0, 9, 0], [0, 0, 9]])[MASK]))


def _jpeg(root):
    (root / "train/m/3.png").write_bytes(encode(MASK, ".jpg"))


def _value(root):
    mask = MASK.copy()
    mask[0, :7] = 77
    (root / "train/m/3.png").write_bytes(png(mask))


def _leak(root):
    shutil.copy(root / "train/i/3.jpg", root / "val/i/3.jpg")


ERRORS = [
    (_orphan_image, "orphan", r"train.i.3\.jpg: has no mask 3\.png"),
    (_orphan_mask, "orphan", r"train.m.3\.png: has no image 3\.jpg"),
    (_truncate, "unreadable", r"train.i.3\.jpg: is a truncated or damaged JPEG \(200 bytes\)"),
    (_size, "size", r"train.m.3\.png: is 64 x 40 pixels, but .*3\.jpg is 64 x 48"),
    (_color, "color", r"train.m.3\.png: is a color image: 3072 pixels .*--mask-colors FILE"),
    (_jpeg, "unreadable", r"train.m.3\.png: is a JPEG"),
    (_value, "value", r"train.m.3\.png: 7 pixels have the value 77, .* 1 of 16 masks"),
]


@pytest.mark.parametrize("spoil, kind, message", ERRORS)
def test_a_defect_alone_is_named_by_the_doctor_and_stops_the_training(folder, spoil, kind, message, capsys):
    spoil(folder)
    report = examine(folder)
    assert _kinds(report.errors) == [kind]
    assert report.status == 2
    assert main(["doctor", str(folder)]) == 2
    with pytest.raises(InputError, match=message):
        check_dataset(load_dataset(folder))
    assert "Traceback" not in capsys.readouterr().err


def test_the_command_that_trains_refuses_a_broken_folder(folder, tmp_path, capsys):
    _value(folder)
    flags = ["--data", str(folder), "--output", str(tmp_path / "run"), "--weights", "none"]
    assert main(["train", "--model", "unet", *flags]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert "3.png: 7 pixels have the value 77" in error
    assert not (tmp_path / "run" / "best.keras").exists()


def test_all_defects_together_are_all_named(folder):
    spoilers = (_truncate, _size, _color, _jpeg, _value, _orphan_image)
    for index, spoil in enumerate(spoilers):
        spoil(folder)  # on pair 3, which then makes room for the next
        for kind in ("i", "m"):
            for path in folder.glob(f"train/{kind}/3.*"):
                path.rename(path.with_stem(f"bad{index}"))
        (folder / "train/i/3.jpg").write_bytes(encode(picture(*SIZE, seed=50 + index), ".jpg"))
        (folder / "train/m/3.png").write_bytes(png(MASK))
    _leak(folder)
    report = examine(folder)
    found = report.errors
    assert _kinds(found) == ["color", "orphan", "size", "unreadable", "unreadable", "value"]
    assert "leak" in _kinds(report.warnings)
    for index in range(len(spoilers)):
        assert sum(f"bad{index}." in problem.text.split(": ")[0] for problem in found) == 1


def test_absent_classes_are_told(folder):
    for path in folder.glob("val/m/*"):
        path.write_bytes(png(MASK % 2))
    report = examine(folder)
    assert _kinds(report.warnings) == ["absent"]
    assert "val holds no pixel of z" in report.warnings[0].text
    assert main(["doctor", str(folder)]) == 1


def test_an_image_in_two_splits_is_told(folder):
    _leak(folder)
    (report,) = examine(folder).warnings
    assert report.kind == "leak"
    assert re.search(r"train.i.3\.jpg: the same file as .*val.i.3\.jpg, in the splits train", report.text)
    assert main(["doctor", str(folder)]) == 1


def test_the_same_image_twice_is_told(folder):
    shutil.copy(folder / "train/i/3.jpg", folder / "train/i/5.jpg")
    (report,) = examine(folder).warnings
    assert report.kind == "duplicate"
    assert "5.jpg: the same file as" in report.text


def test_an_image_that_was_encoded_anew_is_found_in_the_other_split(folder):
    image = picture(*SIZE, seed=3)
    (folder / "val/i/6.jpg").write_bytes(encode(cv2.GaussianBlur(image, (3, 3), 0), ".png"))
    (report,) = examine(folder).warnings
    assert report.kind == "similar"
    assert "6.jpg: looks like" in report.text
    assert "they are in train and val" in report.text


def test_a_mask_of_nothing_but_void_is_told(folder):
    (folder / "train/m/3.png").write_bytes(png(MASK * 0 + 255))
    (report,) = examine(folder).warnings
    assert report.text.endswith("3.png: every pixel is ignored; label it or leave the pair out.")


def test_a_foreground_of_255_among_ids_of_0_and_1_is_refused(tmp_path):
    root = write_folder(tmp_path, 6, SIZE, MASK // 2)
    (root / "masks/3.png").write_bytes(png(MASK // 2 * 255))
    with pytest.raises(InputError, match=r"3\.png: holds 0 and 255, and other masks hold 1; .*ignore_labels"):
        check_dataset(load_dataset(root))
    check_dataset(load_dataset(root, ignore_label=255))


def test_json_is_the_whole_report(folder, capsys):
    _value(folder)
    assert main(["doctor", str(folder), "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert report["pairs"] == {"train": 8, "val": 8}
    assert report["sizes"] == [{"width": 64, "height": 48, "images": 16}]
    assert [error["kind"] for error in report["errors"]] == ["value"]
    assert report["classes"][0]["images"] == {"train": 8, "val": 8}


def test_a_sheet_shows_images_and_masks(folder, tmp_path):
    assert main(["doctor", str(folder), "--sheet", str(tmp_path / "sheet.png")]) == 0
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape[1] > 3 * 320


def test_what_the_program_draws_is_clean(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "shapes", "--sheet", "sheet.png"]) == 0
    assert "pairs    train 480, val 80" in capsys.readouterr().out
    assert cv2.imread("sheet.png").shape[1] > 3 * 320
    assert main(["doctor", "shapes", "--fix"]) == 2
    assert "shapes is drawn by the program and has no dataset.json" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_a_folder_of_nothing_is_an_error_in_one_line(tmp_path, capsys):
    assert main(["doctor", str(tmp_path)]) == 2
    assert "is empty; expected images/" in capsys.readouterr().err
