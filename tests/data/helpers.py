"""Writes small images for the data tests, PNG by hand so that every color type and depth can be had."""

import io
import json
import struct
import zlib

import cv2
import numpy as np

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
_CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}


def png(samples, color_type=GREY, depth=8, palette=None, extra=()):
    """Encodes samples [H, W] or [H, W, C] as a PNG of a color type and depth (W3C PNG, section 11)."""
    samples = np.asarray(samples)
    height, width = samples.shape[:2]
    rows = samples.reshape(height, width * _CHANNELS[color_type])
    if depth == 16:
        packed = rows.astype(">u2").view(np.uint8).reshape(height, -1)
    else:
        bits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :]
        packed = np.packbits(bits.reshape(height, -1), axis=-1)
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), packed], axis=1)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)), *extra]
    if palette is not None:
        chunks.append((b"PLTE", np.asarray(palette, np.uint8).tobytes()))
    chunks += [(b"IDAT", zlib.compress(filtered.tobytes())), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def encode(image, suffix=".png"):
    """Encodes an RGB image [H, W, 3] or a grey one [H, W] with OpenCV."""
    image = np.asarray(image, np.uint8)
    return cv2.imencode(suffix, image[..., ::-1] if image.ndim == 3 else image)[1].tobytes()


def pillow(picture, suffix, **options):
    """Encodes a Pillow image with Pillow."""
    buffer = io.BytesIO()
    picture.save(buffer, suffix, **options)
    return buffer.getvalue()


def with_exif_orientation(jpeg, value, order=">", before=b""):
    """Puts an EXIF segment with an orientation tag into a JPEG, behind other segments `before`."""
    mark = b"MM\0*" if order == ">" else b"II*\0"
    other = struct.pack(order + "HHII", 0x010E, 4, 1, 7)  # A tag that comes first, as in real cameras' files
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, value, 0)
    tiff = mark + struct.pack(order + "IH", 8, 2) + other + entry + bytes(4)
    return jpeg[:2] + before + app_segment(0xE1, b"Exif\0\0" + tiff) + jpeg[2:]


def app_segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def color_profile():
    """An ICC profile of a screen whose red is sRGB's blue: whoever applies it gets other colors."""

    def number(value):  # s15Fixed16
        return struct.pack(">i", round(value * 65536))

    def xyz(*values):
        return b"XYZ \0\0\0\0" + b"".join(map(number, values))

    white = (0.9642, 1.0, 0.8249)
    red, green, blue = (0.1431, 0.0606, 0.7141), (0.3851, 0.7169, 0.0971), (0.4361, 0.2225, 0.0139)
    curve = b"curv" + struct.pack(">IIHH", 0, 1, 0x0233, 0)  # Gamma 2.2, and two bytes of padding.
    name = b"desc" + struct.pack(">II", 0, 6) + b"screen".ljust(78 + 6, b"\0")
    tags = {b"desc": name, b"cprt": b"text\0\0\0\0none\0\0\0\0", b"wtpt": xyz(*white)}
    tags |= {
        key + b"XYZ": xyz(*values) for key, values in zip((b"r", b"g", b"b"), (red, green, blue), strict=True)
    }
    tags |= {key + b"TRC": curve for key in (b"r", b"g", b"b")}
    start = 128 + 4 + 12 * len(tags)
    table, contents = struct.pack(">I", len(tags)), b""
    for key, value in tags.items():
        table += key + struct.pack(">II", start + len(contents), len(value))
        contents += value + b"\0" * (-len(value) % 4)
    header = struct.pack(">II", start + len(contents), 0) + b"\2\x10\0\0mntrRGB XYZ " + bytes(12) + b"acsp"
    header += bytes(28) + b"".join(map(number, white))
    return header.ljust(128, b"\0") + table + contents


def picture(height=12, width=16, seed=0):
    """Returns an RGB image without symmetry, smooth enough for JPEG."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def write_folder(root, count=4, size=(12, 16), masks=None, description=None, images="images", labels="masks"):
    """Writes `count` pairs of an image and a mask of ids 0..2 (or `masks`: one array for all)."""
    for folder in (images, labels):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        mask = np.random.default_rng(index).integers(0, 3, size) if masks is None else masks
        (root / images / f"{index}.jpg").write_bytes(encode(picture(*size, seed=index), ".jpg"))
        (root / labels / f"{index}.png").write_bytes(png(mask))
    if description is not None:
        (root / "dataset.json").write_text(json.dumps(description))
    return root
