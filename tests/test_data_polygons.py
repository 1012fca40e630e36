"""Outlines are exact: their areas are the pixels, and filled again they are the mask."""

import json

import numpy as np
import pytest
from scipy import ndimage

from keras_seg.cli import main
from keras_seg.data import load_dataset, read_sample
from keras_seg.data.annotation.polygons import Coco, geojson, trace
from keras_seg.inference import write_image

CLASSES = ("ground", "tree", "house")


def shoelace(ring):
    x, y = np.asarray(ring, float).T
    return abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2


@pytest.mark.parametrize("seed", range(20))
def test_regions_and_their_areas_are_those_of_the_pixels(seed):
    random = np.random.default_rng(seed)
    mask = random.random(random.integers(1, 15, 2)) < random.choice([0.3, 0.5, 0.8])
    regions = trace(mask)
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    areas = sorted(shoelace(rings[0]) - sum(map(shoelace, rings[1:])) for rings in regions)
    assert len(regions) == count
    assert areas == sorted(np.bincount(labels.ravel())[1:])
    for ring in (ring for rings in regions for ring in rings):
        steps = np.roll(ring, -1, axis=0) - ring
        assert ((steps == 0).sum(axis=1) == 1).all()  # Along the edges of pixels.


def test_a_single_pixel_and_a_hole_have_their_corners():
    mask = np.ones((3, 4), bool)
    mask[1, 2] = False
    ((outline, hole),) = trace(mask)
    assert {tuple(point) for point in outline.tolist()} == {(0, 0), (4, 0), (4, 3), (0, 3)}
    assert {tuple(point) for point in hole.tolist()} == {(2, 1), (3, 1), (3, 2), (2, 2)}


def test_geojson_names_each_region_and_leaves_out_what_is_ignored():
    mask = np.array([[1, 1, 255], [0, 0, 2]], np.uint8)
    found = geojson(mask, CLASSES, keep=[1, 2])
    assert [feature["properties"] for feature in found["features"]] == [
        {"class": "tree", "id": 1, "pixels": 2},
        {"class": "house", "id": 2, "pixels": 1},
    ]
    ring = found["features"][0]["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1] and {tuple(point) for point in ring} == {(0, 0), (2, 0), (2, 1), (0, 1)}
    json.dumps(found)


def test_coco_converts_back_to_the_same_masks(tmp_path):
    """By `convert`, which reads COCO; regions with holes included."""
    random = np.random.default_rng(0)
    coco, masks = Coco(CLASSES), {}
    for number in range(4):
        masks[f"{number}.png"] = random.integers(0, 3, (11, 13)).astype(np.uint8)
        write_image(tmp_path / f"{number}.png", random.integers(0, 256, (11, 13, 3), np.uint8))
        coco.add(f"{number}.png", masks[f"{number}.png"])
    areas = sum(annotation["area"] for annotation in coco.content["annotations"])
    assert areas == 4 * 11 * 13
    (tmp_path / "polygons.json").write_text(json.dumps(coco.content))
    assert main(["convert", str(tmp_path / "polygons.json"), "--output", str(tmp_path / "back")]) == 0
    dataset = load_dataset(tmp_path / "back")
    found = {}
    for split in dataset.splits:
        for sample in dataset.split(split):
            found[sample.image.name] = read_sample(sample, dataset)[1]
    ids = {name: index for index, name in enumerate(dataset.classes)}
    back = np.array([ids[name] for name in CLASSES])
    assert found.keys() == masks.keys()
    for name, mask in masks.items():
        np.testing.assert_array_equal(found[name], back[mask])
