"""Every signature of the exported model answers what the Predictor does, through the loader of the server."""

import cv2
import numpy as np
import pytest

from keras_seg import palette
from keras_seg.inference import Predictor, read_image
from keras_seg.palette import overlay
from keras_seg.serving import Client, signatures
from tests.serving.helpers import (
    CLASSES,
    COLORS,
    NAME,
    TILE,
    encoded,
    exported,
    gif,
    grey,
    lossy_webp,
    picture,
    progressive_jpeg,
    running_server,
    strings,
    turned_jpeg,
)
from tests.serving.tiles_by_hand import tiled_by_hand

SIZES = ((1, 40, 56), (2, 33, 65), (1, 1, 1), (3, 7, 120))
FILES = {
    "PNG": encoded(picture(40, 56)),
    "JPEG": encoded(picture(21, 30), ".jpg"),
    "progressive JPEG": progressive_jpeg(picture(33, 17)),
    "turned JPEG": turned_jpeg(picture(24, 40), 6),
    "BMP": encoded(picture(9, 13), ".bmp"),
    "one pixel": encoded(picture(1, 1), ".bmp"),
    "GIF": gif([picture(20, 31)]),
    "moving GIF": gif([picture(20, 31, seed) for seed in range(3)], comment=b"a" * 600),
    "WebP": lossy_webp(picture(20, 31)),
    "lossless WebP": encoded(picture(20, 31), ".webp"),
    "grey PNG": encoded(np.repeat(picture(30, 20)[..., :1], 3, axis=-1)),
    "JPEG behind fill bytes": (lambda jpeg: jpeg[:2] + b"\xff\xff\xff" + jpeg[2:])(
        encoded(picture(21, 30), ".jpg")
    ),
}


@pytest.fixture(scope="module")
def predictor():
    return Predictor(exported().model, CLASSES, COLORS)


@pytest.fixture(scope="module")
def client():
    with Client(running_server().grpc, NAME) as client:
        yield client


def expected(predictor, contents, folder):
    """The image as it is read from a file, and the Predictor's answer to it."""
    path = folder / "picture"
    path.write_bytes(contents)
    image = read_image(path)
    return image, predictor.predict(image)


@pytest.mark.parametrize("size", SIZES)
def test_arrays_get_the_masks_and_confidences_of_the_predictor(predictor, client, size):
    images = np.stack([picture(*size[1:], seed) for seed in range(size[0])])
    mask, confidence = client.predict(images)
    prediction = predictor.predict_batch(images)
    assert mask.dtype == confidence.dtype == np.uint8
    np.testing.assert_array_equal(mask, prediction.mask)
    np.testing.assert_array_equal(confidence, np.rint(prediction.confidence * 255))
    if mask.size > 100:
        assert len(np.unique(mask)) == 3  # The comparison would mean little on a mask of one class.


@pytest.mark.parametrize("size", SIZES)
def test_logits_are_those_of_the_network(client, size):
    images = np.stack([picture(*size[1:], seed) for seed in range(size[0])])
    logits = client.logits(images)
    assert logits.dtype == np.float32 and logits.shape == (*size, 3)
    np.testing.assert_allclose(logits, exported().model.predict(images, verbose=0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", FILES)
def test_encoded_pictures_get_the_masks_of_the_predictor(predictor, client, tmp_path, name):
    image, prediction = expected(predictor, FILES[name], tmp_path)
    np.testing.assert_array_equal(client.mask(FILES[name]), prediction.mask)
    mask, confidence = client.confident_mask(FILES[name])
    np.testing.assert_array_equal(mask, prediction.mask)
    np.testing.assert_array_equal(confidence, np.rint(prediction.confidence * 255))
    assert mask.shape == image.shape[:2]


def test_pictures_of_one_request_may_differ_in_size_and_format(predictor, client, tmp_path):
    found = client.call("bytes", {"image_bytes": strings(*FILES.values())}, ("mask_bytes",))["mask_bytes"]
    for contents, mask in zip(FILES.values(), found, strict=True):
        np.testing.assert_array_equal(grey(mask), expected(predictor, contents, tmp_path)[1].mask)


def test_a_turned_picture_gets_a_mask_as_it_is_seen(client):
    assert client.mask(FILES["turned JPEG"]).shape == (40, 24)


@pytest.mark.parametrize("name", ["PNG", "turned JPEG", "GIF"])
def test_an_overlay_has_the_colors_of_the_palette(predictor, client, tmp_path, name):
    image, prediction = expected(predictor, FILES[name], tmp_path)
    painted = cv2.cvtColor(overlay(image, prediction.mask, COLORS), cv2.COLOR_RGB2BGR)
    ours = cv2.imencode(".jpg", painted, [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
    found = np.frombuffer(client.overlay(FILES[name]), np.uint8)
    np.testing.assert_array_equal(*(cv2.imdecode(jpeg, cv2.IMREAD_COLOR) for jpeg in (found, ours)))


@pytest.mark.parametrize("size", [(1, 1), (64, 30), (599, 7), (1300, 700), (1, 901)])
def test_a_server_draws_outlines_as_wide_as_the_package_does(size):
    mask = np.random.default_rng(0).integers(0, 2, (-(-size[0] // 50), -(-size[1] // 50)), np.uint8)
    mask = mask.repeat(50, axis=0).repeat(50, axis=1)[: size[0], : size[1]]
    np.testing.assert_array_equal(signatures.outlines(mask[..., None])[..., 0], palette.outlines(mask))


@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("size", [(100, 75), (TILE + 1, 2 * TILE), (1, 70), (70, 1), (64, 65)])
def test_each_pixel_comes_from_the_tile_in_which_it_lies_deepest(client, size, flips):
    image = picture(*size)
    logits = tiled_by_hand(client.logits, image, TILE, flips)
    first, second = np.sort(logits, axis=-1)[..., :-3:-1].transpose(2, 0, 1)
    is_clear = first - second > 1e-5  # Elsewhere the order of the sums decides.
    assert is_clear.mean() > 0.99
    mask = client.tiled_mask(encoded(image), flips)
    np.testing.assert_array_equal(mask[is_clear], logits.argmax(-1)[is_clear])


@pytest.mark.parametrize("size", [(TILE, TILE), (20, 31), (1, 1)])
def test_a_picture_of_one_tile_is_predicted_whole(predictor, client, size):
    image = picture(*size)
    np.testing.assert_array_equal(client.tiled_mask(encoded(image)), predictor.predict(image).mask)


def test_class_names_and_colors_come_from_a_signature(client):
    classes, colors = client.labels()
    assert classes == CLASSES
    np.testing.assert_array_equal(colors, COLORS)
