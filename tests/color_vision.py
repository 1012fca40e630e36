"""How far apart colors are for color-blind people: `python -m tests.color_vision` prints the palette's table.

The simulation is that of Machado, Oliveira and Fernandes, 2009 (doi:10.1109/TVCG.2009.113), at severity 1, on
linear RGB; the difference is the Euclidean distance in CIELAB (CIE 1976) under D65, in which 2.3 is just
noticeable (Mahy, Van Eycken and Oosterlinck, 1994).
"""

import numpy as np

EYES = {
    "all cones": np.eye(3),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
# IEC 61966-2-1, from linear sRGB.
_XYZ = np.array(
    ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
)
OKABE_ITO = (
    *((0, 0, 0), (213, 94, 0), (86, 180, 233), (240, 228, 66)),
    *((0, 114, 178), (204, 121, 167), (230, 159, 0), (0, 158, 115)),
)
_COLORS, _STEP = 255, 15
_LIGHTNESS = 35, 92  # CIELAB's, for all eyes: to be seen on black and on white.


def lab(colors, eyes="all cones"):
    """CIELAB of RGB in 0..255 as those eyes see it: [..., 3]."""
    encoded = np.asarray(colors, float) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(EYES[eyes]), 0, 1)
    xyz = seen @ _XYZ.T / _XYZ.sum(axis=1)
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def differences(colors, others):
    """How far each color is from each other one, in the eyes that see it least: [N, M]."""
    pairs = ((lab(colors, eyes)[:, None], lab(others, eyes)[None]) for eyes in EYES)
    return np.min([np.linalg.norm(one - other, axis=-1) for one, other in pairs], axis=0)


def find_palette(others):
    """The table of `keras_seg.palette`: eight, then the color of a grid that is farthest from all before."""
    levels = np.arange(0, 256, _STEP)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness = [lab(grid, eyes)[:, 0] for eyes in EYES]
    grid = grid[(np.min(lightness, axis=0) > _LIGHTNESS[0]) & (np.max(lightness, axis=0) < _LIGHTNESS[1])]
    found = list(OKABE_ITO)
    nearest = differences(grid, [*found, *others]).min(axis=1)
    while len(found) < _COLORS:
        color = grid[nearest.argmax()]
        found.append(tuple(color.tolist()))
        nearest = np.minimum(nearest, differences(grid, color[None])[:, 0])
    return found


if __name__ == "__main__":
    from keras_seg.palette import IGNORE_COLOR

    text = "".join(bytes(color).hex() for color in find_palette([IGNORE_COLOR, (255, 255, 255)]))
    print("\n".join(f'    "{text[start : start + 96]}"' for start in range(0, len(text), 96)))
