"""Damaged image files, read as images and as masks by what training and prediction read them with."""

import functools
import io
from pathlib import Path

import numpy as np
from PIL import Image

from keras_seg.data.formats.reading import read_header, read_image, read_mask, read_mask_colors
from keras_seg.data.samples import Sample
from keras_seg.errors import InputError
from tests.attack.case import ANSWERED, REFUSED, Case, pick, refusal
from tests.attack.mutations import mutated
from tests.data.helpers import GREY_ALPHA, PALETTE, RGBA, encode, pillow, png, with_exif_orientation
from tests.serving.helpers import gif, lossy_webp, picture, progressive_jpeg

IN_CHILD, NEEDS_SERVER, COUNT, SECONDS = True, False, 3000, 20.0
MOST_MEMORY = 3 << 30  # Bytes: 2^27 pixels, which an image may have, take 0.4 GB in color and 0.5 as a mask


@functools.cache
def images():
    """Whole files by title: every format that is read, in its forms."""
    image, grey = picture(20, 28), picture(20, 28)[..., 0]
    ids = np.arange(20 * 28).reshape(20, 28) % 3
    palette = Image.fromarray(ids.astype(np.uint8)).convert("P")
    palette.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    tiff = functools.partial(pillow, Image.fromarray(image), "TIFF")
    return {
        "JPEG": encode(image, ".jpg"),
        "progressive JPEG": progressive_jpeg(image),
        "grey JPEG": encode(grey, ".jpg"),
        "JPEG with EXIF": with_exif_orientation(encode(image, ".jpg"), 6),
        "CMYK JPEG": pillow(Image.fromarray(image).convert("CMYK"), "JPEG"),
        "PNG": encode(image),
        "grey PNG": png(ids),
        "PNG of 2 bits": png(ids, depth=2),
        "PNG of 16 bits": png(ids * 300, depth=16),
        "palette PNG": png(ids, PALETTE, 8, [[0, 0, 0], [128, 0, 0], [0, 128, 0]]),
        "grey and alpha PNG": png(np.stack([ids, ids], -1), GREY_ALPHA),
        "RGBA PNG": png(np.dstack([image, grey]), RGBA),
        "PNG of text": png(ids, extra=[(b"tEXt", b"a\0b"), (b"gAMA", bytes(4)), (b"eXIf", b"MM\0*")]),
        "BMP": encode(image, ".bmp"),
        "grey BMP": encode(grey, ".bmp"),
        "palette BMP": pillow(palette, "BMP"),
        "GIF": gif([image]),
        "animated GIF": gif([image, image[::-1], image[:, ::-1]], optimize=False),
        "WebP": lossy_webp(image),
        "lossless WebP": encode(image, ".webp"),
        "WebP with alpha": pillow(Image.fromarray(np.dstack([image, grey])), "WEBP"),
        "animated WebP": _animated_webp(image),
        "TIFF": tiff(),
        "TIFF in LZW": tiff(compression="tiff_lzw"),
        "TIFF in Deflate": tiff(compression="tiff_adobe_deflate"),
        "TIFF in JPEG": tiff(compression="jpeg"),
        "palette TIFF": pillow(palette, "TIFF"),
        "grey TIFF in PackBits": pillow(Image.fromarray(grey), "TIFF", compression="packbits"),
    }  # fmt: skip


def _animated_webp(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "WEBP", save_all=True, append_images=[Image.fromarray(image[::-1])])
    return file.getvalue()


def case(random, number):
    """The whole files first, then damaged ones."""
    known = images()
    if number < len(known):
        title = list(known)[number]
        return Case(title, known[title])
    title = pick(random, list(known))
    return Case(f"damaged {title}", mutated(known[title], random, list(known.values())))


def ask(case, place):
    """Reads the file in every way."""
    path = Path(place.scratch, "picture.png")
    path.write_bytes(case.contents)
    outcomes = {_read(_image, path), *(_read(_mask, path, read) for read in (read_mask, read_mask_colors))}
    return ANSWERED if ANSWERED in outcomes else REFUSED


def _read(function, path, *arguments):
    try:
        function(path, *arguments)
    except InputError as error:
        assert str(error).startswith(str(path)), error
        return refusal(error)
    return ANSWERED


def _image(path):
    image = read_image(path)
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size, image.shape
    # The pipeline plans by the header alone.
    size = read_header(Sample(path, path)).size
    assert size == image.shape[:2], f"the header says {size}, the image has {image.shape[:2]}"


def _mask(path, read):
    mask = read(path)
    assert mask.dtype == np.int32 and mask.ndim == 2 and mask.size, (mask.dtype, mask.shape)
    assert mask.min() >= -(1 << 24) and mask.max() < 1 << 24, (mask.min(), mask.max())
