import json

import numpy as np
import pytest
from matplotlib.path import Path

from keras_seg.cli import main
from keras_seg.data import check_dataset, load_dataset, read_mask, read_sample
from keras_seg.data.annotation.raster import fill_polygon
from keras_seg.data.annotation.runs import make_runs, uncompressed
from tests.data.helpers import encode, picture

SIZE = (20, 30)
SQUARE = [[5, 4], [15, 4], [15, 14], [5, 14]]


def _images(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        (folder / name).write_bytes(encode(picture(*SIZE, seed=index), ".jpg"))


def _labelme(folder, name, shapes, size=SIZE):
    content = {"imagePath": f"{name}.jpg", "imageHeight": size[0], "imageWidth": size[1], "shapes": shapes}
    (folder / f"{name}.json").write_text(json.dumps(content))


def _shape(label, points, kind="polygon"):
    return {"label": label, "points": points, "shape_type": kind}


@pytest.fixture
def labelme(tmp_path):
    folder = tmp_path / "labelme"
    _images(folder, "a.jpg", "b.jpg", "c.jpg")
    _labelme(folder, "a", [_shape("dog", SQUARE), _shape("cat", [[8, 6], [12, 10]], "rectangle")])
    _labelme(folder, "b", [_shape("cat", [[15, 10], [15, 15]], "circle")])
    _labelme(folder, "c", [_shape("dog", SQUARE), _shape("__ignore__", [[0, 0], [3, 0], [3, 20], [0, 20]])])
    return folder


def test_labelme_shapes_become_ids_in_the_order_of_names(labelme, tmp_path):
    assert main(["convert", str(labelme), "--output", str(tmp_path / "out")]) == 0
    dataset = load_dataset(tmp_path / "out")
    check_dataset(dataset)
    assert dataset.classes == ("background", "cat", "dog")
    samples = {sample.name: sample for split in dataset.splits.values() for sample in split}
    _, ids = read_sample(samples["a"], dataset)
    # Half a pixel of the outline may fall on either side.
    assert set(np.unique(ids[5:13, 6:14])) == {1, 2}
    assert (ids[7:9, 9:11] == 1).all()
    assert abs((ids > 0).sum() - 100) <= 44
    assert ids[:3].max() == ids[:, :4].max() == ids[16:].max() == ids[:, 17:].max() == 0
    _, ids = read_sample(samples["b"], dataset)
    assert abs((ids == 1).sum() - np.pi * 25) < 20
    assert (read_sample(samples["c"], dataset)[1][:, :2] == 255).all()


def _coco(path, annotations, names=("a.jpg", "b.jpg")):
    content = {
        "images": [
            {"id": index, "file_name": name, "height": SIZE[0], "width": SIZE[1]}
            for index, name in enumerate(names)
        ],
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
        "annotations": annotations,
    }
    path.write_text(json.dumps(content))


def _square_runs():
    mask = np.zeros(SIZE, bool)
    mask[4:14, 5:15] = True
    columns = mask.T.ravel()
    edges = np.flatnonzero(np.diff(columns)) + 1
    return mask, np.diff([0, *edges, columns.size]).tolist()


def test_coco_polygons_and_runs_become_ids_with_small_ones_on_top(tmp_path):
    _images(tmp_path / "images", "a.jpg", "b.jpg")
    square, runs = _square_runs()
    small = [8, 6, 12, 6, 12, 10, 8, 10]
    annotations = [
        {"id": 1, "image_id": 0, "category_id": 3, "area": 16, "segmentation": [small]},
        {"id": 2, "image_id": 0, "category_id": 7, "area": 100, "segmentation": [np.ravel(SQUARE).tolist()]},
        {"id": 3, "image_id": 1, "category_id": 7, "segmentation": {"counts": runs, "size": list(SIZE)}},
    ]
    _coco(tmp_path / "train.json", annotations)
    out = tmp_path / "out"
    flags = ["--images", str(tmp_path / "images"), "--output", str(out)]
    assert main(["convert", str(tmp_path / "train.json"), *flags]) == 0
    assert main(["convert", str(tmp_path / "train.json"), *flags, "--split", "val"]) == 0
    dataset = load_dataset(out)
    assert dataset.classes == ("background", "cat", "dog")
    assert sorted(dataset.splits) == ["train", "val"]
    ids = read_mask(out / "masks/train/a.png")
    assert (ids[7:9, 9:11] == 1).all()
    assert ids[5, 6] == 2
    np.testing.assert_array_equal(read_mask(out / "masks/val/b.png"), 2 * square)


def _decoded(lengths, size):
    return make_runs(lengths, (0, 0, size[1], size[0]), size, by_columns=True).decode()


def test_compressed_runs_are_read_as_maskapi_defines_them():
    # The columns are 000, 011, 110, 111.
    mask = np.array([[0, 0, 1, 1], [0, 1, 1, 1], [0, 1, 0, 1]], bool)
    runs = [4, 4, 1, 3]
    np.testing.assert_array_equal(_decoded(runs, (3, 4)), mask)
    # By hand: 4 "4", 4 "4", 1 "1", then 3 as the difference to the second, -1, five bits 11111: 48 + 31 "O".
    np.testing.assert_array_equal(_decoded(uncompressed("441O"), (3, 4)), mask)
    # A long run: 100 = 3 * 32 + 4, so 4 with the mark of more (52 + 32: "T"), then 3.
    assert _decoded(uncompressed("T3"), (10, 10)).sum() == 0


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda f: (f / "a.jpg").unlink(), r"a.jpg: does not exist"),
        (lambda f: (f / "a.json").write_text("{"), r"a.json: is not JSON"),
        (
            lambda f: (f / "a.json").write_text("{}"),
            r"a.json: the file cannot be understood (KeyError: 'imagePath'); labelme's has",
        ),
        (lambda f: _labelme(f, "a", [], (9, 9)), r"a.jpg: is 30 x 20 pixels, but was annotated as 9 x 9"),
        (
            lambda f: _labelme(f, "a", [_shape("dog", [[1, 1], [2, 2]], "line")]),
            r"a.json: shape 1, 'dog', is a line of 2 points, which encloses nothing",
        ),
    ],
)
def test_wrong_annotations_are_named_and_nothing_is_written(labelme, tmp_path, spoil, message, capsys):
    spoil(labelme)
    assert main(["convert", str(labelme), "--output", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "annotation, message",
    [
        ({"image_id": 9, "category_id": 3, "segmentation": [[0, 0, 9, 0, 9, 9]]}, "of the image 9"),
        ({"image_id": 0, "category_id": 3, "segmentation": [[0, 0, 9, 0]]}, "fewer than 3 points"),
        ({"image_id": 0, "category_id": 3, "segmentation": {"counts": [5]}}, "cover 5 of 600 pixels"),
        ({"image_id": 0, "category_id": 3}, "annotation 1 cannot be understood (KeyError"),
    ],
)
def test_wrong_coco_files_are_named(tmp_path, annotation, message, capsys):
    _images(tmp_path, "a.jpg", "b.jpg")
    _coco(tmp_path / "coco.json", [{"id": 1, **annotation}])
    assert main(["convert", str(tmp_path / "coco.json"), "--output", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


def test_a_file_name_that_leaves_the_folder_is_refused(tmp_path, capsys):
    _coco(tmp_path / "coco.json", [], names=("../a.jpg",))
    assert main(["convert", str(tmp_path / "coco.json"), "--output", str(tmp_path / "out")]) == 2
    assert "leaves the folder" in capsys.readouterr().err


def test_two_images_that_differ_in_their_ending_alone_are_refused(tmp_path, capsys):
    _images(tmp_path, "a.jpg", "a.png")
    _coco(tmp_path / "coco.json", [], names=("a.jpg", "a.png"))
    assert main(["convert", str(tmp_path / "coco.json"), "--output", str(tmp_path / "out")]) == 2
    assert "would have one mask, a.png; rename one" in capsys.readouterr().err


@pytest.mark.parametrize("description", ['{"classes": ["ground", "dog", "cat"]}', "\ufeff{}"])
def test_a_description_that_is_there_is_completed(labelme, tmp_path, description):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/dataset.json").write_text(description, encoding="utf-8")
    assert main(["convert", str(labelme), "--output", str(tmp_path / "out")]) == 0
    assert set(load_dataset(tmp_path / "out").classes) >= {"cat", "dog"}
    assert read_mask(tmp_path / "out/masks/train/a.png")[5, 6] == (1 if "ground" in description else 2)


@pytest.mark.parametrize("name", ['tv 12" left', "a, b; c", " # 1", "\u00fc"])
def test_an_image_of_any_name_is_found_again(labelme, tmp_path, name):
    for suffix in (".jpg", ".json"):
        (labelme / f"a{suffix}").rename(labelme / f"{name}{suffix}")
    _labelme(labelme, name, [_shape("dog", SQUARE)])
    assert main(["convert", str(labelme), "--output", str(tmp_path / "out")]) == 0
    splits = load_dataset(tmp_path / "out").splits.values()
    assert {sample.image.stem for split in splits for sample in split} == {name, "b", "c"}


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\\b", "a\udcfcb"])
def test_a_name_that_no_list_can_hold_is_refused_before_a_mask_is_written(labelme, tmp_path, name, capsys):
    moved = labelme.rename(tmp_path / name)
    assert main(["convert", str(moved), "--output", str(tmp_path / "out")]) == 2
    assert "has a path that a list of pairs cannot hold; rename it" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("point", ["[NaN, 1]", "[Infinity, 1]", "[1, -1e300]", f"[1, {10**400}]"])
def test_a_point_that_is_nowhere_is_refused(labelme, tmp_path, point, capsys):
    text = (labelme / "a.json").read_text().replace("[5, 4]", point)
    (labelme / "a.json").write_text(text)
    assert main(["convert", str(labelme), "--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "a.json: shape 1, 'dog', has the point [" in error or "too large" in error
    _coco(
        tmp_path / "coco.json", [{"id": 1, "image_id": 0, "category_id": 3, "segmentation": [["X", 1] * 3]}]
    )
    (tmp_path / "coco.json").write_text((tmp_path / "coco.json").read_text().replace('"X", 1', point[1:-1]))
    assert main(["convert", str(tmp_path / "coco.json"), "--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "coco.json: annotation 1 has the point [" in error or "too large" in error
    assert not (tmp_path / "out").exists()


def test_the_pairs_of_a_split_are_not_replaced(labelme, tmp_path, capsys):
    flags = ["--output", str(tmp_path / "out")]
    assert main(["convert", str(labelme), *flags]) == 0
    before = {path: path.read_bytes() for path in tmp_path.glob("out/**/*") if path.is_file()}
    other = tmp_path / "other"
    _images(other, "d.jpg")
    _labelme(other, "d", [_shape("dog", SQUARE), _shape("cat", SQUARE)])
    for split in ("train", "training"):
        assert main(["convert", str(other), *flags, "--split", split]) == 2
        assert "train.csv: has the pairs of train already; name another --split" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in tmp_path.glob("out/**/*") if path.is_file()}
    assert main(["convert", str(other), *flags, "--split", "validation"]) == 0
    assert {name: len(each) for name, each in load_dataset(tmp_path / "out").splits.items()} == {
        "train": 3,
        "val": 1,
    }


@pytest.mark.parametrize("split", ["../../evil", "", "dev"])
def test_a_split_of_another_name_is_refused(labelme, tmp_path, split, capsys):
    assert main(["convert", str(labelme), "--output", str(tmp_path / "out"), "--split", split]) == 2
    assert f"--split: {split!r} is not a split; the splits are train, val, test" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("label", ["", "c\ud83d"])
def test_a_label_that_is_no_text_is_refused(labelme, tmp_path, label, capsys):
    _labelme(labelme, "a", [_shape(label, SQUARE)])
    assert main(["convert", str(labelme), "--output", str(tmp_path / "out")]) == 2
    assert f"{label!r} is no name of a class; correct the label" in capsys.readouterr().err


def test_a_label_that_is_not_among_the_classes_is_named(labelme, tmp_path, capsys):
    flags = ["--output", str(tmp_path / "out"), "--classes", "ground", "dog"]
    assert main(["convert", str(labelme), *flags]) == 2
    assert "holds the label 'cat'; --classes must name every label" in capsys.readouterr().err


def test_the_first_class_is_the_background_and_no_label(labelme, tmp_path, capsys):
    flags = ["--output", str(tmp_path / "out"), "--classes"]
    assert main(["convert", str(labelme), *flags, "dog", "cat"]) == 2
    assert "holds the label 'dog', which --classes puts first" in capsys.readouterr().err
    assert main(["convert", str(labelme), *flags, "ground", "dog", "cat"]) == 0
    assert load_dataset(tmp_path / "out").classes == ("ground", "dog", "cat")
    assert read_mask(tmp_path / "out/masks/train/a.png")[5, 6] == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_polygon_holds_the_pixels_whose_center_is_inside(seed):
    """Matplotlib's test of a point, pixel by pixel, for a polygon that may cross itself."""
    points = np.random.default_rng(seed).uniform(-3, 16, (6, 2))
    y, x = np.mgrid[:12, :15] + 0.5
    turns = Path(np.concatenate([points, points[:1]]), closed=True)
    inside = turns.contains_points(np.stack([x.ravel(), y.ravel()], axis=1)).reshape(12, 15)
    if seed == 0:
        assert inside.any() and not inside.all()
    np.testing.assert_array_equal(fill_polygon(points, (12, 15)), inside)


def test_polygons_that_share_an_edge_share_no_pixel():
    left, right = [(0, 0), (7.3, 0), (4.1, 9), (0, 9)], [(7.3, 0), (12, 0), (12, 9), (4.1, 9)]
    np.testing.assert_array_equal(fill_polygon(left, (9, 12)), ~fill_polygon(right, (9, 12)))
