"""Videos and cameras: each frame with the classes drawn over it, into a video of the same size and rate."""

import os
from pathlib import Path
from typing import NamedTuple

import cv2

from keras_seg.errors import InputError
from keras_seg.files import check_targets, make_folder, regular_file, replacing
from keras_seg.palette import overlay
from keras_seg.process import quiet_stderr
from keras_seg.sheets import labeled_overlay
from keras_seg.texts import readable

VIDEO_SUFFIXES = frozenset((".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"))
# In WebM, which browsers play, as they do not MPEG-4 part 2. OpenCV's package writes no H.264, and VP9 takes
# seven times as long.
_CODEC, _SUFFIX = "VP80", ".webm"
_RATE = 25.0  # Frames a second, where the source does not say.


class Video(NamedTuple):
    """A video that was written.

    Attributes:
        path: where it is.
        frames: how many were read, labeled and written.
        announced: how many its source said it has; None for a camera, and where it does not say.
    """

    path: Path
    frames: int
    announced: int | None


def is_video(path):
    """Whether a file's name ends as a video's."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def video_target(source, output):
    """Path of what is written for a video or the number of a camera."""
    name = f"camera-{source}" if isinstance(source, int) else Path(source).stem
    return Path(output) / f"{name}{_SUFFIX}"


def predict_video(predictor, source, output, *, progress=None, legend=True):
    """Predicts a video frame by frame and writes it with the classes drawn over it, as WebM without sound.

    Args:
        predictor: Predictor.
        source: path of a video, or the number of a camera, which is read until it ends or Ctrl-C is pressed.
        output: folder for `STEM.webm`, or `camera-N.webm`; made if missing.
        progress: wraps the frames, such as `tqdm.tqdm`; it is given `total`, None where that is not known.
        legend: whether the names of all classes stand below the image.

    Returns:
        Video.

    Raises:
        InputError: the source cannot be read, would be written over, or the output cannot be written.
    """
    target = video_target(source, output)
    if not predictor.images.is_rgb:
        raise InputError(f"{source}: gives RGB of 8 bits, and the run takes {predictor.images}; name images")
    if not isinstance(source, int):
        check_targets({Path(source): [target]})
        _check_is_text(Path(source))
    _check_is_text(target)
    if not isinstance(source, int):
        with readable(source):
            regular_file(source)
    make_folder(target.parent)
    capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
    try:
        frames, first = _frames(capture, source)
        length = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        announced = length if length > 0 else None
        rate = capture.get(cv2.CAP_PROP_FPS)
        with replacing(target) as temporary:
            draw = _drawer(predictor, legend)
            writer = _writer(temporary, draw(first), rate if 0 < rate < 1000 else _RATE)
            count = 0
            try:
                for frame in progress(frames, total=announced) if progress else frames:
                    writer.write(draw(frame))
                    count += 1
            except KeyboardInterrupt:
                if not isinstance(source, int):
                    raise
            finally:
                writer.release()
    finally:
        capture.release()
    return Video(target, count, announced)


def _check_is_text(path):
    try:
        str(path).encode()
    except UnicodeEncodeError:  # OpenCV would end the process.
        name = os.fsencode(path).decode(errors="replace")
        raise InputError(f"{name}: OpenCV takes names in UTF-8 alone for videos; rename it") from None


def _frames(capture, source):
    """Returns the BGR frames, and the first of them."""
    is_read, first = capture.read()
    if not is_read:
        if isinstance(source, int):
            raise InputError(f"camera {source}: returns no image; check its number and its plug")
        raise InputError(f"{source}: is no video that OpenCV can read; encode it as H.264 in MP4")

    def frames():
        is_read, frame = True, first
        while is_read:
            yield frame
            is_read, frame = capture.read()

    return frames(), first


def _drawer(predictor, legend):
    """A function of a BGR frame to the BGR frame with its classes."""

    def draw(frame):
        image = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        mask, classes, colors = predictor.predict(image).mask, predictor.classes, predictor.colors
        if legend:
            picture = labeled_overlay(image, mask, classes, colors, all_classes=True)
        else:
            picture = overlay(image, mask, colors, classes=classes)
        # Codecs take even sides alone.
        height, width = (side + side % 2 for side in picture.shape[:2])
        bottom, right = height - picture.shape[0], width - picture.shape[1]
        even = cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        return cv2.cvtColor(even, cv2.COLOR_RGB2BGR)

    return draw


def _writer(path, frame, rate):
    height, width = frame.shape[:2]
    with quiet_stderr():  # OpenCV misses FFmpeg's tag for VP8 in WebM, which needs none.
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*_CODEC), rate, (width, height))
    if not writer.isOpened():
        raise InputError(
            f"{path.parent}: OpenCV cannot write a video (VP8 in WebM) there; name another --output, or "
            "install opencv-python from PyPI, which can"
        )
    return writer
