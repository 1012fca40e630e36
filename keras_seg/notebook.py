"""What predictions, runs and data sets look like in a notebook: HTML with small images in it."""

import base64
from html import escape

import cv2
import numpy as np

MOST = 480  # Pixels of an image's longer side.


def image_html(image, caption=""):
    """An image with its caption below.

    Args:
        image: RGB uint8 [H, W, 3]; scaled down to at most 480 pixels a side.
        caption: Text.
    """
    height, width = image.shape[:2]
    scale = min(1.0, MOST / max(height, width))
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)
    contents = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))[1].tobytes()
    source = f"data:image/png;base64,{base64.b64encode(contents).decode()}"
    return f'<figure><img src="{source}" alt=""><figcaption>{escape(caption)}</figcaption></figure>'


def table_html(rows, caption=""):
    """A table of two columns.

    Args:
        rows: `{name: value}`.
        caption: Text.
    """
    cells = ((escape(str(name)), escape(str(value))) for name, value in rows.items())
    lines = (f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in cells)
    return f"<table><caption>{escape(caption)}</caption>{''.join(lines)}</table>"
