import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_seg.cli import main
from keras_seg.data import IGNORE, ArraySample, Augmentation, Dataset, load_dataset, train_batches
from keras_seg.data.batches.augment import augment
from keras_seg.data.batches.warp import blur, warp
from keras_seg.errors import InputError
from keras_seg.sheets import Overlay, contact_sheet
from tests.data.helpers import picture, write_folder

STILL = {"flip": False, "scales": (1, 1), "color_factors": (1, 1)}
SIZE = (40, 56)
MASK = np.uint8(np.arange(40 * 56).reshape(SIZE) // 8 % 3)


def _key(step, seed=0):
    return tf.constant([seed, step], tf.int64)


def _augmented(step, image, mask, **options):
    image, mask = augment(image, mask, mask.shape, _key(step), Augmentation(**STILL | options))
    return image.numpy(), mask.numpy()


def test_without_chance_nothing_changes():
    image, mask = _augmented(1, picture(*SIZE), MASK)
    np.testing.assert_array_equal(image, picture(*SIZE))
    np.testing.assert_array_equal(mask, MASK)


@pytest.mark.parametrize("degrees", [90, -90, 180])
def test_a_rotation_by_right_angles_is_exact(monkeypatch, degrees):
    image = picture(41, 41).astype(np.float32)
    mask = np.uint8(np.arange(41 * 41).reshape(41, 41) % 7)
    monkeypatch.setattr(tf.random, "stateless_uniform", lambda shape, key: tf.ones(shape))
    turned, turned_mask = warp(tf.constant(image), tf.constant(mask), _key(0), degrees, 0)
    inner = np.s_[1:-1, 1:-1]  # Rounding may push the outermost pixels out.
    turns = {90: -1, -90: 1, 180: 2}[degrees]
    candidates = [np.rot90(mask, turn)[inner] for turn in (turns, -turns)]
    matches = [np.array_equal(turned_mask[inner], candidate) for candidate in candidates]
    assert any(matches)
    turn = (turns, -turns)[matches.index(True)]
    np.testing.assert_allclose(turned[inner], np.rot90(image, turn)[inner], atol=0.01)


@pytest.mark.parametrize("options", [{"rotation": 30}, {"elastic": 6}, {"rotation": 20, "elastic": 4}])
def test_image_and_mask_are_warped_alike(options):
    ids = cv2.circle(np.zeros(SIZE, np.uint8), (28, 20), 12, 1, cv2.FILLED)
    image = np.repeat(np.uint8(ids * 200)[..., None], 3, axis=-1)
    moved = 0
    for step in range(6):
        new_image, new_mask = _augmented(step, image, ids, **options)
        seen = new_mask != IGNORE
        agree = (new_image[..., 0] > 100) == (new_mask == 1)
        assert agree[seen].mean() > 0.98
        moved += (new_mask != ids).mean() > 0.01
    assert moved >= 5


def test_a_rotation_ignores_what_comes_from_outside():
    image, mask = _augmented(3, picture(*SIZE), MASK * 0, rotation=45)
    outside = mask == IGNORE
    assert 0.01 < outside.mean() < 0.6
    assert np.ptp(image[outside], axis=0).max() == 0
    np.testing.assert_allclose(image[outside][0], picture(*SIZE).mean((0, 1)), atol=1)


def test_the_elastic_grid_moves_pixels_as_far_as_it_should():
    ramp = np.broadcast_to(np.arange(200, dtype=np.float32), (200, 200))
    shifts = []
    for step in range(40):
        image, mask = warp(
            tf.constant(np.stack([ramp] * 3, -1)), tf.zeros((200, 200), tf.uint8), _key(step), 0, 10.0
        )
        shifts.append(image[100, 100, 0] - 100)
        assert mask[100, 100] == 0
    # The center is a node of the grid: its shift is Gaussian with the standard deviation asked for.
    assert 7 < np.std(shifts) < 13


def test_blur_is_opencvs():
    image = picture(*SIZE).astype(np.float32)
    expected = cv2.GaussianBlur(image, (13, 13), 2.0, borderType=cv2.BORDER_REFLECT_101)
    np.testing.assert_allclose(blur(tf.constant(image), tf.constant(2.0)), expected, atol=0.05)


@pytest.mark.parametrize("sigma", [0.0, 5.0])
def test_blur_takes_the_smallest_picture(sigma):
    np.testing.assert_allclose(blur(tf.ones((1, 3, 3)), tf.constant(sigma)), np.ones((1, 3, 3)), atol=1e-6)


def test_a_class_fills_no_more_of_a_crop_than_it_may():
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 40:] = 1
    image = picture(64, 64)
    shares = {}
    for most in (1.0, 0.8):
        options = Augmentation(**STILL, max_class_share=most)
        crops = [augment(image, mask, (16, 16), _key(step), options)[1].numpy() for step in range(60)]
        shares[most] = [max((crop == label).mean() for label in (0, 1)) for crop in crops]
    assert np.mean(np.array(shares[1.0]) > 0.8) > 0.5
    assert np.mean(np.array(shares[0.8]) > 0.8) < 0.2


def test_what_is_switched_on_changes_nothing_else():
    image = picture(*SIZE)
    plain = augment(image, MASK, (32, 32), _key(5))
    blurred = augment(image, MASK, (32, 32), _key(5), Augmentation(blur=3))
    np.testing.assert_array_equal(plain[1], blurred[1])
    assert not np.array_equal(plain[0], blurred[0])


def test_the_stream_is_the_same_for_the_same_seed_and_step():
    samples = [ArraySample(picture(*SIZE, seed=i), MASK, str(i)) for i in range(4)]
    dataset = Dataset("memory", ("x", "y", "z"), ((0, 0, 0),) * 3, None, {"train": samples})
    options = Augmentation(rotation=20, blur=1, elastic=3, max_class_share=0.6)
    runs = [next(iter(train_batches(dataset, (24, 24), 4, 3, augment=options))) for _ in range(2)]
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one, other)
    another = next(iter(train_batches(dataset, (24, 24), 4, 4, augment=options)))
    assert not np.array_equal(runs[0][0], another[0])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"scales": (2, 1)}, "scales must be two factors"),
        ({"rotation": -1}, "rotation must be from 0 to 180, received -1.0"),
        ({"blur": 99}, "blur must be from"),
        ({"max_class_share": 0}, "max_class_share must be above 0"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Augmentation(**options)


def test_the_preview_draws_what_training_sees(tmp_path, capsys):
    write_folder(tmp_path / "data", 6, SIZE)
    target = tmp_path / "preview.png"
    flags = ["--output", str(target), "--count", "3", "--image-size", "32", "32", "--rotation", "20"]
    assert main(["preview", str(tmp_path / "data"), *flags, "--elastic", "5", "--blur", "1"]) == 0
    assert cv2.imread(str(target)).shape[0] > 3 * 200
    assert "written to" in capsys.readouterr().out
    assert main(["preview", str(tmp_path / "data"), "--output", str(target), "--rotation", "999"]) == 2
    assert "rotation must be from" in capsys.readouterr().err
    for seed in (-1, 1 << 70):
        assert main(["preview", "--output", str(target), "--seed", str(seed)]) == 2
        assert f"--seed must be 0 or more and below 4294967296, received {seed}" in capsys.readouterr().err


def _drawn(dataset, size, options, count):
    """The first images of training, as the preview should draw them."""
    batches = train_batches(dataset, size, count, augment=options)
    images, masks = (array.numpy() for array in next(iter(batches)))
    rows = [(image, mask, Overlay(image, mask)) for image, mask in zip(images, masks, strict=True)]
    return contact_sheet(rows, ("image", "mask", "both"), dataset.classes, dataset.colors)


def test_the_preview_takes_the_flags_and_defaults_of_training(tmp_path, capsys):
    target = tmp_path / "preview.png"
    command = ["preview", "--output", str(target), "--count", "2"]
    augment = ["--image-size", "40", "48", "--no-flip", "--scales", "1", "1.5", "--color-factors", "0.5", "1"]
    options = Augmentation(flip=False, scales=(1.0, 1.5), color_factors=(0.5, 1.0))
    for flags, size, expected in (([], (64, 64), False), (augment, (40, 48), options)):
        assert main([*command, *flags]) == 0
        drawn = _drawn(load_dataset("shapes", drawn_size=size), size, expected, 2)
        np.testing.assert_array_equal(cv2.imread(str(target))[..., ::-1], drawn)
    assert main([*command, "--no-augment", "--blur", "1"]) == 2
    assert "--no-augment and --blur exclude each other; drop one" in capsys.readouterr().err


def test_the_preview_of_a_run_draws_what_it_trained_on(run, shapes_folder, tmp_path, capsys):
    target = tmp_path / "preview.png"
    command = ["preview", "--run", str(run.path), "--output", str(target), "--count", "2"]
    assert main(command) == 0
    expected = _drawn(load_dataset(shapes_folder), (32, 32), Augmentation(), 2)
    np.testing.assert_array_equal(cv2.imread(str(target))[..., ::-1], expected)
    for more, given in ((["--blur", "2"], "--blur"), ([str(shapes_folder)], str(shapes_folder))):
        assert main([*command, *more]) == 2
        assert f"the data of the run; drop it or {given}" in capsys.readouterr().err
