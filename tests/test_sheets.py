"""Legends can be read at every size, and contact sheets show what their cells say."""

import numpy as np
import pytest

from keras_seg.palette import ERROR_COLOR, IGNORE_COLOR, default_colors, error_overlay, overlay
from keras_seg.sheets import Errors, Overlay, contact_sheet, labeled_overlay, with_legend

NAMES = ("background", "person", "a class whose name is far too long for any legend")
COLORS = ((0, 0, 0), (200, 10, 10), (255, 255, 255))


@pytest.mark.parametrize("width", [1, 64, 500, 4000])
def test_a_legend_leaves_the_picture_and_names_classes_with_their_colors(width):
    image = np.random.default_rng(0).integers(0, 255, (9, width, 3), np.uint8)
    picture = with_legend(image, NAMES, COLORS)
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
    legend = with_legend(image, NAMES, COLORS, mask)[4:]
    counts = [(legend == color).all(-1).sum() for color in (COLORS[1], IGNORE_COLOR)]
    assert min(counts) >= 49
    assert len(legend) < len(with_legend(image, NAMES, COLORS)[4:])


def test_a_legend_has_many_classes_in_columns():
    names = [f"class {i}" for i in range(150)]
    picture = with_legend(np.zeros((10, 1000, 3), np.uint8), names, default_colors(150))
    assert picture.shape[1] == 1000 and len(picture) < 600


def test_an_overlay_has_empty_swatches_for_what_stays_clear():
    image, mask = np.full((40, 400, 3), 90, np.uint8), np.zeros((40, 400), np.uint8)
    mask[:, :9], mask[:, 9:20] = 1, 255
    drawn = labeled_overlay(image, mask, NAMES, COLORS)
    np.testing.assert_array_equal(drawn[:40], overlay(image, mask, COLORS, classes=NAMES))
    legend = drawn[40:]
    assert (legend == COLORS[1]).all(-1).sum() >= 49
    assert not any((legend == color).all(-1).sum() for color in (COLORS[0], IGNORE_COLOR))


@pytest.mark.parametrize("name", ["Straße", "дорога", "δρόμος"])
def test_names_need_not_be_ascii(name):
    image = np.zeros((4, 300, 3), np.uint8)
    drawn, marks = (with_legend(image, [text], COLORS[1:2]) for text in (name, "?" * len(name)))
    assert drawn.shape != marks.shape or (drawn != marks).any()


def test_a_contact_sheet_shows_cells_of_any_size_side_by_side():
    small, large = np.full((10, 20, 3), 90, np.uint8), np.full((500, 400, 3), 60, np.uint8)
    rows = [
        (small, np.zeros((10, 20), np.uint8), np.ones((10, 20), np.uint8)),
        (large, np.ones((500, 400), np.int32), np.full((500, 400), 255)),
    ]
    sheet = contact_sheet(rows, ("image", "ground truth", "prediction"), NAMES, COLORS, cell_width=100)
    assert sheet.dtype == np.uint8
    top = 2 * 9  # The titles' line; then come cells of 50 and of 125 pixels' height, 8 apart.
    first, second = sheet[top : top + 50, :316], sheet[top + 58 : top + 183, :316]
    for row, colors in ((first, (90, COLORS[0], COLORS[1])), (second, (60, COLORS[1], IGNORE_COLOR))):
        for left, color in zip((0, 108, 216), colors, strict=True):
            assert (row[:, left : left + 100] == color).all()


def test_overlays_and_errors_are_drawn_at_the_size_of_the_sheet():
    random = np.random.default_rng(0)
    image, truth = random.integers(0, 255, (100, 100, 3), np.uint8), np.zeros((100, 100), np.int32)
    truth[:50], truth[:10] = 1, 255
    mask = np.ones((100, 100), np.int32)
    rows = [(Overlay(image, truth), Errors(image, truth, mask))]
    sheet = contact_sheet(rows, ("both", "errors"), NAMES, COLORS, cell_width=100)
    np.testing.assert_array_equal(sheet[18:118, :100], overlay(image, truth, COLORS, classes=NAMES))
    np.testing.assert_array_equal(sheet[18:118, 108:208], error_overlay(image, truth, mask))
    assert (sheet[68:118, 108:208] == ERROR_COLOR).all()


def test_captions_stand_below_their_rows_and_can_be_read_on_a_phone():
    image = np.full((240, 240, 3), 255, np.uint8)
    without, sheet = (
        contact_sheet([[image] * 4], "abcd", NAMES[:1], COLORS[:1], captions)
        for captions in (None, ["IoU 0.71"])
    )
    height = len(sheet) - len(without)
    caption = sheet[2 * 20 + 242 : 2 * 20 + 242 + height]
    rows = np.flatnonzero((caption < 128).any(axis=(1, 2)))
    assert sheet.shape[1] == 992 and np.ptp(rows) + 1 >= 8 * 992 / 390
