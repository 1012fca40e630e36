"""Which names and colors classes may have, wherever they are read from."""

from keras_seg.errors import spelled_out
from keras_seg.texts import is_text

BINARY_CLASSES = ("background", "foreground")
MAX_CLASSES = 254  # ids 0..253 in a uint8 mask; 254 marks a value that is no class, 255 is ignored
NAMES = f"a list of 1 to {MAX_CLASSES} valid and different names"
COLORS = "a list of [red, green, blue] with values 0 to 255"

# Pascal VOC's (Everingham et al., 2010), in the order of their ids.
VOC_CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train"),
    "tvmonitor",
)


def class_names(value):
    """Returns the class names that a value of JSON holds as a tuple, or None where it is no `NAMES`."""
    is_right = is_list_of(value, str) and all(map(_is_name, value)) and len(set(value)) == len(value)
    return tuple(value) if is_right and len(value) <= MAX_CLASSES else None


def _is_name(text):
    return is_text(text) and spelled_out(text) == text  # Reports print it.


def class_colors(value):
    """Returns the RGB colors that a value of JSON holds as tuples, or None where it is no `COLORS`."""
    is_right = is_list_of(value, list) and all(
        len(color) == 3 and is_list_of(color, int) and min(color) >= 0 and max(color) <= 255
        for color in value
    )
    return tuple(tuple(color) for color in value) if is_right else None


def is_list_of(value, kind):
    """Whether a value of JSON is a list that holds something, all of it of one kind."""
    # bool is an int in Python, but true is no mask value.
    return isinstance(value, list) and bool(value) and all(type(item) is kind for item in value)
