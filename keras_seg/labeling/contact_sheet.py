"""A contact sheet: the first images of a ranking, each beside a map of where the network is unsure."""

import cv2
import numpy as np

from keras_seg.files import replacing
from keras_seg.palette import displayable

WIDTH, HEIGHT = 240, 180  # Pixels that an image gets, at most.
_COLUMNS = 3


def draw_contact_sheet(path, cells):
    """Draws images and their maps in rows.

    Args:
        path: PNG file to write.
        cells: list of (title, image [H, W, C], map [H, W] in 0..1).

    Raises:
        InputError: the file cannot be written.
    """
    # Imported here since Matplotlib takes its time.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(cells))
    rows = -(-len(cells) // columns)
    figure = Figure(figsize=(5.2 * columns, 2.3 * rows), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for place in axes.flat:
        place.axis("off")
    for place, (title, image, unsure) in zip(axes.flat, cells, strict=False):
        place.imshow(_beside(image, unsure))
        place.set_title(title, fontsize=9, loc="left", parse_math=False)
    with replacing(path) as temporary:
        figure.savefig(temporary)


def _beside(image, unsure):
    """The image and its map, from black to yellow, side by side in RGB uint8."""
    height, width = image.shape[:2]
    scale = min(1.0, WIDTH / width, HEIGHT / height)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    shown = np.ascontiguousarray(displayable(image))
    shown = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
    levels = np.rint(255 * cv2.resize(np.float32(unsure), size, interpolation=cv2.INTER_AREA))
    colored = cv2.applyColorMap(levels.clip(0, 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    gap = np.full((size[1], 4, 3), 255, np.uint8)
    return np.hstack([shown, gap, colored])
