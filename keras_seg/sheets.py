"""Legends and contact sheets: images, masks, overlays and errors in a table, for paper and for a phone.

`contact_sheet` draws `samples.png`, the doctor's `--sheet` and `preview`; a cell's type says what is drawn in
it. All is drawn at the size of the sheet, so outlines stay thin where small images are enlarged.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from keras_seg.palette import (
    IGNORE,
    IGNORE_COLOR,
    IGNORE_NAME,
    clear_class,
    colorize,
    displayable,
    error_overlay,
    overlay,
)

WIDTH = 1000  # Pixels of a contact sheet, about.

_PAPER = (255, 255, 255)
_INK = (24, 24, 24)
_GAP = 8  # Pixels between cells.
_MAX_NAME = 32  # Longer class names are shortened in a legend.
_MANY = 40  # Classes of a legend in small print.


class Overlay(NamedTuple):
    """A cell of a contact sheet: a mask's regions over its image.

    Attributes:
        image: [H, W, C], as `displayable` takes.
        mask: Integer [H, W].
    """

    image: np.ndarray
    mask: np.ndarray


class Errors(NamedTuple):
    """A cell of a contact sheet: where a mask is wrong.

    Attributes:
        image: [H, W, C], as `displayable` takes.
        truth: Class ids [H, W], 255 ignored.
        mask: Predicted class ids [H, W].
    """

    image: np.ndarray
    truth: np.ndarray
    mask: np.ndarray


def labeled_overlay(image, mask, classes, colors, all_classes=False):
    """Draws a mask's regions over its image, with a legend below.

    Args:
        image: RGB uint8 [H, W, 3], or any that `displayable` takes.
        mask: Integer [H, W].
        classes: Class names in id order.
        colors: RGB per class, [C, 3].
        all_classes: Whether the legend names all classes, not those of the mask alone.

    Returns:
        RGB uint8 [H', W', 3].
    """
    drawn = overlay(image, mask, colors, classes=classes)
    clear = (IGNORE, clear_class(classes, colors))
    return with_legend(drawn, classes, colors, None if all_classes else mask, clear)


def with_legend(image, classes, colors, mask=None, clear=()):
    """Puts a legend under an image: a swatch and a name per class, in as many lines as it takes.

    Args:
        image: RGB uint8 [H, W, 3]. An image narrower than one entry is padded on the right.
        classes: Class names in id order.
        colors: RGB per class, [C, 3].
        mask: Integer mask or list of masks; if given, only the classes in it are named.
        clear: Ids that the image shows without a color; their swatches are empty.

    Returns:
        RGB uint8 [H', W', 3], H' > H and W' >= W, with the image in its top left corner.
    """
    image = np.asarray(image, np.uint8)
    strip = _legend(image.shape[1], _legend_entries(classes, colors, mask, clear))
    return np.concatenate([_pad_to(image, width=strip.shape[1]), strip])


def contact_sheet(rows, titles, classes, colors, captions=None, cell_width=None):
    """Lays images out in a table with titled columns and one legend.

    Args:
        rows: A sequence of rows, each a sequence of cells as long as `titles`: an image [H, W, C] as
            `displayable` takes, a mask [H, W] of integers, which is painted, an `Overlay` or `Errors`. Sizes
            may differ by row.
        titles: One title per column, such as `("image", "ground truth", "prediction", "errors")`.
        classes: Class names in id order.
        colors: RGB per class, [C, 3].
        captions: A text for each row, which stands below it; None for none.
        cell_width: Width of a column in pixels; None: all together are about `WIDTH` wide.

    Returns:
        RGB uint8 [H, W, 3].
    """
    cell_width = cell_width or WIDTH // len(titles) - _GAP
    width = len(titles) * (cell_width + _GAP) - _GAP
    size = _text_pixels(width)
    lines = [_beside([_line(title, cell_width, size) for title in titles], cell_width)]
    for index, row in enumerate(rows):
        cells = [_cell(cell, classes, colors, cell_width) for cell in row]
        lines.append(_beside(cells, cell_width))
        if captions:
            lines.append(_line(captions[index], width, size))
        lines.append(_blank(_GAP, width))
    masks = [np.asarray(mask) for row in rows for cell in row for mask in _masks(cell)]
    return with_legend(np.concatenate(lines), classes, colors, mask=masks or None)


def _masks(cell):
    """The masks of which a cell shows the classes."""
    if isinstance(cell, Errors):
        return []
    return [cell.mask] if isinstance(cell, Overlay) else [cell] * (np.ndim(cell) == 2)


def _cell(cell, classes, colors, width):
    """Draws a cell as wide as its column."""
    if isinstance(cell, Overlay):
        return overlay(_scaled(cell.image, width), _scaled(cell.mask, width), colors, classes=classes)
    if isinstance(cell, Errors):
        return error_overlay(*(_scaled(part, width) for part in cell))
    scaled = _scaled(cell, width)
    return colorize(scaled, colors) if scaled.ndim == 2 else scaled


def _scaled(image, width):
    """Scales an image or a mask to a width in pixels; an image becomes one that can be shown."""
    image = np.asarray(image)
    size = width, max(1, round(image.shape[0] * width / image.shape[1]))
    if image.ndim == 2:
        kind = image.dtype if image.dtype in (np.uint8, np.uint16) else np.int32
        return cv2.resize(image.astype(kind), size, interpolation=cv2.INTER_NEAREST)
    interpolation = cv2.INTER_AREA if image.shape[1] > width else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(displayable(image), np.uint8), size, interpolation=interpolation)


def _beside(cells, width):
    height = max(len(cell) for cell in cells)
    padded = [_pad_to(cell, width + _GAP, height) for cell in cells]
    return np.concatenate(padded, axis=1)[:, :-_GAP]


def _blank(height, width):
    return np.full((height, width, 3), _PAPER, np.uint8)


def _line(text, width, size):
    """A line of text, cut off at the width."""
    return _with_texts(_blank(2 * size, width), [(text, 2, size + size // 2)], size)


def _legend_entries(classes, colors, mask, clear=()):
    """Returns [(name, color)] for the classes in `mask`, or all; the color is None where it is clear."""
    colors = np.asarray(colors, np.uint8).reshape(-1, 3)
    masks = mask if isinstance(mask, (list, tuple)) else [mask]
    if mask is None:
        known, present = list(range(len(classes))), set()
    else:
        present = {int(value) for each in masks for value in np.unique(each)}
        known = [index for index in range(len(classes)) if index in present - {IGNORE}]
    entries = [(classes[index], None if index in clear else colors[index].tolist()) for index in known]
    if IGNORE in present:
        entries.append((IGNORE_NAME, None if IGNORE in clear else IGNORE_COLOR))
    return entries


def _legend(width, entries):
    """Draws swatches and names in columns of equal width on a strip at least `width` pixels wide."""
    size = _text_pixels(width)
    if len(entries) > _MANY:
        size = max(9, size // 2)
    margin, line = max(3, size // 2), 2 * size
    names = [name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…" for name, _ in entries]
    column = max([_text_width(name, size) for name in names], default=0) + size + 3 * margin
    width = max(width, column + margin)
    columns = max(1, (width - margin) // column)
    num_lines = -(-len(entries) // columns)
    strip, texts = _blank(num_lines * line + margin, width), []
    for index, (name, (_, color)) in enumerate(zip(names, entries, strict=True)):
        left, top = margin + index % columns * column, margin + index // columns * line
        corners = (left, top), (left + size, top + size)
        if color is None:
            cv2.line(strip, (left, top + size), (left + size, top), _INK, 1, cv2.LINE_AA)
        else:
            cv2.rectangle(strip, *corners, tuple(map(int, color)), cv2.FILLED)
        cv2.rectangle(strip, *corners, _INK, 1)  # A white class would vanish on white paper.
        texts.append((name, left + size + margin, top + size))
    return _with_texts(strip, texts, size)


def _text_pixels(width):
    """Height of a capital letter in pixels: 8 where 1,000 pixels are shown on a phone's 390."""
    return int(np.clip(width // 44, 9, 64))


@functools.cache
def _font(size):
    """Returns a font whose capitals are `size` pixels high; it has Latin, Greek and Cyrillic letters."""
    # Imported here, since what only paints masks needs neither.
    import matplotlib
    from PIL import ImageFont

    # Of DejaVu's em, 0.729 are a capital's height.
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), size / 0.729)


def _text_width(text, size):
    return int(np.ceil(_font(size).getlength(text)))


def _with_texts(canvas, texts, size):
    """Writes texts, each (text, left, baseline), on a canvas."""
    from PIL import Image, ImageDraw  # As above.

    image = Image.fromarray(canvas)
    draw = ImageDraw.Draw(image)
    for text, left, baseline in texts:
        draw.text((left, baseline), text, _INK, _font(size), anchor="ls")
    return np.asarray(image)


def _pad_to(image, width, height=None):
    bottom = max(0, (height or 0) - image.shape[0])
    right = max(0, width - image.shape[1])
    return cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=_PAPER)
