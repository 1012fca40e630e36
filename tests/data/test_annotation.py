"""Predictions go out to every annotation tool and come back as the same masks."""

import base64
import itertools
import json
import shutil
import tracemalloc
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from keras_seg.cli import main
from keras_seg.data import read_mask
from keras_seg.data.annotation.conversion import draw_mask
from keras_seg.data.annotation.formats import FORMATS, read_annotations
from keras_seg.data.annotation.raster import find_crossing
from keras_seg.data.samples import RGB
from keras_seg.errors import InputError
from keras_seg.inference import Prediction, predict_files
from tests.data.helpers import encode, picture

SIZES = ((17, 23), (40, 31), (12, 12))


def blobs(size, num_classes, seed):
    """Class ids [H, W] in patches, with holes, single pixels and corners that touch."""
    random = np.random.default_rng(seed)
    mask = random.integers(0, num_classes, (size[0] // 4 + 1, size[1] // 4 + 1)).repeat(4, 0).repeat(4, 1)
    mask = mask[: size[0], : size[1]]
    stray = random.random(size) < 0.1
    mask[stray] = random.integers(0, num_classes, stray.sum())
    return mask.astype(np.uint8)


def predict(folder, names, sizes=SIZES, **wanted):
    """Writes images and predictions for them; returns the masks by the images' stems."""
    masks = {f"photo {index}": blobs(size, len(names), index) for index, size in enumerate(sizes)}
    (folder / "photos").mkdir()
    paths = []
    for index, (stem, mask) in enumerate(masks.items()):
        paths.append(folder / "photos" / f"{stem}.png")
        paths[-1].write_bytes(encode(picture(*mask.shape, seed=index)))
    found = iter(masks.values())

    def answer(_):
        mask = next(found)
        return Prediction(mask, np.full(mask.shape, 0.75, np.float32))

    colors = np.random.default_rng(0).integers(0, 256, (len(names), 3), np.uint8)
    model = SimpleNamespace(name="unet")
    predictor = SimpleNamespace(images=RGB, classes=names, model=model, colors=colors, predict=answer)
    predict_files(predictor, paths, folder / "out", **wanted)
    return masks


def convert(folder, source, *flags):
    """Converts it back; returns the class names and the masks by the images' stems."""
    back = folder / "back"
    assert (
        main(["convert", str(source), "--images", str(folder / "photos"), "--output", str(back), *flags]) == 0
    )
    classes = json.loads((back / "dataset.json").read_text())["classes"]
    return tuple(classes), masks_in(back)


def masks_in(folder):
    """Class ids by name."""
    return {path.stem: read_mask(path) for path in (folder / "masks/train").iterdir()}


def written(folder, name):
    """What `convert` reads of what `predict` wrote in a format."""
    row = FORMATS[name]
    return folder / "out/annotations" / ("" if row.is_per_image else row.files[0])


@pytest.mark.parametrize("shapes", ["masks", "polygons"])
@pytest.mark.parametrize("name", FORMATS)
def test_predictions_come_back_as_the_same_masks(tmp_path, name, shapes):
    classes = ("background", "tree", "grass & \u00e4 <b>", "car")
    masks = predict(tmp_path, classes, annotations=name, annotation_shapes=shapes)
    found, back = convert(tmp_path, written(tmp_path, name), "--classes", *classes)
    assert found == classes and back.keys() == masks.keys()
    for stem, mask in masks.items():
        np.testing.assert_array_equal(back[stem], mask)


@pytest.mark.parametrize("name", FORMATS)
def test_without_a_background_every_class_comes_back_and_what_is_ignored_stays_so(tmp_path, name):
    classes = ("sky", "tree", "car")
    masks = predict(tmp_path, classes, annotations=name, classes=("sky", "car"))
    _, back = convert(tmp_path, written(tmp_path, name), "--classes", *classes, "--unlabeled", "ignore")
    for stem, mask in masks.items():
        np.testing.assert_array_equal(back[stem], np.where(mask == 1, 255, mask))


@pytest.mark.parametrize("name", ["cvat", "cvat-masks", "coco"])
def test_formats_that_list_their_classes_keep_their_ids(tmp_path, name):
    classes = ("background", "zebra", "ant", "moth")
    masks = predict(tmp_path, classes, annotations=name, classes=("zebra", "ant"))
    found, back = convert(tmp_path, written(tmp_path, name))
    assert found == classes
    for stem, mask in masks.items():
        np.testing.assert_array_equal(back[stem], np.where(mask == 3, 0, mask))


@pytest.mark.parametrize(
    ("name", "label"), [("cvat-masks", "a:b"), ("cvat", "a\x01b"), ("label-studio", "a\ufffeb")]
)
def test_a_name_that_a_format_cannot_hold_is_refused_before_a_prediction(tmp_path, name, label):
    with pytest.raises(InputError, match="cannot hold"):
        predict(tmp_path, ("background", label), annotations=name)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("classes", [("background", "tree", "house"), ("ground", "tree", "house")])
def test_coco_polygons_convert_back_to_the_same_masks(tmp_path, classes):
    masks = predict(tmp_path, classes, polygons="coco")
    flags = [] if classes[0] == "background" else ["--unlabeled", "ignore"]
    found, back = convert(tmp_path, tmp_path / "out/polygons.json", *flags)
    assert found == classes
    for stem, mask in masks.items():
        np.testing.assert_array_equal(back[stem], mask)


def result(kind, value, label="car", size=SIZES[0], **more):
    base = {"id": "r1", "type": f"{kind}labels", "original_height": size[0], "original_width": size[1]}
    return base | {"image_rotation": 0, "value": value | {f"{kind}labels": [label]}} | more


def task(*results, image="/data/upload/1/0123abcd-photo%200.png", **annotation):
    return {"id": 7, "data": {"image": image}, "annotations": [{"result": list(results)} | annotation]}


def brush(mask):
    """thi.ng's rle-pack by its README, from single words: 4 bytes for each pixel, in groups of up to 8."""
    words = np.repeat(mask.ravel().astype(np.uint8) * 255, 4).tolist()
    bits = f"{len(words):032b}{8 - 1:05b}{3 - 1:04b}{4 - 1:04b}{8 - 1:04b}{16 - 1:04b}"
    for start in range(0, len(words), 8):
        group = words[start : start + 8]
        bits += f"0{0:02b}{len(group) - 1:03b}" + "".join(f"{word:08b}" for word in group)
    return np.packbits([int(bit) for bit in bits]).tolist()


@pytest.fixture
def tasks(tmp_path):
    """Converts Label Studio's tasks of one photograph; returns the mask, or the error."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/photo 0.png").write_bytes(encode(picture(*SIZES[0])))
    source = tmp_path / "tasks.json"

    def run(content, *flags):
        source.write_text(json.dumps(content))
        classes = ["--classes", "background", "car", "tree"]
        back = tmp_path / f"back{len(list(tmp_path.iterdir()))}"
        words = [source, "--images", tmp_path / "photos", "--output", back, *classes, *flags]
        if main(["convert", *map(str, words)]):
            assert not back.exists()
            return None
        return masks_in(back)["photo 0"]

    return run


def test_a_brush_of_single_words_is_read(tasks):
    mask = blobs(SIZES[0], 2, seed=5).astype(bool)
    value = {"format": "rle", "rle": brush(mask)}
    np.testing.assert_array_equal(tasks([task(result("brush", value))]), mask)


def test_the_annotation_of_label_studio_that_counts(tasks):
    def box(**where):
        return result("rectangle", {"x": 0, "y": 0, "width": 100, "height": 100}, **where)

    several = task(box(label="car"), updated_at="2024-02-01T00:00:00Z")
    several["annotations"].append({"result": [box(label="tree")], "updated_at": "2024-03-01T00:00:00Z"})
    assert (tasks([several]) == 2).all()
    several["annotations"][0]["ground_truth"] = True
    assert (tasks([several]) == 1).all()
    several["annotations"][0]["was_cancelled"] = True
    assert (tasks([several]) == 2).all()


def test_predictions_count_only_where_nobody_annotated_anything(tasks, capsys):
    box = result("rectangle", {"x": 0, "y": 0, "width": 100, "height": 100})
    predicted = {
        "id": 8,
        "data": {"image": "other.png"},
        "predictions": [{"result": [box]}],
        "annotations": [],
    }
    assert (tasks([predicted, task()]) == 0).all()  # An annotation without a region is background.
    assert "1 tasks that nobody annotated were left out" in capsys.readouterr().err
    assert (tasks([predicted | {"data": {"image": "photo%200.png"}}]) == 1).all()
    assert "nobody annotated a task, so that the predictions were taken" in capsys.readouterr().err


@pytest.mark.parametrize(
    "image",
    [
        "/data/local-files/?d=shots%2Fphoto%200.png",
        "https://host/a/photo%200.png?sign=1",
        "s3://bucket/photo 0.png",
    ],
)
def test_images_of_label_studio_are_found_by_their_address(tasks, image):
    assert (tasks([task(image=image)]) == 0).all()


def test_turned_boxes_and_ellipses_of_label_studio_are_drawn(tasks):
    """Against each pixel's center by hand; the box turns clockwise around its corner (10, 4)."""
    height, width = SIZES[0]
    y, x = np.mgrid[:height, :width] + 0.5
    per_x, per_y = 100 / width, 100 / height
    value = {"x": 10 * per_x, "y": 4 * per_y, "width": 8 * per_x, "height": 5 * per_y, "rotation": 30}
    cosine, sine = np.cos(np.pi / 6), np.sin(np.pi / 6)
    along, across = (x - 10) * cosine + (y - 4) * sine, -(x - 10) * sine + (y - 4) * cosine
    box = (along >= 0) & (along < 8) & (across >= 0) & (across < 5)
    np.testing.assert_array_equal(tasks([task(result("rectangle", value))]), box)
    value = {"x": 10 * per_x, "y": 8 * per_y, "radiusX": 7 * per_x, "radiusY": 4 * per_y}
    ellipse = ((x - 10) / 7) ** 2 + ((y - 8) / 4) ** 2 < 1
    assert (tasks([task(result("ellipse", value))]) != ellipse).sum() <= 2  # It is drawn with 180 corners.


TRIANGLE = {"points": [[0, 0], [50, 0], [50, 50]]}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            [task(result("brush", {"rle": brush(np.ones((4, 4)))}))],
            "its brush is of 16 pixels and its image has 23 x",
        ),
        ([task(result("brush", {"rle": brush(np.ones(SIZES[0]))[:99]}))], "its brush ends too soon"),
        ([task(result("brush", {"rle": "abc"}))], "its brush is a str, not a list"),
        ([task(result("brush", {"rle": [300]}))], "region r1 cannot be understood"),
        ([task(result("brush", {}))], "region r1 cannot be understood (KeyError: 'rle')"),
        ([task(result("polygon", {"points": [[0, 0], [9, 9]]}))], "region r1 is a polygon of 2 points"),
        ([task(result("polygon", {"points": "x"}))], "region r1 cannot be understood"),
        (
            [task(result("polygon", TRIANGLE, label="bus"))],
            "task 7, region r1 holds the label 'bus'; --classes must",
        ),
        (
            [task(result("polygon", {}) | {"value": TRIANGLE | {"polygonlabels": ["a", "b"]}})],
            "has the labels a, b",
        ),
        ([task(result("polygon", TRIANGLE, image_rotation=90))], "was drawn on a turned image"),
        ([task(result("keypoint", {"x": 1, "y": 1}))], "is a keypoint, which encloses nothing"),
        (
            [task(result("polygon", TRIANGLE), result("polygon", TRIANGLE, size=(9, 9)))],
            "are of 2 sizes of image",
        ),
        ([task(result("polygon", TRIANGLE, size=(9, 9)))], "but was annotated as 9 x 9"),
        ([task(image="../../photo.png")], "leaves the folder of the images"),
        ([task(image="text")], "task 7 names 0 images"),
        ([task(image="gone.png")], "gone.png: does not exist"),
        ([{"image": "photo 0.png", "label": []}], "is not Label Studio's JSON of all annotations"),
        ([3], "task 1 cannot be understood"),
        ([], "names no images"),
        ("text", "which no annotation tool writes"),
    ],
)
def test_wrong_tasks_are_one_line_and_nothing_is_written(tasks, content, line, capsys):
    assert tasks(content) is None
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert line in error


def test_a_polygon_that_crosses_itself_is_told_and_drawn(tasks, capsys):
    bow_tie = {"points": [[0, 0], [100, 100], [100, 0], [0, 100]]}
    mask = tasks([task(result("polygon", bow_tie))])
    assert "tasks.json: task 7, region r1 crosses itself at 11.5, 8.5; what it" in capsys.readouterr().err
    assert mask[8, 1] == 1 and mask[1, 11] == 0 and mask[8, 21] == 1
    touching = {"points": [[0, 0], [50, 0], [50, 50], [100, 50], [100, 100], [50, 100], [50, 50], [0, 50]]}
    tasks([task(result("polygon", touching))])
    assert "crosses" not in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(20))
def test_crossings_are_found_as_pair_by_pair(seed):
    """In whole numbers, for polygons of more corners than are compared at once."""
    random = np.random.default_rng(seed)
    count = int(random.integers(4, 9)) if seed else 700
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * random.uniform(5, 99, (count, 1))
    if seed % 2:
        points = random.permutation(points)
    points = np.rint(points * 8).astype(int)
    edges = [(int(x), int(y)) for x, y in points]

    def side(a, b, c):
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    def crosses(a, b, c, d):
        return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0

    pairs = itertools.combinations(zip(edges, edges[1:] + edges[:1], strict=True), 2)
    assert (find_crossing(points) is not None) == any(crosses(*one, *other) for one, other in pairs)


CVAT = """<?xml version="1.0" encoding="utf-8"?>
{doctype}<annotations><version>1.1</version>{meta}<image id="0" name="photo 0.png" width="23" height="17">
{shapes}</image></annotations>"""


@pytest.fixture
def cvat(tmp_path):
    """Converts CVAT's shapes of one photograph; returns the mask, None where it was refused."""
    (tmp_path / "photo 0.png").write_bytes(encode(picture(*SIZES[0])))

    def run(shapes, meta="", doctype="", text=CVAT):
        content = text.format(doctype=doctype, meta=meta, shapes=shapes).encode()
        (tmp_path / "a.xml").write_bytes(content)
        back = tmp_path / "back"
        words = ["--classes", "background", "car", "tree"]
        if main(["convert", str(tmp_path / "a.xml"), "--output", str(back), *words]):
            assert not back.exists()
            return None
        return masks_in(back)["photo 0"]

    return run


def test_shapes_of_cvat_lie_upon_each_other_by_their_order(cvat):
    mask = cvat(
        '<tag label="day"/>'
        '<mask label="tree" z_order="1" rle="1, 2, 1, 2" left="2" top="3" width="3" height="2"/>'
        '<box label="car" xtl="1.0" ytl="2.0" xbr="9.0" ybr="6.0" z_order="0"/>'
        '<polygon label="tree" points="20.0,10.0;23.0,10.0;23.0,17.0;20.0,17.0" z_order="-1"/>'
        '<ellipse label="car" cx="12.0" cy="12.0" rx="3.0" ry="1.0" rotation="90"/>'
    )
    expected = np.zeros(SIZES[0], int)
    expected[2:6, 1:9] = 1
    expected[3, 3:5] = expected[4, 3:5] = 2
    expected[10:17, 20:23] = 2
    y, x = np.mgrid[:17, :23] + 0.5
    expected[(y - 12) ** 2 / 9 + (x - 12) ** 2 < 1] = 1
    np.testing.assert_array_equal(mask, expected)


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("shapes", "options", "line"),
    [
        ("", {"doctype": BOMB}, "a.xml: declares a document type, which no annotation needs"),
        ("", {"doctype": '<!DOCTYPE x SYSTEM "file:///etc/hostname">'}, "declares a document type"),
        ("", {"text": "<annotations>"}, "a.xml: is not XML: no element found"),
        ("", {"text": "<html/>"}, "is not of CVAT for images"),
        ("", {"text": "<annotations><track/></annotations>"}, "export it as `CVAT for images 1.1`"),
        ("", {"text": "<annotations/>"}, "names no images"),
        (
            '<mask label="car" rle="5" left="0" top="0" width="3" height="2"/>',
            {},
            "its runs cover 5 of 6 pixels",
        ),
        (
            '<mask label="car" rle="6" left="22" top="0" width="3" height="2"/>',
            {},
            "is not within the image of 23 x 17",
        ),
        (
            '<mask label="car" rle="a" left="0" top="0" width="3" height="2"/>',
            {},
            "mask 1 of photo 0.png cannot be",
        ),
        ('<polygon label="car" points="1,2;3"/>', {}, "polygon 1 of photo 0.png cannot be understood"),
        ('<polygon label="car" points="1,2;3,4"/>', {}, "polygon 1 of photo 0.png is a polygon of 2 points"),
        ('<polygon label="car" points="1,2;3,nan;4,4"/>', {}, "has the point [3.0, nan]"),
        ('<polygon points="1,2;3,4;5,5"/>', {}, "cannot be understood (KeyError: 'label')"),
        (
            '<polygon label="bus" points="1,2;3,4;5,5"/>',
            {},
            "a.xml: polygon 1 of photo 0.png holds the label 'bus'",
        ),
        ('<polyline label="car" points="1,2;3,4;5,5"/>', {}, "polyline 1 of photo 0.png encloses nothing"),
    ],
)
def test_wrong_shapes_of_cvat_are_one_line_and_nothing_is_written(cvat, shapes, options, line, capsys):
    assert cvat(shapes, **options) is None
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert line in error


def _archive(
    path, labels="background:0,0,0::\ncar:9,8,7::\n", color=(9, 8, 7), size=SIZES[0], name="photo 0"
):
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[2:5, 3:9] = color
    with zipfile.ZipFile(path, "w") as archive:
        if labels is not None:
            archive.writestr("labelmap.txt", labels)
        archive.writestr(f"SegmentationClass/{name}.png", encode(pixels))


def test_an_archive_of_cvat_is_read_packed_and_unpacked(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/photo 0.png").write_bytes(encode(picture(*SIZES[0])))
    _archive(tmp_path / "masks.zip")
    with zipfile.ZipFile(tmp_path / "masks.zip") as archive:
        archive.extractall(tmp_path / "masks")
    expected = np.zeros(SIZES[0], int)
    expected[2:5, 3:9] = 1
    for source in ("masks.zip", "masks"):
        classes, back = convert(tmp_path, tmp_path / source)
        assert classes == ("background", "car")
        np.testing.assert_array_equal(back["photo 0"], expected)
        shutil.rmtree(tmp_path / "back")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"color": (9, 8, 6)}, "photo 0.png has the color 9,8,6 at 3, 2, which labelmap.txt does not name"),
        ({"labels": None}, "holds neither labelmap.txt nor annotations.xml"),
        ({"labels": "car:9,8:"}, "labelmap.txt cannot be understood"),
        ({"labels": "car:9,8,700::"}, "labelmap.txt cannot be understood (car has the color 9,8,700)"),
        ({"labels": "a:1,1,1::\nb:1,1,1::"}, "labelmap.txt has the color 1,1,1 twice"),
        ({"size": (9, 9)}, "but was annotated as 9 x 9"),
        ({"name": "../photo 0"}, "leaves the folder of the images"),
        ({"name": "gone"}, "gone.jpg: does not exist"),
    ],
)
def test_wrong_archives_of_cvat_are_one_line(tmp_path, options, line, capsys):
    (tmp_path / "photo 0.png").write_bytes(encode(picture(*SIZES[0])))
    _archive(tmp_path / "masks.zip", **options)
    assert main(["convert", str(tmp_path / "masks.zip"), "--output", str(tmp_path / "back")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and line in error
    assert not (tmp_path / "back").exists()


def test_a_damaged_archive_is_one_line(tmp_path, capsys):
    _archive(tmp_path / "masks.zip")
    contents = bytearray((tmp_path / "masks.zip").read_bytes())
    contents[40:60] = bytes(20)
    (tmp_path / "masks.zip").write_bytes(contents)
    assert main(["convert", str(tmp_path / "masks.zip"), "--output", str(tmp_path / "back")]) == 2
    assert "masks.zip: cannot be unpacked (" in capsys.readouterr().err


def test_masks_of_labelme_are_drawn(tmp_path, capsys):
    (tmp_path / "photo 0.png").write_bytes(encode(picture(*SIZES[0])))
    pixels = np.zeros((3, 4), np.uint8)
    pixels[0, 1:] = pixels[2, 0] = 1
    shape = {"label": "car", "shape_type": "mask", "points": [[5, 6], [8, 8]]}
    shape["mask"] = base64.b64encode(encode(pixels)).decode()
    content = {"imagePath": "photo 0.png", "imageHeight": 17, "imageWidth": 23, "shapes": [shape]}
    source = tmp_path / "photo 0.json"
    source.write_text(json.dumps(content))
    assert main(["convert", str(source), "--output", str(tmp_path / "back")]) == 0
    expected = np.zeros(SIZES[0], int)
    expected[6:9, 5:9] = pixels
    np.testing.assert_array_equal(masks_in(tmp_path / "back")["photo 0"], expected)
    capsys.readouterr()
    for wrong, line in (
        ({"points": [[5, 6], [9, 8]]}, "its mask is 4 x 3 pixels and its corners are those of 5 x 3"),
        ({"points": [[21, 6], [24, 8]]}, "is not within the image of 23 x 17"),
        ({"mask": "***"}, "shape 1 cannot be understood"),
        ({"mask": 5}, "shape 1 cannot be understood"),
        ({"mask": base64.b64encode(b"text").decode()}, "its mask is no image"),
    ):
        source.write_text(json.dumps(content | {"shapes": [shape | wrong]}))
        assert main(["convert", str(source), "--output", str(tmp_path / "other")]) == 2
        assert line in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_runs_stay_encoded_until_they_are_drawn(tmp_path):
    """200 masks of 640 x 640 are 82 MB as pixels."""
    (tmp_path / "a.png").write_bytes(encode(np.zeros((640, 640), np.uint8)))
    segmentation = {"counts": [0, 640 * 320, 640 * 320], "size": [640, 640]}
    annotations = [
        {"id": number, "image_id": 0, "category_id": 1, "segmentation": segmentation} for number in range(200)
    ]
    images = [{"id": 0, "file_name": "a.png", "height": 640, "width": 640}]
    content = {"images": images, "categories": [{"id": 1, "name": "car"}], "annotations": annotations}
    (tmp_path / "coco.json").write_text(json.dumps(content))
    tracemalloc.start()
    found = read_annotations(tmp_path / "coco.json")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20
    mask = draw_mask(found.images[0], {"car": 1})
    assert mask[:, :320].all() and not mask[:, 320:].any()


def test_predictions_of_a_run_come_back_with_its_classes(run, tmp_path, capsys):
    image = next((Path(run.config["data"]) / "images/val").iterdir())
    (tmp_path / "photos").mkdir()
    shutil.copy(image, tmp_path / "photos")
    words = ["--run", str(run.path), "--output", str(tmp_path / "out"), "--annotations", "label-studio"]
    assert main([str(tmp_path / "photos"), *words], program="predict.py") == 0
    source = tmp_path / "out/annotations/label-studio.json"
    classes, back = convert(tmp_path, source, "--run", str(run.path))
    assert classes == run.classes
    np.testing.assert_array_equal(back[image.stem], read_mask(tmp_path / f"out/{image.stem}.png"))
    (predicted,) = json.loads(source.read_text())[0]["predictions"]
    assert predicted["model_version"] == "unet" and all(0 < r["score"] <= 1 for r in predicted["result"])
    source.write_text(source.read_text().replace(f'"{run.classes[1]}"', '"zebra"'))
    words = [
        "--images",
        str(tmp_path / "photos"),
        "--output",
        str(tmp_path / "other"),
        "--run",
        str(run.path),
    ]
    capsys.readouterr()
    assert main(["convert", str(source), *words]) == 2
    assert "region brush-1 holds the label 'zebra'; --classes must name" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
