"""Image files to masks by a server, as `inference.predict_files` does with a model of its own."""

from pathlib import Path

import cv2

from keras_seg.errors import InputError
from keras_seg.files import check_beside, check_targets, make_folder, replacing
from keras_seg.serving.client import Answer
from keras_seg.serving.errors import NOT_FOUND, UNAVAILABLE, ServerError
from keras_seg.sheets import labeled_overlay

OVERLAYS, CONFIDENCES = "overlays", "confidence"
TIFF = (b"II*\0", b"MM\0*")


def predict_files(client, paths, output, overlay=False, confidence=False, progress=iter):
    """Predicts image files and writes a mask for each, several requests in flight.

    An image that cannot be read, that the server refuses, or for which it sends no mask of its size and of
    the model's classes, is left out and told at the end. A server that is gone or has no such model ends it.

    Args:
        client: Client.
        paths: paths of images.
        output: folder for the masks, `STEM.png` of class ids at the image's size; made if missing.
        overlay: whether to write `overlays/STEM.jpg` in it too.
        confidence: whether to write `confidence/STEM.png` in it too: grey, 255 is certain.
        progress: wraps what is gone through, such as `tqdm.tqdm`.

    Returns:
        One line per image that failed.

    Raises:
        InputError: two images would have one mask, something would replace an image or a mask that lies
            beside it, the output cannot be written, or the server is gone.
    """
    output = Path(output)
    paths = [Path(path) for path in paths]
    check_targets({path: _targets(output, path.stem, overlay, confidence) for path in paths})
    check_beside(paths, output)
    make_folder(output)
    for folder in [OVERLAYS] * overlay + [CONFIDENCES] * confidence:
        make_folder(output / folder)
    labels = client.labels()  # First, since a server that lacks the model has no mask of any image.
    failed = []

    def ask(path):
        contents = _encoded(path)
        return client.confident_mask(contents) if confidence else Answer(client.mask(contents), None)

    for path, answer in progress(client.map(ask, paths)):
        try:
            if isinstance(answer, InputError):
                raise answer
            drawing = _drawing(path, answer.mask, *labels) if overlay else None
        except InputError as error:
            if _is_gone(client, error):
                raise
            failed.append(str(error) if str(path) in str(error) else f"{path}: {error}")
            continue
        if overlay:
            _write_drawing(output / OVERLAYS / path.stem, drawing)
        if confidence:
            _write(output / CONFIDENCES / f"{path.stem}.png", answer.confidence)
        _write(output / f"{path.stem}.png", answer.mask)
    return failed


def _is_gone(client, error):
    """Whether a failure is one of the server, and so of all images that follow."""
    if not isinstance(error, ServerError) or error.code not in (UNAVAILABLE, NOT_FOUND):
        return False
    try:
        client.wait_until_ready(1)
    except ServerError:
        return True
    return False


def _targets(output, stem, overlay, confidence):
    overlays = [output / OVERLAYS / f"{stem}{suffix}" for suffix in (".jpg", ".png")]
    return [output / f"{stem}.png", *overlays * overlay, *[output / CONFIDENCES / f"{stem}.png"] * confidence]


def _encoded(path):
    """Returns an image's file, or a PNG of it where TensorFlow has no decoder."""
    try:
        contents = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None
    if not contents.startswith(TIFF):
        return contents
    # Imports TensorFlow, which nothing else here does.
    from keras_seg.inference.images import encode_png, read_image

    return encode_png(read_image(path))


def _drawing(path, mask, classes, colors):
    # As above; the same pixels as predict.py draws without a server.
    from keras_seg.inference import read_image

    image = read_image(path)
    if image.shape[:2] != mask.shape:
        raise InputError(f"{path}: its EXIF orientation is damaged; save it again, or drop --overlay")
    return labeled_overlay(image, mask, classes, colors)


def _write_drawing(path, drawing):
    from keras_seg.inference.images import drawing_path, write_image

    write_image(drawing_path(path, drawing), drawing)


def _write(path, mask):
    # Encoded anew: a server's own file could hold more than pixels.
    with replacing(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", mask)[1].tobytes())
