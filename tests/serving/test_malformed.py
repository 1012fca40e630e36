"""No request ends the server: each that is not right is an error, and the next one is answered."""

import numpy as np
import pytest

from keras_seg.errors import InputError
from keras_seg.serving import Client, ServerError
from tests.serving.helpers import (
    MAX_PIXELS,
    MAX_TILED_PIXELS,
    NAME,
    claims,
    encoded,
    gif,
    lossy_webp,
    picture,
    png_bomb,
    progressive_jpeg,
    running_server,
    strings,
)

IMAGE = picture(8, 8)
PNG, JPEG, BMP = (encoded(IMAGE, suffix) for suffix in (".png", ".jpg", ".bmp"))
GIF, WEBP, LOSSLESS_WEBP = gif([IMAGE]), lossy_webp(IMAGE), encoded(IMAGE, ".webp")
LONG_BMP = encoded(np.zeros((1, 1000001, 3), np.uint8), ".bmp")
INPUTS = {"serving_default": "images", "logits": "images", "labels": "query"}
ENCODED = ("bytes", "confidence", "overlay", "tiled")
OUTPUTS = {
    "serving_default": ("mask", "confidence"),
    "logits": ("logits",),
    "bytes": ("mask_bytes",),
    "confidence": ("mask_bytes", "confidence_bytes"),
    "overlay": ("overlay_bytes",),
    "tiled": ("mask_bytes",),
    "labels": ("classes", "colors"),
}
ARRAYS = {
    "rank 3": IMAGE,
    "rank 2": IMAGE[0],
    "rank 1": IMAGE[0, 0],
    "rank 0": IMAGE[0, 0, 0],
    "rank 5": IMAGE[None, None],
    "no images": np.zeros((0, 8, 8, 3), np.uint8),
    "no height": np.zeros((1, 0, 8, 3), np.uint8),
    "no width": np.zeros((1, 8, 0, 3), np.uint8),
    "no channels": np.zeros((1, 8, 8, 0), np.uint8),
    "1 channel": np.zeros((1, 8, 8, 1), np.uint8),
    "4 channels": np.zeros((1, 8, 8, 4), np.uint8),
    "float32": IMAGE[None].astype(np.float32),
    "int32": IMAGE[None].astype(np.int32),
    "string for an array": strings(PNG),
    "nothing": None,
    "too many pixels": np.zeros((1, 1, MAX_PIXELS + 1, 3), np.uint8),
}
TOO_LARGE, LONG_PNG = png_bomb(8192, 8192), png_bomb(1, MAX_TILED_PIXELS + 1)
PICTURES = {
    "array for bytes": IMAGE[None],
    "scalar bytes": strings(PNG).reshape(()),
    "matrix of bytes": strings(PNG, PNG).reshape(1, 2),
    "no bytes": strings(),
    "no bytes fed": None,
    "zero bytes": strings(b""),
    "one byte": strings(b"\xff"),
    "text": strings(b"this is no image"),
    "PNG signature alone": strings(PNG[:8]),
    "JPEG signature alone": strings(JPEG[:2]),
    "JPEG of markers alone": strings(b"\xff\xd8" + b"\xff\xd0" * 1000),
    "JPEG of zeros": strings(b"\xff\xd8" + bytes(10000)),
    "BMP signature alone": strings(b"BM"),
    "GIF signature alone": strings(b"GIF89a"),
    "GIF without a frame": strings(GIF[:13] + b";"),
    "WebP signature alone": strings(b"RIFF\0\0\0\0WEBP"),
    "truncated PNG": strings(PNG[:-20]),
    "truncated JPEG": strings(JPEG[:-20]),
    "truncated GIF": strings(GIF[:-30]),
    "truncated BMP": strings(BMP[:-30]),
    "truncated WebP": strings(WEBP[:-20]),
    "good, then bad": strings(PNG, PNG[:50]),
    "bomb: PNG of 8192 x 8192": strings(TOO_LARGE),
    "bomb: GIF of 65535 x 65535": strings(claims(GIF, GIF.index(b",") + 5, "<HH", 65535, 65535)),
    "bomb: JPEG of 65500 x 65500": strings(claims(JPEG, JPEG.index(b"\xff\xc0") + 5, ">HH", 65500, 65500)),
    "bomb: progressive JPEG": strings(
        (lambda jpeg: claims(jpeg, jpeg.index(b"\xff\xc2") + 5, ">HH", 65500, 65500))(progressive_jpeg(IMAGE))
    ),
    "bomb: BMP of 2^31 rows": strings(claims(BMP, 22, "<i", -(2**31))),
    "bomb: WebP of 16383 x 16383": strings(claims(WEBP, 26, "<HH", 16383, 16383)),
    "bomb: lossless WebP": strings(claims(LOSSLESS_WEBP, 21, "<I", (1 << 28) - 1)),
    "bomb: extended WebP": strings(b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff" * 6 + WEBP[12:]),
    "PNG that claims 2^31 pixels a side": strings(claims(PNG, 16, ">II", 2**31 - 1, 2**31 - 1)),
    "PNG that claims no height": strings(claims(PNG, 20, ">I", 0)),
}
FLIPS = np.array([False])
OTHERS = {
    "labels: nothing": ("labels", {}),
    "labels: no query": ("labels", {"query": strings()}),
    "labels: a matrix": ("labels", {"query": strings(b"", b"").reshape(1, 2)}),
    "labels: too many": ("labels", {"query": strings(*[b""] * 1000)}),
    "tiled: no flips": ("tiled", {"image_bytes": strings(PNG)}),
    "tiled: two flips": ("tiled", {"image_bytes": strings(PNG), "flips": np.array([False, True])}),
    "tiled: scalar flips": ("tiled", {"image_bytes": strings(PNG), "flips": FLIPS.reshape(())}),
    "tiled: numbers as flips": ("tiled", {"image_bytes": strings(PNG), "flips": np.zeros(1, np.int32)}),
    "tiled: over its own limit": ("tiled", {"image_bytes": strings(LONG_PNG), "flips": FLIPS}),
    "overlay: longer than a JPEG can be": ("overlay", {"image_bytes": strings(png_bomb(1, 65501))}),
    "bytes: wider than a PNG can be": ("bytes", {"image_bytes": strings(LONG_BMP)}),
    "an unknown signature": ("train", {"images": IMAGE[None]}),
    "an unknown input": ("serving_default", {"images": IMAGE[None], "more": IMAGE[None]}),
}  # fmt: skip


def requests():
    """Every malformed request as {name: (signature, inputs)}."""
    found = dict(OTHERS)
    for signature in ("serving_default", "logits"):
        for name, value in ARRAYS.items():
            found[f"{signature}: {name}"] = (signature, {} if value is None else {"images": value})
    for signature in ENCODED:
        extra = {"flips": FLIPS} if signature == "tiled" else {}
        for name, value in PICTURES.items():
            found[f"{signature}: {name}"] = (
                signature,
                extra | ({} if value is None else {"image_bytes": value}),
            )
    return found


MALFORMED = requests()


@pytest.fixture(scope="module")
def client():
    with Client(running_server().grpc, NAME, retries=0, timeout=100) as client:
        yield client


def ask(client, signature, inputs):
    return client.call(signature, inputs, OUTPUTS.get(signature, ()))


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_an_error_and_the_next_one_is_answered(client, name):
    with pytest.raises(ServerError) as caught:
        ask(client, *MALFORMED[name])
    assert caught.value.code in (3, 5, 13), caught.value  # INVALID_ARGUMENT, NOT_FOUND, INTERNAL
    assert client.predict(IMAGE).mask.shape == (8, 8)
    assert running_server().process.poll() is None


@pytest.mark.parametrize("name", [name for name in PICTURES if "bomb" in name])
def test_a_bomb_is_refused_before_it_is_decoded(client, name):
    with pytest.raises(ServerError, match="the image has too many pixels"):
        client.call("bytes", {"image_bytes": PICTURES[name]}, ("mask_bytes",))


def test_an_animation_is_measured_by_its_first_frame(client):
    frames = [np.zeros((700, 700, 3), np.uint8)] * 3  # Together more than the limit.
    frames[1] = frames[1] + 255
    assert client.mask(gif(frames)).shape == (700, 700)


def send_random_bytes(client, count):
    """Sends strings that begin like images and go on at random; returns how many were refused."""
    random = np.random.default_rng(0)
    starts = (b"", PNG[:8], PNG[:33], JPEG[:20], JPEG[: len(JPEG) // 2], b"BM", BMP[:30], GIF[:30], WEBP[:40])
    contents = [
        starts[index % len(starts)] + random.bytes(int(random.integers(1, 200))) for index in range(count)
    ]

    def refused(numbered):
        index, content = numbered
        signature = ENCODED[index % len(ENCODED)]
        extra = {"flips": FLIPS} if signature == "tiled" else {}
        ask(client, signature, extra | {"image_bytes": strings(content)})

    answers = [answer for _, answer in client.map(refused, enumerate(contents))]
    return sum(isinstance(answer, InputError) for answer in answers)


def test_random_bytes_do_not_end_the_process(client):
    # Half a JPEG with noise behind it is an image to libjpeg.
    assert send_random_bytes(client, 450) >= 400
    assert client.predict(IMAGE).mask.shape == (8, 8)


@pytest.mark.long
def test_ten_thousand_random_strings_do_not_end_the_process(client):
    assert send_random_bytes(client, 10_000) >= 8800
    assert client.predict(IMAGE).mask.shape == (8, 8)


@pytest.mark.long
def test_every_single_damaged_byte_of_a_header_leaves_the_process_alive(client):
    def damaged():
        for contents in (PNG, JPEG, BMP, GIF, WEBP):
            for at in range(min(64, len(contents))):
                for value in (0, 1, 127, 255):
                    yield claims(contents, at, "B", value)

    for _ in client.map(client.mask, damaged()):
        pass
    assert client.predict(IMAGE).mask.shape == (8, 8)
