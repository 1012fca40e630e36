"""Colors of class ids: who can tell them apart, and what is painted with them."""

import numpy as np
import pytest

from keras_seg import palette
from tests.color_vision import EYES, differences, find_palette, lab

COLORS = ((0, 0, 0), (200, 10, 10), (255, 255, 255))


@pytest.mark.parametrize(("count", "least"), [(8, 16), (16, 16), (21, 14), (32, 11)])
def test_colors_differ_for_every_kind_of_color_vision(count, least):
    colors = palette.default_colors(count)
    between = differences(colors, colors) + 1000 * np.eye(count)
    assert between.min() >= least
    assert differences(colors, [palette.IGNORE_COLOR, (255, 255, 255)]).min() >= 14


def test_the_colors_of_pascal_voc_would_not():
    colors = palette.voc_colors(21)
    assert (differences(colors, colors) + 1000 * np.eye(21)).min() < 3


def test_the_simulation_shows_what_color_blind_people_confuse():
    """Red and green lights of one brightness, which are Ishihara's: far apart, and close to a deuteranope."""
    pair = [(180, 90, 60), (115, 120, 60)]
    assert (
        np.linalg.norm(np.subtract(*lab(pair)))
        > 40
        > 12
        > np.linalg.norm(np.subtract(*lab(pair, "deuteranopia")))
    )
    for eyes in EYES:  # Whoever sees them, white is white.
        assert lab([(255, 255, 255)], eyes)[0] == pytest.approx((100, 0, 0), abs=0.1)


def test_the_table_is_that_of_the_search():
    found = find_palette([palette.IGNORE_COLOR, (255, 255, 255)])
    assert [tuple(color) for color in palette.default_colors(255).tolist()] == found
    assert len(set(found)) == 255
    assert palette.default_colors(300)[255:].tolist() == palette.default_colors(45).tolist()


@pytest.mark.parametrize("color", range(1, 32))
def test_colors_are_seen_on_black_and_on_white(color):
    color = palette.default_colors(32)[color]
    assert all(20 < lab([color], eyes)[0, 0] < 95 for eyes in EYES)


@pytest.mark.parametrize(
    ("names", "black"),
    [(("Background", "cat"), True), (("class_0", "class_1"), True), (("road", "car"), False)],
)
def test_black_is_for_the_ground(names, black):
    colors = palette.default_colors(names)
    assert colors.shape == (2, 3) and (not colors[0].any()) == black
    assert palette.clear_class(names, colors) == (0 if black else None)


def test_overlays_leave_a_ground_of_any_color_clear_and_no_other_class():
    assert palette.clear_class(("background", "cat"), [(255, 255, 255), (0, 0, 0)]) == 0
    assert palette.clear_class(("road", "sky"), [(128, 64, 128), (0, 0, 0)]) is None
    assert palette.clear_class(None, [(0, 0, 0), (9, 9, 9)]) == 0
    assert palette.clear_class(("background",), [(0, 0, 0)]) is None


def test_voc_colors_are_those_of_pascal_voc():
    # The first ten and the last class of VOCdevkit's color map, and its void color.
    voc = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128),
           (128, 128, 128), (64, 0, 0), (192, 0, 0)]  # fmt: skip
    colors = palette.voc_colors(256)
    assert colors.dtype == np.uint8 and colors.shape == (256, 3)
    assert [tuple(c) for c in colors[:10].tolist()] == voc
    assert colors[20].tolist() == [0, 64, 128]
    assert tuple(colors[255].tolist()) == palette.IGNORE_COLOR
    assert len(np.unique(colors, axis=0)) == 256


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "int64"])
def test_colorize_paints_each_class_and_the_ignored_pixels(dtype):
    mask = np.array([[0, 1], [2, 255]], dtype)
    painted = palette.colorize(mask, COLORS, ignore_color=(1, 2, 3))
    assert painted.dtype == np.uint8
    assert painted.tolist() == [[[0, 0, 0], [200, 10, 10]], [[255, 255, 255], [1, 2, 3]]]


@pytest.mark.parametrize("value", [-1, 3, 254, 256, 70000])
def test_colorize_paints_ids_without_a_color_as_ignored(value):
    painted = palette.colorize(np.full((1, 1), value), COLORS)
    assert tuple(painted[0, 0]) == palette.IGNORE_COLOR


def test_colorize_knows_classes_above_255():
    colors = palette.voc_colors(300)
    assert palette.colorize(np.array([[299]], np.uint16), colors)[0, 0].tolist() == colors[299].tolist()


def test_overlay_fills_and_outlines_regions_and_leaves_the_ground_clear():
    image = np.full((5, 6, 3), (100, 200, 0), np.uint8)
    mask = np.array([[1] * 4 + [0, 255]] * 5, np.uint8)
    drawn = palette.overlay(image, mask, COLORS, alpha=0.25)
    grey = (77 * 100 + 150 * 200) // 256  # BT.601: 0.299 R + 0.587 G + 0.114 B
    assert grey == round(0.299 * 100 + 0.587 * 200)
    inside = [round(0.75 * grey + 0.25 * part) for part in COLORS[1]]
    expected = [inside, inside, inside, list(COLORS[1]), [100, 200, 0], [100, 200, 0]]
    assert drawn.tolist() == [expected] * 5
    assert image.max() == 200  # It is as it was.


def test_without_a_ground_all_classes_are_drawn():
    drawn = palette.overlay(
        np.full((1, 2, 3), 90, np.uint8), [[0, 0]], [(200, 0, 0), (0, 0, 0)], 0.5, ("a", "b")
    )
    assert drawn.tolist() == [[[145, 45, 45]] * 2]


@pytest.mark.parametrize(("side", "width"), [(64, 1), (599, 1), (600, 2), (1500, 5)])
def test_outlines_are_a_three_hundredth_of_the_image_wide(side, width):
    mask = np.zeros((side, 30), np.int64)
    mask[side // 2 // width * width :] = 300
    rows = np.flatnonzero(palette.outlines(mask).any(axis=1))
    middle = side // 2 // width * width
    np.testing.assert_array_equal(rows, np.arange(middle - width, middle + width))
    assert palette.outlines(mask)[middle].all()


def test_errors_are_red_over_a_pale_image_for_every_kind_of_color_vision():
    levels = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=-1)
    drawn = palette.error_overlay(levels, np.zeros((1, 256), int), np.zeros((1, 256), int))
    assert differences([palette.ERROR_COLOR], drawn[0]).min() > 30
    drawn = palette.error_overlay(levels[:, :3], [[0, 1, 255]], [[1, 1, 0]])
    assert drawn[0, 0].tolist() == list(palette.ERROR_COLOR) and drawn[0, 2].tolist() == [128] * 3
