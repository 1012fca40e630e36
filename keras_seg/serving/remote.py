"""Picture files to masks by a server, as `inference.predict_files` does with a model of its own."""

from pathlib import Path

import cv2
import numpy as np

from keras_seg import palette
from keras_seg.errors import InputError
from keras_seg.files import check_beside, check_targets, make_folder, replacing
from keras_seg.serving.client import decode_grey
from keras_seg.serving.errors import EXHAUSTED, INVALID, TIMEOUT, ServerError

OVERLAYS, CONFIDENCES = "overlays", "confidence"
TIFF = (b"II*\0", b"MM\0*")


def predict_files(client, paths, output, overlay=False, confidence=False, progress=iter):
    """Predicts picture files and writes a mask for each, several requests in flight.

    A picture that cannot be read, or that the server refuses, is left out and told at the end. A server that
    is gone or has no such model ends it.

    Args:
        client: Client.
        paths: paths of pictures.
        output: folder for the masks, `STEM.png` of class ids at the picture's size; made if missing.
        overlay: whether to write `overlays/STEM.jpg` in it too.
        confidence: whether to write `confidence/STEM.png` in it too: grey, 255 is certain.
        progress: wraps what is gone through, such as `tqdm.tqdm`.

    Returns:
        One line per picture that failed.

    Raises:
        InputError: two pictures would have one mask, something would replace a picture or a mask that lies
            beside it, the output cannot be written, or the server is gone.
    """
    output = Path(output)
    paths = [Path(path) for path in paths]
    check_targets({path: _targets(output, path.stem, overlay, confidence) for path in paths})
    check_beside(paths, output)
    make_folder(output)
    for folder in [OVERLAYS] * overlay + [CONFIDENCES] * confidence:
        make_folder(output / folder)
    labels = client.labels() if overlay else None
    failed = []
    signature = "confidence" if confidence else "bytes"
    answers = client.map(lambda path: client.encoded(_encoded(path), signature), paths)
    for path, answer in progress(answers):
        if isinstance(answer, InputError):
            if isinstance(answer, ServerError) and answer.code not in (INVALID, TIMEOUT, EXHAUSTED):
                raise answer
            failed.append(str(answer) if str(path) in str(answer) else f"{path}: {answer}")
            continue
        if overlay:
            _write_overlay(output / OVERLAYS / path.stem, path, answer["mask_bytes"], labels)
        if confidence:
            _write(output / CONFIDENCES / f"{path.stem}.png", answer["confidence_bytes"])
        _write(output / f"{path.stem}.png", answer["mask_bytes"])
    return failed


def _targets(output, stem, overlay, confidence):
    overlays = [output / OVERLAYS / f"{stem}{suffix}" for suffix in (".jpg", ".png")]
    return [output / f"{stem}.png", *overlays * overlay, *[output / CONFIDENCES / f"{stem}.png"] * confidence]


def _encoded(path):
    """Returns a picture's file, or a PNG of it where TensorFlow has no decoder."""
    try:
        contents = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None
    if not contents.startswith(TIFF):
        return contents
    # Imports TensorFlow, which nothing else here does.
    from keras_seg.inference import read_image

    return cv2.imencode(".png", np.ascontiguousarray(read_image(path)[..., ::-1]))[1].tobytes()


def _write_overlay(path, picture, mask, labels):
    # As above; the same pixels as predict.py draws without a server.
    from keras_seg.inference import read_image, write_image
    from keras_seg.inference.images import drawing_path

    classes, colors = labels
    mask = decode_grey(mask)
    image = palette.overlay(read_image(picture), mask, colors)
    image = palette.with_legend(image, classes, colors, mask)
    write_image(drawing_path(path, image), image)


def _write(path, contents):
    with replacing(path) as temporary:
        temporary.write_bytes(contents)
