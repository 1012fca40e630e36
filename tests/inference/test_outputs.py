"""What predict writes besides masks."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from keras_seg.data.samples import RGB
from keras_seg.errors import InputError
from keras_seg.inference import Prediction, predict_files, write_image

CLASSES = ("ground", "tree", "house")
PROBABILITIES = np.random.default_rng(0).dirichlet(np.ones(3), (6, 8)).astype(np.float32)
MASK = PROBABILITIES.argmax(-1).astype(np.uint8)


@pytest.fixture
def predict(tmp_path):
    """Predicts one image, and returns the folder of what was written."""
    predictor = SimpleNamespace(
        classes=CLASSES,
        model=SimpleNamespace(name="unet"),
        images=RGB,
        threshold=None,
        colors=np.eye(3, dtype=np.uint8) * 255,
        predict=lambda image: Prediction(MASK, PROBABILITIES.max(-1)),
        probabilities=lambda image: PROBABILITIES,
    )
    write_image(tmp_path / "photo.png", np.zeros((6, 8, 3), np.uint8))

    def run(**wanted):
        summary = predict_files(predictor, [tmp_path / "photo.png"], tmp_path / "out", **wanted)
        assert summary == (1, [], 0)
        return tmp_path / "out"

    return run


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_probabilities_are_written_as_arrays(predict):
    folder = predict(probabilities="npz")
    found = np.load(folder / "probabilities" / "photo.npz")["probabilities"]
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, PROBABILITIES, atol=1e-3)
    np.testing.assert_array_equal(read(folder / "photo.png"), MASK)


def test_probabilities_are_written_as_pictures_of_sixteen_bits(predict):
    folder = predict(probabilities="png", classes=("tree", "house")) / "probabilities"
    assert sorted(path.name for path in folder.iterdir()) == ["photo-1.png", "photo-2.png"]
    levels = read(folder / "photo-2.png")
    assert levels.dtype == np.uint16
    np.testing.assert_allclose(levels / 65535, PROBABILITIES[..., 2], atol=1e-5)


def test_classes_that_are_not_kept_are_ignored(predict):
    expected = np.where(MASK == 1, 1, 255)
    folder = predict(classes=("tree",), overlay=True, polygons="geojson")
    np.testing.assert_array_equal(read(folder / "photo.png"), expected)
    features = json.loads((folder / "polygons" / "photo.geojson").read_text())["features"]
    assert {feature["properties"]["class"] for feature in features} == {"tree"}
    assert sum(feature["properties"]["pixels"] for feature in features) == (MASK == 1).sum()
    assert (folder / "overlays" / "photo.jpg").exists()


def test_coco_holds_all_pictures(predict):
    content = json.loads((predict(polygons="coco") / "polygons.json").read_text())
    assert content["images"] == [{"id": 1, "file_name": "photo.png", "height": 6, "width": 8}]
    assert sum(annotation["area"] for annotation in content["annotations"]) == MASK.size


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        ({"classes": ("car",)}, "--classes: no class is named 'car'; there are ground, tree, house"),
        ({"probabilities": "tiff"}, "--probabilities must be npz or png, received tiff"),
        ({"polygons": "svg"}, "--polygons must be geojson or coco, received svg"),
        (
            {"annotations": "voc"},
            "--annotations must be label-studio or cvat or cvat-masks or coco or labelme, received voc",
        ),
        (
            {"annotation_shapes": "masks"},
            "--annotation-shapes is of --annotations; name its format, or drop it",
        ),
        (
            {"annotations": "coco", "annotation_shapes": "boxes"},
            "--annotation-shapes must be masks or polygons, received boxes",
        ),
    ],
)
def test_what_cannot_be_written_is_one_line(predict, tmp_path, wanted, line):
    with pytest.raises(InputError) as caught:
        predict(**wanted)
    assert str(caught.value) == line
    assert not (tmp_path / "out").exists()
