"""Images are read as they should be seen, and a folder of them is predicted whatever is among them."""

import os
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from keras_seg.data.samples import RGB
from keras_seg.errors import InputError
from keras_seg.inference import Prediction, expand_inputs, predict_files, read_image, write_image, write_mask

# What each EXIF orientation does to the stored image so that it is seen upright (CIPA DC-008, 4.6.5).
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


def picture(height=20, width=30):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 3)


def save(path, array, *options):
    array = array[..., ::-1] if array.ndim == 3 and array.shape[-1] == 3 else array
    assert cv2.imwrite(str(path), array, *options)
    return path


@pytest.fixture
def photo(tmp_path):
    return save(tmp_path / "photo.png", picture())


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff"])
def test_lossless_formats_give_their_pixels(tmp_path, suffix):
    path = save(tmp_path / f"photo{suffix}", picture())
    np.testing.assert_array_equal(read_image(path), picture())


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_formats_come_close(tmp_path, suffix):
    image = read_image(save(tmp_path / f"photo{suffix}", picture()))
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - picture()).mean() < 3


def test_a_grey_picture_has_three_equal_channels(tmp_path):
    grey = picture()[..., 0]
    image = read_image(save(tmp_path / "grey.png", grey))
    np.testing.assert_array_equal(image, np.repeat(grey[..., None], 3, -1))


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_are_scaled_to_eight(tmp_path, suffix):
    image = read_image(save(tmp_path / f"deep{suffix}", picture().astype(np.uint16) * 257))
    np.testing.assert_array_equal(image, picture())


def test_alpha_is_dropped(tmp_path):
    bgra = np.dstack([picture()[..., ::-1], np.full((20, 30), 7, np.uint8)])
    np.testing.assert_array_equal(read_image(save(tmp_path / "clear.png", bgra)), picture())


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied(tmp_path, orientation):
    path = save(tmp_path / "turned.jpg", picture(), [cv2.IMWRITE_JPEG_QUALITY, 100])
    plain = read_image(path)
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    contents = path.read_bytes()
    path.write_bytes(contents[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + contents[2:])
    np.testing.assert_array_equal(read_image(path), UPRIGHT[orientation](plain))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tiff"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.98])
def test_a_truncated_picture_is_named(tmp_path, suffix, part):
    path = save(tmp_path / f"photo{suffix}", picture(60, 80))
    contents = path.read_bytes()
    path.write_bytes(contents[: int(part * len(contents))])
    with pytest.raises(InputError, match=str(path)) as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "contents", [b"", b"just text", b"\x89PNG\r\n\x1a\n", b"II*\0", b"\xff\xd8\xff", bytes(99)]
)
def test_a_file_that_is_no_picture_is_named(tmp_path, contents):
    path = tmp_path / "notes.png"
    path.write_bytes(contents)
    with pytest.raises(InputError, match=str(path)):
        read_image(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "missing.jpg", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            read_image(path)


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 254), (np.uint16, 299)])
def test_a_mask_is_read_back_as_it_was_written(tmp_path, dtype, top):
    mask = np.arange(12, dtype=dtype).reshape(3, 4)
    mask[0, 0] = top
    write_mask(tmp_path / "mask.png", mask)
    found = cv2.imread(str(tmp_path / "mask.png"), cv2.IMREAD_UNCHANGED)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, mask)


def test_a_picture_is_written_in_rgb_order(tmp_path):
    write_image(tmp_path / "out.png", picture())
    np.testing.assert_array_equal(read_image(tmp_path / "out.png"), picture())


def test_writing_where_nothing_can_be_written_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_mask(tmp_path / "missing" / "mask.png", np.zeros((2, 2), np.uint8))


def names(paths):
    return [path.name for path in paths]


@pytest.fixture
def album(tmp_path):
    for name in ("b.jpg", "a.PNG", "c.tif", "notes.txt", ".hidden.jpg", "inner/d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_a_folder_gives_its_pictures_in_order(album):
    assert names(expand_inputs([album])) == ["a.PNG", "b.jpg", "c.tif"]


def test_a_pattern_gives_what_matches(album):
    assert names(expand_inputs([f"{album}/*.jpg"])) == ["b.jpg"]
    assert names(expand_inputs([f"{album}/**/*.jpg"])) == ["b.jpg", "d.jpg"]
    assert names(expand_inputs([f"{album}/*"])) == ["a.PNG", "b.jpg", "c.tif"]


def test_a_file_is_taken_whatever_its_name_and_only_once(album):
    inputs = [album / "notes.txt", str(album / "b.jpg"), album, album / "inner" / ".." / "b.jpg"]
    assert names(expand_inputs(inputs)) == ["notes.txt", "b.jpg", "a.PNG", "c.tif"]


def test_a_file_with_brackets_in_its_name_is_a_file(tmp_path):
    (tmp_path / "photo[1].jpg").write_bytes(b"")
    assert names(expand_inputs([tmp_path / "photo[1].jpg"])) == ["photo[1].jpg"]


@pytest.mark.parametrize("item", ["missing.jpg", "*.gif", "empty", "inner/*.png"])
def test_an_input_that_gives_nothing_is_named(album, item):
    (album / "empty").mkdir()
    with pytest.raises(InputError, match=r"no such|no file") as caught:
        expand_inputs([album, album / item])
    assert str(album / item) in str(caught.value)


def test_no_input_at_all_is_an_error():
    with pytest.raises(InputError, match="no input"):
        expand_inputs([])


def threshold(image):
    """Stands in for a network: bright pixels are class 1, with confidence 1 or 0.6."""
    mask = (image[..., 0] > 128).astype(np.uint8)
    return Prediction(mask, np.where(mask, 1, 0.6).astype(np.float32))


PREDICTOR = SimpleNamespace(
    images=RGB,
    model=SimpleNamespace(name="tiny"),
    predict=threshold,
    classes=("dark", "bright"),
    colors=((0, 0, 0), (255, 0, 0)),
)


def predict(paths, output, **options):
    return predict_files(PREDICTOR, paths, output, **options)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_each_picture_gets_a_mask_of_its_size_and_stem(photo, tmp_path):
    tall = save(tmp_path / "tall.v2.jpg", picture(50, 10))
    summary = predict([photo, str(tall)], tmp_path / "new" / "out")
    assert (summary.done, summary.failed) == (2, [])
    assert files(tmp_path / "new") == ["out/photo.png", "out/tall.v2.png"]
    mask = cv2.imread(str(tmp_path / "new" / "out" / "photo.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask, picture()[..., 0] > 128)


def test_overlays_and_confidence_lie_in_folders_of_their_own(photo, tmp_path, capfd):
    predict([photo], tmp_path / "out", overlay=True, confidence=True)
    assert capfd.readouterr() == ("", "")
    assert files(tmp_path / "out") == ["confidence/photo.png", "overlays/photo.jpg", "photo.png"]
    grey = cv2.imread(str(tmp_path / "out" / "confidence" / "photo.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(grey, np.where(picture()[..., 0] > 128, 255, 153))
    drawn = read_image(tmp_path / "out" / "overlays" / "photo.jpg")
    assert drawn.shape[0] > 20 and drawn.shape[1] >= 30  # The legend lies below.


def test_one_bad_picture_is_reported_and_the_rest_are_done(photo, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_text("this is no image")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(cv2.imencode(".jpg", picture())[1].tobytes()[:-50])
    good = save(tmp_path / "good.bmp", picture())
    summary = predict([bad, photo, cut, good], tmp_path / "out", overlay=True)
    assert summary.done == 2
    assert [line.split(":")[0] for line in summary.failed] == [str(bad), str(cut)]
    assert files(tmp_path / "out") == ["good.png", "overlays/good.jpg", "overlays/photo.jpg", "photo.png"]


def test_a_picture_that_cannot_be_predicted_is_reported(photo, tmp_path):
    def refuse(image):
        raise InputError("too large")

    predictor = SimpleNamespace(
        images=RGB,
        predict=refuse,
        model=SimpleNamespace(name="tiny"),
        classes=("a", "b"),
        colors=[(0, 0, 0)] * 2,
    )
    summary = predict_files(predictor, [photo], tmp_path / "out")
    assert summary == (0, [f"{photo}: too large"], 0)


def test_pictures_with_transparency_are_counted(photo, tmp_path):
    grey = save(tmp_path / "grey.png", picture()[..., 0])
    clear = save(tmp_path / "clear.png", np.dstack([picture(), np.full((20, 30), 7, np.uint8)]))
    assert predict([photo, grey, clear], tmp_path / "out").transparent == 1


def test_two_pictures_of_one_stem_are_refused_before_anything_is_written(photo, tmp_path):
    (tmp_path / "other").mkdir()
    twin = save(tmp_path / "other" / "photo.jpg", picture())
    with pytest.raises(InputError, match="give them two folders") as caught:
        predict([photo, twin], tmp_path / "out")
    assert str(photo) in str(caught.value) and str(twin) in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_mask_never_replaces_an_input(photo, tmp_path):
    before = photo.read_bytes()
    with pytest.raises(InputError, match="would be overwritten"):
        predict([photo], tmp_path / "." / "inner" / "..")
    assert photo.read_bytes() == before


def test_an_output_that_is_a_file_is_refused(photo, tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(InputError, match=r"out.*cannot be written"):
        predict([photo], tmp_path / "out")


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_without_permission_is_refused(photo, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(InputError, match="cannot be written"):
        predict([photo], tmp_path / "locked")


def test_progress_sees_every_picture(photo, tmp_path):
    seen = []
    predict([photo], tmp_path / "out", progress=lambda items: seen.extend(items) or items)
    assert seen == [photo]


def test_what_no_jpeg_holds_is_drawn_as_png(tmp_path):
    long = save(tmp_path / "long.png", np.zeros((2, 70000, 3), np.uint8))
    assert predict([long], tmp_path / "out", overlay=True) == (1, [], 0)
    assert files(tmp_path / "out") == ["long.png", "overlays/long.png"]
    assert read_image(tmp_path / "out" / "overlays" / "long.png").shape[1] >= 70000
    with pytest.raises(InputError, match="70000 x 2 pixels are more than the format holds"):
        write_image(tmp_path / "long.jpg", np.zeros((2, 70000, 3), np.uint8))


@pytest.mark.parametrize("name", ["noext", "photo.xyz"])
def test_a_picture_is_named_after_its_format(name, tmp_path):
    with pytest.raises(InputError, match=r"must end in .png or .jpg"):
        write_image(tmp_path / name, picture())
    assert not list(tmp_path.iterdir())


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    path = tmp_path / f"{'n' * 251}.png"
    write_mask(path, np.zeros((2, 2), np.uint8))
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_the_system_refuses_is_one_line(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        expand_inputs([tmp_path / ("n" * 300)])
    for path in (tmp_path / ("n" * 300 + ".png"), save(tmp_path / "a.png", picture()) / "b.png"):
        with pytest.raises(InputError, match="cannot be written"):
            write_mask(path, np.zeros((2, 2), np.uint8))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_folder_s_name_need_not_be_text(photo, tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    assert predict([photo], folder, overlay=True, confidence=True) == (1, [], 0)
    assert files(folder) == ["confidence/photo.png", "overlays/photo.jpg", "photo.png"]
