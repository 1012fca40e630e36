"""A video in, a video out: as many frames, of the same size and rate, with the classes over them."""

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_seg.cli import main
from keras_seg.data.samples import RGB
from keras_seg.errors import InputError
from keras_seg.inference import Prediction
from keras_seg.inference.video import is_video, predict_video

RATE = 12.0


class Threshold:
    """Class 1, in red, is what is bright."""

    images = RGB
    classes, colors = ("dark", "bright"), np.array([[0, 0, 0], [255, 0, 0]], np.uint8)

    def predict(self, image):
        return Prediction((image[..., 1] > 127).astype(np.uint8), np.ones(image.shape[:2], np.float32))


def write_video(path, frames, codec="MJPG"):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), RATE, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def read_video(path):
    capture = cv2.VideoCapture(str(path))
    rate, frames = capture.get(cv2.CAP_PROP_FPS), []
    while (answer := capture.read())[0]:
        frames.append(answer[1])
    return frames, rate


@pytest.fixture
def video(tmp_path):
    """A bright square that moves 8 pixels a frame."""
    frames = [np.full((64, 96, 3), 30, np.uint8) for _ in range(6)]
    for number, frame in enumerate(frames):
        frame[16:40, 8 * number : 8 * number + 24] = 220
    return write_video(tmp_path / "walk.avi", frames)


def test_every_frame_has_its_classes_drawn_over_it(video, tmp_path):
    seen = []

    def progress(frames, total):
        seen.append(total)
        return frames

    path, *counts = predict_video(Threshold(), video, tmp_path / "out", legend=False, progress=progress)
    frames, rate = read_video(path)
    assert (path.name, counts, len(frames), seen) == ("walk.webm", [6, 6], 6, [6])
    assert rate == pytest.approx(RATE) and frames[0].shape == (64, 96, 3)
    for number, frame in enumerate(frames):
        blue, _, red = frame[28, 8 * number + 12].astype(int)
        assert red - blue > 60  # Within the square, and nowhere else.
        blue, _, red = frame[55, 8 * number + 12].astype(int)
        assert abs(red - blue) < 30


def test_browsers_can_play_what_is_written(video, tmp_path, capfd):
    path, *_ = predict_video(Threshold(), video, tmp_path / "out")
    contents = path.read_bytes()
    # The Matroska specification: an EBML header with the document type "webm", then a track of a codec.
    assert contents.startswith(b"\x1a\x45\xdf\xa3") and b"\x42\x82\x84webm" in contents[:64]
    assert b"V_VP8" in contents[:4096]
    assert capfd.readouterr().err == ""


def test_the_legend_stands_below(video, tmp_path):
    path, *_ = predict_video(Threshold(), video, tmp_path / "out")
    height, width = read_video(path)[0][0].shape[:2]
    assert height > 64 and width >= 96 and height % 2 == width % 2 == 0


def test_what_is_no_video_is_one_line_and_leaves_nothing(tmp_path):
    (tmp_path / "talk.mp4").write_text("no video")
    with pytest.raises(InputError, match=r"talk\.mp4: is no video that OpenCV can read"):
        predict_video(Threshold(), tmp_path / "talk.mp4", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_video_is_never_written_over(video, tmp_path):
    source = video.rename(tmp_path / "walk.webm")
    before = source.read_bytes()
    with pytest.raises(InputError, match="would be overwritten"):
        predict_video(Threshold(), source, tmp_path)
    assert source.read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text_is_one_line(video, tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    folder.mkdir()
    for source, output in ((video, folder), (video.rename(folder / video.name), tmp_path / "out")):
        with pytest.raises(InputError, match=r"\ufffd.*OpenCV takes names in UTF-8 alone"):
            predict_video(Threshold(), source, output)
    assert not (tmp_path / "out").exists() and list(folder.iterdir()) == [folder / video.name]


def test_a_camera_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(InputError, match="camera 99: returns no image"):
        predict_video(Threshold(), 99, tmp_path / "out")


def test_videos_are_told_by_their_ending():
    assert is_video("a/b.MP4") and is_video("c.webm") and not is_video("photo.jpg")


def test_a_video_that_breaks_off_is_told(run, tmp_path, capfd):
    noise = np.random.default_rng(0).integers(0, 256, (20, 64, 96, 3), np.uint8)
    path = write_video(tmp_path / "cut.avi", list(noise))
    contents = path.read_bytes()
    path.write_bytes(contents[: len(contents) // 2])
    assert main(["predict", "--run", str(run.path), str(path), "--output", str(tmp_path / "out")]) == 2
    out, err = capfd.readouterr()
    frames, _ = read_video(tmp_path / "out" / "cut.webm")
    assert f"cut.avi: ends after {len(frames)} of 20 frames" in err and 5 < len(frames) < 15
    assert "0 of 1 videos labeled" in out


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["missing.mp4"], "missing.mp4: no such file or folder"),
        (["*.mp4"], "*.mp4: no file that matches ends in .avi"),
        (["walk.avi", "--confidence"], "--confidence applies to images, a video only gets its overlay"),
        (["walk.avi", "--probabilities", "zip"], "--probabilities must be npz or png, received zip"),
        (["walk.avi", "--overlap", "0.5"], "--overlap is of windows; add --sliding H W"),
        (["--camera", "0", "--server", "host:1"], "--camera works with --run alone"),
        (
            ["a.jpg", "--timeout", "nan", "--server", "host:1"],
            "--timeout must be a number of seconds above 0",
        ),
    ],
)
def test_what_a_video_cannot_be_asked_for_is_one_line(argv, line, run, video, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["predict", *argv, "--run", str(run.path), "--output", "out"]) == 2
    err = capfd.readouterr().err
    assert f"error: {line}" in err and "Traceback" not in err
    assert not (tmp_path / "out").exists()
