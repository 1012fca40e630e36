"""Colors for class ids, and the pictures that show them: masks, overlays, legends and panels.

Pictures are RGB uint8 arrays [H, W, 3]; masks are integer arrays [H, W] in which 255 is ignored.
"""

import cv2
import numpy as np

IGNORE = 255
IGNORE_COLOR = (224, 224, 192)  # The cream of the Pascal VOC void outline.
IGNORE_NAME = "ignored"

_BACKGROUND = (255, 255, 255)
_INK = (24, 24, 24)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_MAX_NAME = 32  # Longer class names are shortened in a legend.


def default_colors(num_classes):
    """Returns the Pascal VOC color map: uint8 [num_classes, 3], black first.

    The bits of a class id, three at a time, become the high bits of red, green and blue
    (VOCdevkit's VOCcolormap.m). Beyond 256 the colors repeat.
    """
    ids = np.arange(num_classes, dtype=np.int64) % 256
    colors = np.zeros((num_classes, 3), np.uint8)
    for level in range(8):
        for channel in range(3):
            colors[:, channel] |= (((ids >> (3 * level + channel)) & 1) << (7 - level)).astype(np.uint8)
    return colors


def displayable(image):
    """What an image of any channels looks like: the first three in red, green and blue, or the first in grey.

    Args:
        image: [H, W, C]; of uint8 as it is, else each channel from its least to its largest value.

    Returns:
        RGB uint8 [H, W, 3].
    """
    image = np.asarray(image)
    image = image[..., :3] if image.shape[-1] >= 3 else image[..., :1].repeat(3, axis=-1)
    if image.dtype == np.uint8:
        return image
    low, high = (find(image, axis=(0, 1), keepdims=True) for find in (np.min, np.max))
    levels = (image - low) * (255 / np.maximum(high - low, np.finfo(np.float32).tiny))
    return np.rint(levels).astype(np.uint8)


def colorize(mask, colors, ignore_color=IGNORE_COLOR):
    """Paints a mask.

    Args:
        mask: integer [H, W]; 255 and every id that has no color are painted in `ignore_color`.
        colors: RGB per class, [C, 3] in 0..255.
        ignore_color: RGB of the ignored pixels.

    Returns:
        RGB uint8 [H, W, 3].
    """
    mask, colors = np.asarray(mask), np.asarray(colors, np.uint8).reshape(-1, 3)
    table = np.full((max(256, len(colors) + 1), 3), ignore_color, np.uint8)
    table[: len(colors)] = colors
    table[IGNORE] = ignore_color
    if mask.dtype != np.uint8:
        mask = np.where((mask < 0) | (mask >= len(table)), IGNORE, mask)
    return table[mask]


def overlay(image, mask, colors, alpha=0.5):
    """Blends a mask's colors over its image; ignored pixels show the image alone.

    Args:
        image: RGB uint8 [H, W, 3], or any that `displayable` takes.
        mask: integer [H, W].
        colors: RGB per class, [C, 3].
        alpha: weight of the colors, a fraction.

    Returns:
        RGB uint8 [H, W, 3].
    """
    image = np.ascontiguousarray(displayable(image))
    blended = cv2.addWeighted(image, 1 - alpha, colorize(mask, colors), alpha, 0)
    ignored = np.asarray(mask) == IGNORE
    blended[ignored] = image[ignored]
    return blended


def with_legend(image, classes, colors, mask=None):
    """Puts a legend under a picture: a swatch and a name per class, in as many lines as it takes.

    Args:
        image: RGB uint8 [H, W, 3]. A picture narrower than one entry is padded on the right.
        classes: class names, in id order.
        colors: RGB per class, [C, 3].
        mask: integer mask or list of masks; if given, only the classes in it are named.

    Returns:
        RGB uint8 [H', W', 3], H' > H and W' >= W, with the picture in its top left corner.
    """
    image = np.asarray(image, np.uint8)
    strip = _legend(image.shape[1], _legend_entries(classes, colors, mask))
    return np.concatenate([_pad_to(image, width=strip.shape[1]), strip])


def panel(rows, titles, classes, colors, cell_width=320):
    """Lays pictures out in a table with titled columns and one legend, for `samples.png`.

    Args:
        rows: a sequence of rows, each a sequence of pictures as wide as `titles` is long: an image is
            [H, W, C] as `displayable` takes, a mask is integer [H, W] and is painted. Sizes may differ by
            row.
        titles: one title per column, for instance `("image", "truth", "prediction")`.
        classes: class names, in id order.
        colors: RGB per class, [C, 3].
        cell_width: width of a column in pixels.

    Returns:
        RGB uint8 [H, W, 3].
    """
    gap = 8
    masks = [cell for row in rows for cell in row if np.ndim(cell) == 2]
    lines = [np.concatenate([_pad_to(_title(text, cell_width), cell_width + gap) for text in titles], axis=1)]
    for row in rows:
        cells = [_cell(picture, colors, cell_width) for picture in row]
        height = max(len(cell) for cell in cells)
        line = np.concatenate([_pad_to(cell, cell_width + gap, height + gap) for cell in cells], axis=1)
        lines.append(line)
    table = np.concatenate(lines)[:, :-gap]
    return with_legend(table, classes, colors, mask=masks or None)


def _cell(picture, colors, width):
    picture = np.asarray(picture)
    interpolation = cv2.INTER_AREA if picture.shape[1] > width else cv2.INTER_LINEAR
    if picture.ndim == 2:
        picture, interpolation = colorize(picture, colors), cv2.INTER_NEAREST
    picture = displayable(picture)
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    return cv2.resize(np.ascontiguousarray(picture, np.uint8), (width, height), interpolation=interpolation)


def _title(text, width):
    size = _text_pixels(width * 3)
    canvas = np.full((2 * size, width, 3), _BACKGROUND, np.uint8)
    return _draw_text(canvas, text, 2, size + size // 2, size)


def _legend_entries(classes, colors, mask):
    """Returns [(name, color)] for the classes in `mask` (all of them when it is None)."""
    colors = np.asarray(colors, np.uint8).reshape(-1, 3)
    if mask is None:
        return list(zip(classes, colors.tolist(), strict=True))
    masks = mask if isinstance(mask, (list, tuple)) else [mask]
    present = set().union(*(np.unique(m).tolist() for m in masks)) if masks else set()
    known = [i for i in range(len(classes)) if i in present and i != IGNORE]
    entries = [(classes[i], colors[i].tolist()) for i in known]
    return [*entries, (IGNORE_NAME, IGNORE_COLOR)] if IGNORE in present else entries


def _legend(width, entries):
    """Draws swatches and names in columns of equal width on a strip at least `width` pixels wide."""
    size = _text_pixels(width)
    margin, line = max(3, size // 2), size + max(5, size * 2 // 3)
    names = [name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 3] + "..." for name, _ in entries]
    column = max([_text_width(name, size) for name in names], default=0) + size + 3 * margin
    width = max(width, column + margin)
    columns = max(1, (width - margin) // column)
    num_lines = -(-len(entries) // columns)
    strip = np.full((num_lines * line + 2 * margin, width, 3), _BACKGROUND, np.uint8)
    for index, (name, (_, color)) in enumerate(zip(names, entries, strict=True)):
        left, top = margin + index % columns * column, margin + index // columns * line
        corners = (left, top), (left + size, top + size)
        cv2.rectangle(strip, *corners, tuple(int(c) for c in color), cv2.FILLED)
        cv2.rectangle(strip, *corners, _INK, 1)  # A white class would vanish on the white strip.
        _draw_text(strip, name, left + size + margin, top + size, size)
    return strip


def _text_pixels(width):
    """Height of a capital letter in pixels: readable at 64 pixels of width, modest at 4000."""
    return int(np.clip(width // 60, 9, 48))


def _font(size):
    """Returns OpenCV's (scale, thickness) for capitals of `size` pixels."""
    return size / 22, max(1, round(size / 12))


def _text_width(text, size):
    return cv2.getTextSize(text, _FONT, *_font(size))[0][0]


def _draw_text(canvas, text, left, baseline, size):
    scale, thickness = _font(size)
    return cv2.putText(canvas, text, (left, baseline), _FONT, scale, _INK, thickness, cv2.LINE_AA)


def _pad_to(image, width, height=None):
    bottom = max(0, (height or 0) - image.shape[0])
    right = max(0, width - image.shape[1])
    return cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=_BACKGROUND)
