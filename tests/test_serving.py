"""The exported model gives the Predictor's masks and survives every request that is not right."""

import json
import struct
import zlib

import cv2
import keras
import numpy as np
import pytest
import savedmodel_runner
from keras import layers

from keras_seg.errors import InputError
from keras_seg.inference import Predictor, read_image
from keras_seg.layers import CropLike, PatchConv2D, Preprocessing, bilinear_kernel
from keras_seg.serving import export_saved_model, next_version
from keras_seg.serving.signatures import MAX_PIXELS

CLASSES = ("sky", "road", "car")
COLORS = ((0, 0, 0), (10, 20, 30), (255, 0, 0))


def tiny_network(num_classes=3):
    """A small FCN: the layers of FCN-8s, each once."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 64)(Preprocessing("caffe")(image))
    skip = layers.Conv2D(8, 5, padding="same", activation="relu")(x)
    x = PatchConv2D(8, 7, padding="same")(layers.MaxPooling2D(padding="same")(skip))
    x = layers.Dropout(0.5)(layers.Conv2D(num_classes, 1)(x))
    x = layers.Conv2DTranspose(num_classes, 4, 2, "same", kernel_initializer=bilinear_kernel)(x)
    x = layers.Add()([CropLike()([x, skip]), layers.Conv2D(num_classes, 1)(skip)])
    return keras.Model(image, x, name="tiny")


def picture(height, width, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def encoded(image, suffix=".png"):
    return cv2.imencode(suffix, image[..., ::-1])[1].tobytes()


def turned_jpeg(image, orientation):
    """A JPEG with a big-endian EXIF segment that holds the orientation tag alone."""
    exif = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    contents = encoded(image, ".jpg")
    return contents[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + contents[2:]


def strings(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def png_bomb(side):
    """A well-formed PNG of side x side black pixels in about a thousandth of their bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes((side + 1) * side), 9)
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.fixture(scope="module")
def model():
    return tiny_network()


@pytest.fixture(scope="module")
def predictor(model):
    return Predictor(model, CLASSES, COLORS)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    parent = tmp_path_factory.mktemp("run") / "export"
    return export_saved_model(model, next_version(parent), classes=CLASSES, colors=COLORS)


SIZES = ((1, 40, 56), (2, 33, 65), (1, 1, 1), (3, 7, 120))


@pytest.fixture(scope="module")
def answers(folder, tmp_path_factory):
    """What the loader answers to arrays of several sizes, and to encoded pictures of several kinds."""
    arrays = [np.stack([picture(h, w, seed) for seed in range(n)]) for n, h, w in SIZES]
    files = [
        encoded(picture(40, 56)),
        encoded(picture(21, 30), ".jpg"),
        turned_jpeg(picture(24, 40), 6),
        encoded(picture(1, 1), ".bmp"),
        cv2.imencode(".png", picture(30, 20)[..., 0])[1].tobytes(),
        cv2.imencode(".png", np.dstack([picture(30, 20), picture(30, 20)[..., :1]]))[1].tobytes(),
        cv2.imencode(".png", picture(30, 20).astype(np.uint16) * 257)[1].tobytes(),
    ]
    requests = [("serving_default", {"images": array}) for array in arrays]
    requests.append(("bytes", {"image_bytes": strings(*files)}))
    status, found = savedmodel_runner.run(folder, requests, tmp_path_factory.mktemp("scratch"))
    assert status == 0
    return arrays, files, found


@pytest.mark.parametrize("index", range(len(SIZES)))
def test_arrays_get_the_masks_of_the_predictor(predictor, answers, index):
    arrays, _, found = answers
    mask = found[index]["mask"]
    assert mask.dtype == np.uint8 and mask.shape == SIZES[index]
    np.testing.assert_array_equal(mask, predictor.predict_batch(arrays[index]).mask)
    if mask.size > 100:
        assert len(np.unique(mask)) == 3  # The comparison would mean little on a mask of one class.


def test_encoded_pictures_get_the_masks_of_the_predictor(predictor, answers, tmp_path):
    _, files, found = answers
    masks = found[-1]["mask_bytes"]
    assert masks.shape == (len(files),)
    for contents, mask in zip(files, masks, strict=True):
        (tmp_path / "picture").write_bytes(contents)
        decoded = cv2.imdecode(np.frombuffer(mask, np.uint8), cv2.IMREAD_UNCHANGED)
        expected = predictor.predict(read_image(tmp_path / "picture")).mask
        assert decoded.dtype == np.uint8
        np.testing.assert_array_equal(decoded, expected)


def test_a_turned_picture_gets_a_mask_as_it_is_seen(answers):
    mask = cv2.imdecode(np.frombuffer(answers[2][-1]["mask_bytes"][2], np.uint8), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (40, 24)


IMAGE = picture(8, 8)
PNG, JPEG = encoded(IMAGE), encoded(IMAGE, ".jpg")
MALFORMED = {
    "rank 3": ("serving_default", IMAGE),
    "rank 2": ("serving_default", IMAGE[0]),
    "rank 1": ("serving_default", IMAGE[0, 0]),
    "rank 0": ("serving_default", IMAGE[0, 0, 0]),
    "rank 5": ("serving_default", IMAGE[None, None]),
    "no images": ("serving_default", np.zeros((0, 8, 8, 3), np.uint8)),
    "no height": ("serving_default", np.zeros((1, 0, 8, 3), np.uint8)),
    "no width": ("serving_default", np.zeros((1, 8, 0, 3), np.uint8)),
    "no channels": ("serving_default", np.zeros((1, 8, 8, 0), np.uint8)),
    "1 channel": ("serving_default", np.zeros((1, 8, 8, 1), np.uint8)),
    "4 channels": ("serving_default", np.zeros((1, 8, 8, 4), np.uint8)),
    "float32": ("serving_default", IMAGE[None].astype(np.float32)),
    "int32": ("serving_default", IMAGE[None].astype(np.int32)),
    "string for an array": ("serving_default", strings(PNG)),
    "nothing": ("serving_default", None),
    "too many pixels": ("serving_default", np.zeros((1, 1, MAX_PIXELS + 1, 3), np.uint8)),
    "array for bytes": ("bytes", IMAGE[None]),
    "scalar bytes": ("bytes", strings(PNG).reshape(())),
    "matrix of bytes": ("bytes", strings(PNG, PNG).reshape(1, 2)),
    "no bytes": ("bytes", strings()),
    "no bytes fed": ("bytes", None),
    "zero bytes": ("bytes", strings(b"")),
    "one byte": ("bytes", strings(b"\xff")),
    "text": ("bytes", strings(b"this is no picture")),
    "PNG signature alone": ("bytes", strings(PNG[:8])),
    "JPEG signature alone": ("bytes", strings(JPEG[:2])),
    "BMP signature alone": ("bytes", strings(b"BM")),
    "GIF signature alone": ("bytes", strings(b"GIF89a")),
    "WebP signature alone": ("bytes", strings(b"RIFF\0\0\0\0WEBP")),
    "truncated PNG": ("bytes", strings(PNG[:-20])),
    "truncated JPEG": ("bytes", strings(JPEG[:-20])),
    "good, then bad": ("bytes", strings(PNG, PNG[:50])),
    "decompression bomb": ("bytes", strings(png_bomb(8192))),
    "PNG that claims 2^31 pixels a side": (
        "bytes",
        strings(PNG[:16] + struct.pack(">II", 2**31 - 1, 2**31 - 1) + PNG[24:]),
    ),
}
INPUTS = {"serving_default": "images", "bytes": "image_bytes"}


@pytest.fixture(scope="module")
def refusals(folder, tmp_path_factory):
    """The loader's answers to the malformed requests, each followed by a right one, and to random bytes."""
    good = ("serving_default", {"images": IMAGE[None]})
    requests = []
    for signature, value in MALFORMED.values():
        requests += [(signature, {} if value is None else {INPUTS[signature]: value}), good]
    random = np.random.default_rng(0)
    for magic in (b"", PNG[:8], JPEG[:20], b"BM", b"GIF89a", b"RIFF\x40\0\0\0WEBPVP8 "):
        for _ in range(100):
            noise = random.bytes(int(random.integers(1, 200)))
            requests.append(("bytes", {"image_bytes": strings(magic + noise)}))
    requests.append(good)
    status, found = savedmodel_runner.run(folder, requests, tmp_path_factory.mktemp("scratch"))
    return requests, status, found


def test_the_process_lives_through_every_request(refusals):
    requests, status, found = refusals
    assert len(found) == len(requests)
    assert status == 0


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_an_error_and_the_next_one_is_answered(refusals, name):
    index = 2 * list(MALFORMED).index(name)
    refusal, answer = refusals[2][index : index + 2]
    assert isinstance(refusal, str) and refusal
    assert answer["mask"].shape == (1, 8, 8)


def test_random_bytes_are_errors(refusals):
    found = refusals[2][2 * len(MALFORMED) : -1]
    assert len(found) == 600
    assert all(isinstance(answer, str) for answer in found)
    assert isinstance(refusals[2][-1], dict)


def test_a_version_is_never_overwritten(model, folder):
    before = sorted(folder.rglob("*"))
    with pytest.raises(InputError, match="never overwritten"):
        export_saved_model(model, folder, classes=CLASSES, colors=COLORS)
    assert sorted(folder.rglob("*")) == before


def test_the_next_version_is_one_more_than_the_last(tmp_path):
    assert next_version(tmp_path / "missing").name == "1"
    for name in ("2", "10", "notes"):
        (tmp_path / name).mkdir()
    assert next_version(tmp_path) == tmp_path / "11"


def test_class_names_and_colors_travel_with_the_model(folder):
    labels = json.loads((folder / "assets.extra" / "labels.json").read_text(encoding="utf-8"))
    assert labels == {"classes": list(CLASSES), "colors": [list(color) for color in COLORS]}


def test_nothing_is_left_where_the_folder_cannot_be_written(model, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        export_saved_model(model, tmp_path / "file" / "1", classes=CLASSES, colors=COLORS)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_nothing_is_left_of_an_export_that_fails(tmp_path):
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Lambda(lambda x: x[..., :2])])
    # Served images have an own size; a network that answers with another one cannot become a PNG mask.
    model.add(layers.Lambda(lambda x: x[:, 0]))
    with pytest.raises(Exception):  # noqa: B017  (whatever the framework says)
        export_saved_model(model, tmp_path / "1", classes=CLASSES[:2], colors=COLORS[:2])
    assert list(tmp_path.iterdir()) == []


def test_more_than_255_classes_are_refused(tmp_path):
    names, colors = [f"{i}" for i in range(256)], [(0, 0, 0)] * 256
    with pytest.raises(InputError, match="256 classes do not fit into a uint8 mask"):
        export_saved_model(tiny_network(256), tmp_path / "1", classes=names, colors=colors)


def test_class_names_must_be_as_many_as_the_classes(model, tmp_path):
    with pytest.raises(InputError, match="predicts 3 classes, but there are 2 names"):
        export_saved_model(model, tmp_path / "1", classes=CLASSES[:2], colors=COLORS[:2])
