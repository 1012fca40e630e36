"""The colors of classes, and how masks, overlays and errors are painted with them.

Images are RGB uint8 arrays [H, W, 3]; masks are integer arrays [H, W] in which 255 is ignored. Legends and
contact sheets are drawn in `keras_seg.sheets`.
"""

import re

import cv2
import numpy as np

IGNORE = 255
IGNORE_COLOR = (224, 224, 192)  # The cream of the Pascal VOC void outline.
IGNORE_NAME = "ignored"
ERROR_COLOR = (230, 40, 40)  # Of wrong pixels.
SKIPPED_COLOR = (128, 128, 128)  # Of ignored pixels where errors are shown.
OUTLINE = 300  # An outline is this part of the image's longer side wide, and at least a pixel.
ALPHA = 0.625  # Weight of a class's color within its outline; eighths are exact, so a server draws the same.
LUMA = (77, 150, 29)  # Red, green and blue in brightness, of 256: ITU-R BT.601.
WASH = 0.65  # Of white over an image on which errors are shown.

_GROUNDS = ("background", "_background_", "ground", "void", "unlabeled", "unlabelled")
_UNNAMED = re.compile(r"(class[ _])?0")
# Okabe and Ito's eight (Color Universal Design, 2008), black first. Each of the others is the color of a grid
# that is farthest from all before it, from IGNORE_COLOR and from white, in CIELAB and in the eyes that tell
# them apart worst: `python -m tests.color_vision` prints the table.
_COLORS = (
    "000000d55e0056b4e9f0e4420072b2cc79a7e69f00009e738700f0a5f078695a2d9678ff96b4694b5a5a5a3cc3f0b4d2"
    "c300a5ff789696783c964b0078f0ffa54b877896f0d2a54b874bf087f096a587c3c35a5a6969d269961e96d2ffe1c34b"
    "b42d694b784bd2a5d2c3c39687d2695a4b87f0a5b4f0697869b496a5964ba56987f0d2d2d2f069691ed27887d200d20f"
    "785ae15a5a4b783cb4c35aa596965a3c4bff00d2b4f087e100b478e1782d96f0f0e178ffd2a5ff2dff3c69b43c4b00ff"
    "a54bb4e11e1e78a5b4e11e69b43c3cc3f0b44b69ffff5ae15a6987f0b469c35ac30f7869ffd2964b690fe1b4f0a5f0e1"
    "5ae14bb43cc3a596c3e15a96e1d200b45ae15ae1e1f06900695a9600693c783c96d2c3878778a5c3a58778879678e1c3"
    "b45a2db4c3a500a5d2a55a69872dd2a5e178e1f05a9669ffd2965a5aa50fa59687694b78a52dc33c874b4b2de187e1a5"
    "d26969e187b4a5b4789687b44bc3ff96873ce196a59678b4b4e15a1e5ae13c695af0873cc34b4ba58787b44b783c783c"
    "3c5aa5965a1ed2d2874b7878695ad287e1ff00c32d69785a87b4a5d269d2c3d2b4a55a96ffc3a596c3c3b4f087a50fa5"
    "b469e1c3b45a7896a5a5874bd2b48778b4c3a57887c31ed2870fc38778c396a569f0e1d2a5c378d2f0a5a5691e872de1"
    "96a5d2d200b4a587e1a53c9678d2d2c3b496b4c33cf078d278a5fff0c3c33c69c3f0c3e196f01e782db4e1a5e15ab45a"
    "c3e169c3a5f02d87f000a5964b3cf08796ff78a53cb4785a4bd2f0d296c3a5d2782d78f02d5a78b41ee1785a5aa53cff"
    "875aa5b496a5b45a7878782dd2d2f069f0a5f0c33c788769a53c872da52d789669e1691e69a5f0ff962d1e782db4e1b4"
    "5ac34bf0876969f069a5c3b4f0b4960078961ef05affd2f096c387a5c3fff02db4008796b4a596c3c3d2873cf0a53c5a"
    "d2b4c33c4bd26900f0a5a55aff2d3ca55aa5a5f0c3c3877887c35ac34bf0960fff4bc37800f0e13c69e1e1b43cb4e1d2"
    "4ba578f000ffffe1b4f0d25ac3d23ce1872dc3c35a87784b69e1699669d27878878787f04b6978d2e1ff008778"
)


def default_colors(classes):
    """Returns colors that color-blind people can tell apart: uint8 [C, 3].

    The first 16 differ by 16 or more in CIELAB with each kind of dichromacy and without, the first 21 by 14
    and the first 32 by 11. Of more classes some look alike to everyone, and legends have to be read. Beyond
    255 the colors repeat.

    Args:
        classes: Number of classes, or their names. The first one is black, unless it has a name that is none
            of a ground.
    """
    table = np.frombuffer(bytes.fromhex(_COLORS), np.uint8).reshape(-1, 3)
    if not np.ndim(classes):
        return table[np.arange(classes) % len(table)]
    first = 0 if classes and (is_ground(classes[0]) or _UNNAMED.fullmatch(classes[0])) else 1
    return table[(np.arange(len(classes)) + first) % len(table)]


def voc_colors(num_classes):
    """Returns the Pascal VOC color map, in which many files hold masks: uint8 [num_classes, 3], black first.

    The bits of a class id, three at a time, become the high bits of red, green and blue
    (VOCdevkit's VOCcolormap.m). Beyond 256 the colors repeat.
    """
    ids = np.arange(num_classes, dtype=np.int64) % 256
    colors = np.zeros((num_classes, 3), np.uint8)
    for level in range(8):
        for channel in range(3):
            colors[:, channel] |= (((ids >> (3 * level + channel)) & 1) << (7 - level)).astype(np.uint8)
    return colors


def is_ground(name):
    """Whether a class is what lies around the others."""
    return name.lower() in _GROUNDS


def clear_class(classes, colors):
    """Returns the class that overlays leave clear: 0 if it is the ground by its name or black, else None.

    Args:
        classes: Class names in id order, or None.
        colors: RGB per class, [C, 3].
    """
    is_clear = len(colors) > 1 and ((classes and is_ground(classes[0])) or not np.any(colors[0]))
    return 0 if is_clear else None


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
        mask: Integer [H, W]; 255 and every id that has no color are painted in `ignore_color`.
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


def outlines(mask):
    """Finds the outlines of the regions of a mask, on both sides of their borders.

    Args:
        mask: Integer [H, W].

    Returns:
        bool [H, W].
    """
    mask = np.asarray(mask)
    # Where a step is more than a pixel, an outline consists of squares of its width.
    step = max(1, max(mask.shape) // OUTLINE)
    small = mask[::step, ::step]
    across, down = small[:, 1:] != small[:, :-1], small[1:] != small[:-1]
    edges = np.pad(across, ((0, 0), (1, 0))) | np.pad(across, ((0, 0), (0, 1)))
    edges |= np.pad(down, ((1, 0), (0, 0))) | np.pad(down, ((0, 1), (0, 0)))
    rows, columns = (np.arange(side) // step for side in mask.shape)
    return edges[rows][:, columns]


def grey(image):
    """Returns the brightness of RGB pixels: uint8 [..., 3] to uint8 [..., 1]."""
    return (np.asarray(image) @ np.array(LUMA, np.uint16) // 256).astype(np.uint8)[..., None]


def overlay(image, mask, colors, alpha=ALPHA, classes=None):
    """Draws a mask's regions over its image: outlined, and filled so that the image shines through in grey.

    So a region has its class's hue whatever is below. The first class stays clear if it is the ground
    (`clear_class`), as do ignored pixels.

    Args:
        image: RGB uint8 [H, W, 3], or any that `displayable` takes.
        mask: Integer [H, W].
        colors: RGB per class, [C, 3].
        alpha: Weight of the colors within the outlines, a fraction.
        classes: Class names in id order.

    Returns:
        RGB uint8 [H, W, 3].
    """
    image, mask = np.ascontiguousarray(displayable(image)), np.asarray(mask)
    painted = colorize(mask, colors)
    drawn = cv2.addWeighted(grey(image).repeat(3, axis=-1), 1 - alpha, painted, alpha, 0)
    edges = outlines(mask)
    drawn[edges] = painted[edges]
    clear = mask == IGNORE
    if (ground := clear_class(classes, colors)) is not None:
        clear |= mask == ground
    drawn[clear] = image[clear]
    return drawn


def error_overlay(image, truth, mask):
    """Draws where a mask is wrong, in red over its washed-out image; what is ignored is grey.

    Args:
        image: RGB uint8 [H, W, 3], or any that `displayable` takes.
        truth: Class ids [H, W], 255 ignored.
        mask: Predicted class ids [H, W].

    Returns:
        RGB uint8 [H, W, 3].
    """
    pale = np.rint(255 * WASH + (1 - WASH) * grey(displayable(image))).astype(np.uint8)
    drawn = pale.repeat(3, axis=-1)
    truth = np.asarray(truth)
    drawn[truth != mask] = ERROR_COLOR
    drawn[truth == IGNORE] = SKIPPED_COLOR
    return drawn
