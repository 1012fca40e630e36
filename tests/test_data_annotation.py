"""Predictions go out to every annotation tool and come back as the same masks."""

from types import SimpleNamespace

import numpy as np
import pytest
from data_helpers import encode, picture

from keras_seg.cli import main
from keras_seg.data import load_dataset, read_sample
from keras_seg.data.annotation.formats import FORMATS
from keras_seg.inference import Prediction, predict_files

SIZES = ((17, 23), (40, 31), (12, 12))


def blobs(size, num_classes, seed):
    """Class ids [H, W] in patches, with holes, single pixels and corners that touch."""
    random = np.random.default_rng(seed)
    mask = random.integers(0, num_classes, (size[0] // 4 + 1, size[1] // 4 + 1)).repeat(4, 0).repeat(4, 1)
    mask = mask[: size[0], : size[1]]
    stray = random.random(size) < 0.1
    mask[stray] = random.integers(0, num_classes, stray.sum())
    return mask.astype(np.uint8)


def predict(folder, names, **wanted):
    """Writes images and predictions for them; returns the masks by the images' stems."""
    masks = {f"photo {index}": blobs(size, len(names), index) for index, size in enumerate(SIZES)}
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
    predictor = SimpleNamespace(classes=names, model=model, colors=colors, predict=answer)
    predict_files(predictor, paths, folder / "out", **wanted)
    return masks


def convert(folder, source, *flags):
    """Converts it back; returns the class names and the masks by the images' stems."""
    back = folder / "back"
    assert (
        main(["convert", str(source), "--images", str(folder / "photos"), "--output", str(back), *flags]) == 0
    )
    dataset = load_dataset(back)
    samples = [sample for split in dataset.splits.values() for sample in split]
    return dataset.classes, {sample.name: read_sample(sample, dataset)[1] for sample in samples}


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


@pytest.mark.parametrize("classes", [("background", "tree", "house"), ("ground", "tree", "house")])
def test_coco_polygons_convert_back_to_the_same_masks(tmp_path, classes):
    masks = predict(tmp_path, classes, polygons="coco")
    flags = [] if classes[0] == "background" else ["--unlabeled", "ignore"]
    found, back = convert(tmp_path, tmp_path / "out/polygons.json", *flags)
    assert found == classes
    for stem, mask in masks.items():
        np.testing.assert_array_equal(back[stem], mask)
