import io
import struct

import numpy as np
import pytest
from PIL import Image

from keras_seg.data import read_image, read_mask
from keras_seg.data.formats.reading import read_header
from keras_seg.data.samples import Sample
from keras_seg.errors import InputError
from keras_seg.gif import frame_sizes
from tests.data.helpers import picture, pillow
from tests.serving.helpers import claims, gif

PHOTO = picture(8, 24)
IDS = np.arange(12 * 16).reshape(12, 16) % 3


def _webp(image, **options):
    return pillow(image, "webp", icc_profile=b"whose VP8  is no chunk.", **options)


LOSSLESS = Image.fromarray(np.stack([np.uint8(IDS)] * 3, -1))
SEE_THROUGH = Image.fromarray(np.dstack([np.uint8(IDS)] * 3 + [np.uint8(IDS * 50 + 100)]))


@pytest.mark.parametrize(
    "contents",
    [
        _webp(LOSSLESS, lossless=True),
        _webp(LOSSLESS, lossless=True, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"),
        _webp(SEE_THROUGH, lossless=True, exact=True),
    ],
    ids=["profile", "EXIF", "alpha"],
)
def test_a_lossless_webp_in_any_container_is_a_mask(tmp_path, contents):
    assert contents[12:16] == b"VP8X"
    (tmp_path / "mask.webp").write_bytes(contents)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.webp"), IDS)
    np.testing.assert_array_equal(read_image(tmp_path / "mask.webp"), np.stack([IDS] * 3, -1))


@pytest.mark.parametrize("image", [LOSSLESS, SEE_THROUGH])
def test_a_lossy_webp_in_any_container_is_no_mask_but_an_image(tmp_path, image):
    contents = _webp(image, quality=100)
    (tmp_path / "mask.webp").write_bytes(contents)
    with pytest.raises(InputError, match=r"is a lossy WebP"):
        read_mask(tmp_path / "mask.webp")
    expected = np.asarray(Image.open(io.BytesIO(contents)).convert("RGBA"))[..., :3]
    np.testing.assert_array_equal(read_image(tmp_path / "mask.webp"), expected)


def test_alpha_of_a_webp_without_a_container_is_dropped(tmp_path):
    contents = pillow(SEE_THROUGH, "webp", lossless=True, exact=True)
    assert contents[12:16] == b"VP8L"
    (tmp_path / "a.webp").write_bytes(contents)
    np.testing.assert_array_equal(read_image(tmp_path / "a.webp"), np.stack([IDS] * 3, -1))


def _animated(image, **options):
    return pillow(image, "webp", save_all=True, append_images=[Image.new("RGB", (16, 12), "red")], **options)


def _bmp(bits, compression, data, behind_header=b""):
    start = 14 + 40 + len(behind_header)
    head = struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start)
    info = struct.pack("<IiiHHIIiiII", 40, 16, 12, 1, bits, compression, len(data), 0, 0, 0, 0)
    return head + info + behind_header + data


@pytest.mark.parametrize(
    "contents, message",
    [
        (_bmp(1, 0, bytes(4 * 12), bytes(8)), r"a BMP of 1-bit pixels"),
        (_bmp(4, 0, bytes(8 * 12), bytes(64)), r"a BMP of 4-bit pixels"),
        (_bmp(16, 0, bytes(2 * 16 * 12)), r"a BMP of 16-bit pixels"),
        (_bmp(8, 1, b"\x10\1\0\0" * 12 + b"\0\1", bytes(1024)), r"a BMP of compressed 8-bit pixels"),
        (
            _bmp(32, 3, bytes(4 * 16 * 12), struct.pack("<III", 0xFF, 0xFF00, 0xFF0000)),
            r"a BMP of another order of colors",
        ),
        (b"BM" + struct.pack("<IHHIIHHHH", 602, 0, 0, 26, 12, 16, 12, 1, 24) + bytes(576), r"a BMP of OS/2"),
        (_animated(LOSSLESS, quality=90), r"an animated WebP"),
        (_animated(SEE_THROUGH, lossless=True), r"an animated WebP"),
    ],
)
def test_what_the_decoders_do_not_know_is_not_called_damaged(tmp_path, contents, message):
    (tmp_path / "a.bmp").write_bytes(contents)
    for read in (read_image, read_mask):
        with pytest.raises(InputError, match=rf"a\.bmp: is {message}, which cannot be read here; save it as"):
            read(tmp_path / "a.bmp")


def test_a_bmp_that_names_the_usual_order_of_colors_is_read(tmp_path):
    image = picture(12, 16)
    data = np.dstack([image[::-1, :, ::-1], image[..., :1]]).tobytes()
    (tmp_path / "a.bmp").write_bytes(_bmp(32, 3, data, struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)))
    np.testing.assert_array_equal(read_image(tmp_path / "a.bmp"), image)


def animation(height, width):
    """A GIF of 8 x 24 pixels, whose second frame is another's."""
    second = gif([np.zeros((height, width, 3), np.uint8)], optimize=False)
    return gif([PHOTO])[:-1] + second[second.index(b",\0\0\0\0") :]


def test_a_gif_with_a_larger_frame_is_as_large_as_it_is_decoded(tmp_path):
    path = tmp_path / "image.gif"
    path.write_bytes(animation(16, 40))
    assert list(frame_sizes(path.read_bytes())) == [(8, 24), (16, 40)]
    assert read_header(Sample(path, path)).size == read_image(path).shape[:2] == (16, 40)


def test_a_frame_that_the_decoder_leaves_out_does_not_count(tmp_path):
    path = tmp_path / "image.gif"
    path.write_bytes(animation(16, 40)[:-20])
    assert read_header(Sample(path, path)).size == read_image(path).shape[:2]


def test_no_frame_of_a_gif_may_have_more_pixels_than_can_be_read(tmp_path):
    path = tmp_path / "image.gif"
    contents = animation(16, 40)
    path.write_bytes(claims(contents, contents.rindex(b",\0\0\0\0") + 5, "<HH", 65535, 65535))
    with pytest.raises(InputError, match="says that it is 65535 x 65535 pixels"):
        read_image(path)
