"""Images of 1 to 16 channels as they are stored: grey, RGBA and multi-band images, TIFF and NumPy arrays.

They are read in Python, as TensorFlow has no kernels for most of them. NumPy's format: NEP 1.
"""

import io
import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from keras_seg.data.formats.decode import ORIENTATIONS
from keras_seg.data.formats.headers import NUMPY, format_name, refuse_absurd_size
from keras_seg.data.samples import DEPTHS, ImageKind
from keras_seg.errors import InputError
from keras_seg.hints import PathLike
from keras_seg.rows import MAX_CHANNELS

_FLOATS = ("float16", "float32", "float64")
_EXTRA = "pip install 'keras-seg[multiband]'"


def decode_bands(
    path: PathLike, contents: bytes, kind: ImageKind | None = None, orientation: int = 1
) -> np.ndarray:
    """Decodes an image as it is stored.

    Args:
        path: for messages.
        contents: the file.
        kind: what it has to be; None: anything.
        orientation: of a JPEG, 1 to 8 as in EXIF.

    Returns:
        `[H, W, C]`, of one of `DEPTHS`.

    Raises:
        InputError: it cannot be read, has other channels or samples, or holds NaN or infinite values.
    """
    name = format_name(contents)
    try:
        decode = {NUMPY: _decode_numpy, "TIFF": _decode_tiff}.get(name or "", _decode_picture)
        image = decode(path, contents)
    except InputError:
        raise
    except Exception as error:  # Damaged files are answered with many kinds.
        reason = " ".join(str(error).split())[:100]
        raise InputError(
            f"{path}: is a truncated or damaged {name or 'image'} ({reason}); replace it."
        ) from None
    image = _turned(_channels_last(path, image, kind), orientation)
    if image.dtype.name in _FLOATS:
        image = image.astype(np.float32)
        if not np.isfinite(image).all():
            count = int((~np.isfinite(image)).sum())
            raise InputError(f"{path}: holds {count} values that are NaN or infinite; fill them.")
    if image.dtype.name not in DEPTHS:
        raise InputError(f"{path}: holds {image.dtype} samples; save it as {', '.join(DEPTHS)}.")
    found = ImageKind(image.shape[2], image.dtype.name)
    if kind is not None and found != kind:
        raise InputError(other_kind_text(path, found, kind))
    return image


def other_kind_text(path: PathLike, found: ImageKind, wanted: ImageKind) -> str:
    """The message for an image of the wrong kind."""
    return f"{path}: holds {found}, and {wanted} is wanted; convert it, or correct --channels."


def as_input(image: np.ndarray, kind: ImageKind) -> np.ndarray:
    """Returns an image in the type in which it goes into the network."""
    return np.ascontiguousarray(image, kind.dtype)


def _decode_numpy(_, contents):
    return np.load(io.BytesIO(contents), allow_pickle=False)


def _decode_tiff(path, contents):
    try:
        # Here and not above, since few need it.
        import tifffile
    except ImportError:
        raise InputError(f"{path}: a TIFF of any channels needs the package tifffile: {_EXTRA}") from None
    with tifffile.TiffFile(io.BytesIO(contents)) as file:
        page = file.pages[0]
        refuse_absurd_size(path, (page.imagelength, page.imagewidth))
        if page.samplesperpixel > MAX_CHANNELS:
            raise InputError(
                f"{path}: has {page.samplesperpixel} channels; at most {MAX_CHANNELS} can be read."
            )
        image = page.asarray()
        # Bands that lie one behind the other.
        return np.moveaxis(image, 0, -1) if page.planarconfig == 2 and image.ndim == 3 else image


def _decode_picture(_, contents):
    image = cv2.imdecode(np.frombuffer(contents, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError(f"{len(contents)} bytes")
    if image.ndim == 3 and image.shape[2] >= 3:
        image[..., :3] = image[..., 2::-1].copy()
    return image


def _channels_last(path, image, kind):
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or not math.prod(image.shape) or image.shape[2] > MAX_CHANNELS:
        wanted = kind.channels if kind else f"1 to {MAX_CHANNELS}"
        raise InputError(f"{path}: has the shape {list(image.shape)}, which is not [H, W, {wanted}].")
    return image


def _turned(image, orientation):
    transpose, up_down, left_right = ORIENTATIONS[orientation]
    image = image.transpose(1, 0, 2) if transpose else image
    return image[:: -1 if up_down else 1, :: -1 if left_right else 1]


@dataclass(frozen=True)
class Moments:
    """Sums over images, for the mean and the deviation of each channel.

    Attributes:
        count: pixels.
        mean: float64 [C].
        squares: sums of the squared distances to the mean, float64 [C].
    """

    count: int
    mean: np.ndarray
    squares: np.ndarray

    @property
    def deviation(self) -> np.ndarray:
        """The standard deviation of each channel."""
        return np.sqrt(self.squares / self.count)


def moments_of(image: np.ndarray) -> Moments:
    """The Moments of an image [H, W, C]."""
    parts = [
        # OpenCV takes four channels at once, and sums up in float64.
        cv2.meanStdDev(np.ascontiguousarray(image[..., first : first + 4]))
        for first in range(0, image.shape[2], 4)
    ]
    mean, deviation = (np.concatenate([part[index].ravel() for part in parts]) for index in (0, 1))
    count = image.shape[0] * image.shape[1]
    return Moments(count, mean, count * deviation**2)


def joined_moments(moments: Any) -> Moments | None:
    """The Moments of many images (Chan, Golub and LeVeque, 1979); None of none."""
    total = None
    for each in moments:
        if total is None:
            total = each
            continue
        count, distance = total.count + each.count, each.mean - total.mean
        mean = total.mean + distance * (each.count / count)
        squares = total.squares + each.squares + distance**2 * (total.count * each.count / count)
        total = Moments(count, mean, squares)
    return total
