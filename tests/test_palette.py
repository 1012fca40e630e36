"""Colors of class ids, and images whose legends can be read at every size."""

import numpy as np
import pytest

from keras_seg import palette

NAMES = ("background", "person", "a class whose name is far too long for any legend")
COLORS = ((0, 0, 0), (200, 10, 10), (255, 255, 255))


def test_default_colors_are_those_of_pascal_voc():
    # The first ten and the last class of VOCdevkit's color map, and its void color.
    voc = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128),
           (128, 128, 128), (64, 0, 0), (192, 0, 0)]  # fmt: skip
    colors = palette.default_colors(256)
    assert colors.dtype == np.uint8 and colors.shape == (256, 3)
    assert [tuple(c) for c in colors[:10].tolist()] == voc
    assert colors[20].tolist() == [0, 64, 128]
    assert tuple(colors[255].tolist()) == palette.IGNORE_COLOR
    assert len(np.unique(colors, axis=0)) == 256


def test_default_colors_go_on_beyond_256():
    assert palette.default_colors(300).shape == (300, 3)


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
    colors = palette.default_colors(300)
    assert palette.colorize(np.array([[299]], np.uint16), colors)[0, 0].tolist() == colors[299].tolist()


def test_overlay_blends_by_alpha_and_shows_the_image_where_ignored():
    image = np.full((1, 2, 3), 100, np.uint8)
    blended = palette.overlay(image, np.array([[1, 255]], np.uint8), COLORS, alpha=0.25)
    assert blended.tolist() == [[[125, 78, 78], [100, 100, 100]]]  # 0.75 * 100 + 0.25 * (200, 10, 10)
    assert image.min() == image.max() == 100


@pytest.mark.parametrize("width", [1, 64, 500, 4000])
def test_a_legend_leaves_the_picture_and_names_classes_with_their_colors(width):
    image = np.random.default_rng(0).integers(0, 255, (9, width, 3), np.uint8)
    picture = palette.with_legend(image, NAMES, COLORS)
    np.testing.assert_array_equal(picture[:9, :width], image)
    assert picture.shape[1] >= width
    legend = picture[9:]
    for color in COLORS:
        swatch = (legend == color).all(-1)
        assert swatch.sum() >= 49  # A square of 7 pixels can be told from its neighbors.
    ink = (legend < 100).all(-1) & (legend > 0).any(-1)
    lines = ink.any(1)
    assert lines.sum() >= 9
    assert not ink[:, -1].any() and not lines[-1]  # No name is cut off.


def test_a_legend_names_only_the_classes_of_the_mask():
    image = np.zeros((4, 200, 3), np.uint8)
    mask = np.array([[1, 255]], np.uint8)
    legend = palette.with_legend(image, NAMES, COLORS, mask)[4:]
    counts = [(legend == color).all(-1).sum() for color in (COLORS[1], palette.IGNORE_COLOR)]
    assert min(counts) >= 49
    assert len(legend) < len(palette.with_legend(image, NAMES, COLORS)[4:])


def test_a_legend_has_many_classes_in_columns():
    names = [f"class {i}" for i in range(150)]
    picture = palette.with_legend(np.zeros((10, 1000, 3), np.uint8), names, palette.default_colors(150))
    assert picture.shape[1] == 1000 and len(picture) < 600


def test_a_panel_shows_images_and_masks_of_any_size_side_by_side():
    small, large = np.full((10, 20, 3), 90, np.uint8), np.full((500, 400, 3), 60, np.uint8)
    rows = [
        (small, np.zeros((10, 20), np.uint8), np.ones((10, 20), np.uint8)),
        (large, np.ones((500, 400), np.int32), np.full((500, 400), 255)),
    ]
    picture = palette.panel(rows, ("image", "truth", "prediction"), NAMES, COLORS, cell_width=100)
    assert picture.dtype == np.uint8
    top = 2 * 9  # The titles' line; then come cells of 50 and of 125 pixels' height, 8 apart.
    first, second = picture[top : top + 50, :316], picture[top + 58 : top + 183, :316]
    for row, colors in ((first, (90, COLORS[0], COLORS[1])), (second, (60, COLORS[1], palette.IGNORE_COLOR))):
        for left, color in zip((0, 108, 216), colors, strict=True):
            assert (row[:, left : left + 100] == color).all()
