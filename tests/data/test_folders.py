import shutil
from pathlib import Path

import numpy as np
import pytest

from keras_seg.cli import main
from keras_seg.data import IGNORE, load_dataset, read_sample
from keras_seg.errors import InputError
from tests.data.helpers import encode, picture, png, write_folder

SPLITS = {
    "train": {"images": "a", "masks": "b"},
    "val": {"images": "c", "masks": "d"},
}


@pytest.mark.parametrize(
    "train, val",
    [
        (("images/train", "masks/train"), ("images/val", "masks/val")),
        (("train/images", "train/masks"), ("val/images", "val/masks")),
        (("train", "trainannot"), ("val", "valannot")),
        (("imgs/train", "masks/train"), ("imgs/val", "masks/val")),
        (("train/imgs", "train/labels"), ("val/imgs", "val/labels")),
        (("images/training", "annotations/training"), ("images/validation", "annotations/validation")),
    ],
)
def test_known_layouts_are_found(tmp_path, train, val):
    write_folder(tmp_path, 3, images=train[0], labels=train[1])
    write_folder(tmp_path, 2, images=val[0], labels=val[1])
    dataset = load_dataset(tmp_path)
    assert {name: len(samples) for name, samples in dataset.splits.items()} == {"train": 3, "val": 2}
    assert dataset.splits["val"][1].image == tmp_path / val[0] / "1.jpg"
    assert dataset.splits["val"][1].mask == tmp_path / val[1] / "1.png"
    assert dataset.classes == ("class_0", "class_1", "class_2")


@pytest.mark.parametrize("images", ["images", "imgs"])
@pytest.mark.parametrize("masks", ["masks", "labels", "annotations"])
def test_folders_of_any_known_name_are_found(tmp_path, images, masks):
    write_folder(tmp_path, 3, images=images, labels=masks)
    assert sum(map(len, load_dataset(tmp_path).splits.values())) == 3


def test_a_description_is_read(tmp_path):
    description = {
        "classes": ["x", "y"],
        "colors": [[1, 2, 3], [4, 5, 6]],
        "ignore_label": 2,
        "splits": SPLITS,
    }
    write_folder(tmp_path, 2, images="a", labels="b", description=description)
    write_folder(tmp_path, 1, images="c", labels="d")
    dataset = load_dataset(tmp_path)
    assert dataset.classes == ("x", "y")
    assert dataset.colors == ((1, 2, 3), (4, 5, 6))
    assert dataset.ignore_label == 2
    assert dataset.num_classes == 2
    assert [len(dataset.split(name)) for name in ("train", "val")] == [2, 1]


@pytest.mark.parametrize("spelling", ["val", "valid", "validation"])
def test_a_split_of_the_description_may_be_spelled_as_a_folder_may(tmp_path, spelling):
    splits = {"training": SPLITS["train"], spelling: SPLITS["val"]}
    write_folder(tmp_path, 4, images="a", labels="b", description={"splits": splits})
    write_folder(tmp_path, 2, images="c", labels="d")
    dataset = load_dataset(tmp_path)
    assert {name: len(samples) for name, samples in dataset.splits.items()} == {"train": 4, "val": 2}
    assert dataset.splits["val"][0].image == tmp_path / "c/0.jpg"


def test_arguments_win_over_the_description(tmp_path):
    write_folder(tmp_path, 4, description={"classes": ["x", "y"], "ignore_label": 9})
    dataset = load_dataset(tmp_path, ignore_label=7, num_classes=3)
    assert (dataset.ignore_label, dataset.classes) == (7, ("class_0", "class_1", "class_2"))
    assert load_dataset(tmp_path, classes=["p", "q", "r"]).classes == ("p", "q", "r")


def test_val_is_a_fixed_part_of_train_that_does_not_shuffle_when_a_pair_is_added(tmp_path):
    write_folder(tmp_path, 20)
    first = load_dataset(tmp_path, seed=3, val_fraction=0.25)
    again = load_dataset(tmp_path, seed=3, val_fraction=0.25)
    names = {split: {sample.name for sample in samples} for split, samples in first.splits.items()}
    assert first.splits == again.splits
    assert len(names["val"]) == 5
    assert names["train"] | names["val"] == {str(index) for index in range(20)}
    assert load_dataset(tmp_path, seed=4, val_fraction=0.25).splits != first.splits
    write_folder(tmp_path, 21)
    later = {sample.name for sample in load_dataset(tmp_path, seed=3, val_fraction=0.25).splits["val"]}
    assert len(later & names["val"]) >= 4


def test_two_pairs_are_enough_for_two_splits(tmp_path):
    dataset = load_dataset(write_folder(tmp_path, 2))
    assert [len(dataset.split(name)) for name in ("train", "val")] == [1, 1]


def test_the_ignore_label_is_no_class(tmp_path):
    write_folder(tmp_path, 3, masks=np.array([[0, 1, 2, 11, 255]]), size=(1, 5))
    dataset = load_dataset(tmp_path, ignore_label=11)
    assert dataset.num_classes == 3
    np.testing.assert_array_equal(read_sample(dataset.split("train")[0], dataset)[1], [[0, 1, 2, 255, 255]])


def test_binary_masks_of_0_and_255_are_two_classes(tmp_path):
    write_folder(tmp_path, 3, masks=np.array([[0, 255, 255]]), size=(1, 3))
    dataset = load_dataset(tmp_path)
    assert dataset.num_classes == 2
    np.testing.assert_array_equal(read_sample(dataset.split("val")[0], dataset)[1], [[0, 1, 1]])


def test_mask_values_name_the_value_of_each_class(tmp_path):
    masks = np.array([[7, 3, 255, 9]])
    write_folder(
        tmp_path, 3, masks=masks, size=(1, 4), description={"mask_values": [3, 7], "ignore_label": 9}
    )
    dataset = load_dataset(tmp_path)
    ids = read_sample(dataset.split("train")[0], dataset)[1]
    np.testing.assert_array_equal(ids, [[1, 0, IGNORE, IGNORE]])


def test_other_files_and_hidden_files_are_left_alone(tmp_path):
    write_folder(tmp_path, 3)
    for name in ("notes.txt", ".hidden.png", "Thumbs.db"):
        (tmp_path / "images" / name).write_bytes(b"no image")
    dataset = load_dataset(tmp_path)
    assert sum(map(len, dataset.splits.values())) == 3


@pytest.mark.parametrize("source", [None, "shapes"])
def test_no_source_is_the_drawn_data_set(source, monkeypatch):
    monkeypatch.setattr(
        "keras_seg.data.folders.dataset.draw_shapes", lambda seed, size: ("drawn", seed, size)
    )
    assert load_dataset(source, seed=3) == ("drawn", 3, (64, 64))
    assert load_dataset(source, drawn_size=(32, 40)) == ("drawn", 0, (32, 40))


def test_a_missing_split_is_named(tmp_path):
    dataset = load_dataset(write_folder(tmp_path, 3))
    with pytest.raises(InputError, match=r"no 'test' split: there is train \(2\), val \(1\)"):
        dataset.split("test")


def _no_folder(root):
    shutil.rmtree(root)


def _empty(root):
    shutil.rmtree(root)
    root.mkdir()


def _empty_images(root):
    for path in [*root.glob("images/*"), *root.glob("masks/*")]:
        path.unlink()


def _description(text):
    return lambda root: (root / "dataset.json").write_bytes(text.encode("latin-1"))


@pytest.mark.parametrize(
    "spoil, message",
    [
        (
            _no_folder,
            r"data: does not exist; name a data folder, a list of pairs \(\.csv, \.txt\) or shapes",
        ),
        (_empty, r"data: is empty; expected images/ and masks/"),
        (_empty_images, r"images: holds no images"),
        (
            lambda root: (root / "images").rename(root / "pics"),
            r"data: holds masks/, pics/; expected images/",
        ),
        (lambda root: (root / "masks/1.png").unlink(), r"images.1\.jpg: has no mask 1\.png in .*masks"),
        (
            lambda root: (root / "images/2.jpg").unlink(),
            r"masks.2\.png: has no image 2\.jpg or \.png in .*images",
        ),
        (lambda root: (root / "images/2.png").write_bytes(b""), r"2\.png: has the same name .* as 2\.jpg"),
        (
            lambda root: [path.unlink() for path in root.glob("*/[1-9]*")],
            r"data: has 1 pair and no val split",
        ),
        (_description("{"), r"dataset\.json: is not JSON: .* line 1"),
        (_description("\xff"), r"dataset\.json: is not UTF-8"),
        (_description("[]"), r"dataset\.json: must hold an object"),
        (_description('{"names": []}'), r"dataset\.json: unknown key 'names'; the keys are classes, colors,"),
        (_description('{"classes": 3}'), r"'classes' must be a list of .* names, received 3"),
        (_description('{"classes": ["c\\ud83d"]}'), r"'classes' must be a list of .* received \["),
        (
            _description(f'{{"splits": {{"train": {{"images": "{"x" * 300}", "masks": "m"}}}}}}'),
            r"x{300}: cannot be read \(File name too long\); make it readable or name another",
        ),
        (
            _description('{"splits": {"train": {"images": "images", "masks": "images", "mask_suffix": ""}}}'),
            r"images: holds images and masks, and their `mask_suffix` in dataset\.json is empty; write",
        ),
        (_description('{"classes": ["a", "a"]}'), r"'classes' must be a list of .* different names"),
        (
            _description('{"classes": ["a"], "colors": [[1, 2, 300]]}'),
            r"'colors' must be .* received \[\[1, 2, 300\]\]",
        ),
        (
            _description('{"classes": ["a"], "colors": [[1, 2, 3], [4, 5, 6]]}'),
            r"'colors' has 2 entries and 'classes' has 1",
        ),
        (_description('{"ignore_label": true}'), r"'ignore_label' must be a mask value .* received true"),
        (_description('{"mask_values": [1, 1]}'), r"'mask_values' must be a list of different"),
        (_description('{"splits": {"train": 3}}'), r"'splits' must be like"),
        (
            _description('{"splits": {"train": "a.csv", "dev": "b.csv"}}'),
            r"dataset\.json: 'dev' is not a split; the splits are train, val, test",
        ),
        (
            _description('{"splits": {"val": "a.csv", "valid": "b.csv"}}'),
            r"dataset\.json: has the split val twice, also as 'valid'; keep one of them",
        ),
        (_description('{"splits": {"train": "no.csv"}}'), r"no\.csv: cannot be read as a list: No such file"),
        (
            _description('{"splits": {"train": {"images": "images", "masks": "no"}}}'),
            r"no: does not exist; correct `splits`",
        ),
    ],
)
def test_a_wrong_folder_is_refused_in_one_line(tmp_path, spoil, message):
    root = write_folder(tmp_path / "data", 4)
    spoil(root)
    with pytest.raises(InputError, match=message) as error:
        load_dataset(root)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("folder", ["", "images"])
def test_a_folder_that_may_not_be_read_is_named(tmp_path, folder, monkeypatch, capsys):
    root = write_folder(tmp_path / "data", 4)
    (root / "masks").rename(root / ("other" if not folder else "masks"))
    listed = Path.iterdir

    def iterdir(path):
        if path == root / folder:
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)  # Root may read everything.
    with pytest.raises(InputError, match=rf"{root / folder}: cannot be read \(Permission denied\); make"):
        load_dataset(root)
    assert main(["doctor", str(root)]) == 2
    assert "cannot be read (Permission denied)" in capsys.readouterr().err
    assert main(["convert", str(root / folder), "--output", str(tmp_path / "out")]) == 2
    assert "cannot be read (Permission denied)" in capsys.readouterr().err


def test_a_name_that_no_file_system_takes_is_refused(tmp_path, capsys):
    for command in (["doctor"], ["preview"], ["convert", "--output", str(tmp_path / "out")]):
        assert main([*command, str(tmp_path / ("x" * 300))]) == 2
        assert "cannot be read (File name too long)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "mask, message",
    [
        (np.array([[0, 38, 75, 113]]), r"values 0, 38, 75, 113, which are no ids .* `mask_values`"),
        (np.array([[255, 255, 255, 255]]), r"every pixel of every mask is ignored"),
    ],
)
def test_values_that_are_no_ids_are_not_guessed_at(tmp_path, mask, message):
    with pytest.raises(InputError, match=message):
        load_dataset(write_folder(tmp_path, 3, size=(1, 4), masks=mask))


def test_without_a_description_a_color_mask_is_refused(tmp_path):
    write_folder(tmp_path, 3)
    (tmp_path / "masks/1.png").write_bytes(encode(picture()))
    with pytest.raises(InputError, match=r"1\.png: is a color image"):
        load_dataset(tmp_path)
    (tmp_path / "masks/1.png").write_bytes(png(np.zeros((12, 16), int)))
    load_dataset(tmp_path)
