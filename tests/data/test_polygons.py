"""Outlines are exact: their areas are the pixels, and filled again they are the mask."""

import json

import numpy as np
import pytest
from scipy import ndimage

from keras_seg.data.annotation.polygons import area, geojson, regions, trace

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


def test_regions_have_the_mean_confidence_of_their_pixels():
    random = np.random.default_rng(3)
    mask = random.integers(0, 3, (30, 40)).astype(np.uint8)
    mask[:3] = 255
    confidence = random.random(mask.shape)
    found = regions(mask, confidence, keep=[1, 2])
    expected = []
    for index in (1, 2):
        labels, count = ndimage.label(mask == index, np.ones((3, 3)))
        numbers = range(1, count + 1)
        expected += zip(
            ndimage.sum_labels(mask == index, labels, numbers),
            ndimage.mean(confidence, labels, numbers),
            strict=True,
        )
    np.testing.assert_allclose(
        sorted((area(region.rings), region.score) for region in found), sorted(expected), rtol=1e-6
    )


def test_the_area_of_a_large_region_does_not_wrap_around():
    ring = np.array([[0, 0], [60000, 0], [60000, 60000], [0, 60000]], np.int32)
    assert area([ring]) == 3_600_000_000
