import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_seg.data import (
    IGNORE,
    ArraySample,
    Dataset,
    draw_shapes,
    eval_batches,
    load_dataset,
    read_sample,
    steps_per_epoch,
    train_batches,
)
from keras_seg.data.batches import pipeline
from keras_seg.data.batches.augment import DEFAULT, _color_map, augment
from keras_seg.data.formats.reading import read_header
from keras_seg.data.samples import RGB, ImageKind
from keras_seg.errors import InputError
from tests.data.helpers import encode, picture, png, with_exif_orientation, write_folder


def _dataset(samples):
    return Dataset("memory", ("x", "y", "z"), ((0, 0, 0),) * 3, None, {"train": samples, "val": samples})


def _flat(count, size=(8, 8)):
    """Samples that are told by their color: sample i is of color i everywhere."""
    return [
        ArraySample(np.full((*size, 3), index, np.uint8), np.full(size, index % 3, np.uint8), str(index))
        for index in range(count)
    ]


def _take(stream, count):
    return [(images.numpy(), masks.numpy()) for images, masks in stream.take(count)]


def _order(stream, count):
    return [images[:, 0, 0, 0].tolist() for images, _ in _take(stream, count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return load_dataset(write_folder(tmp_path_factory.mktemp("data"), 10, size=(30, 40)), val_fraction=0.3)


def test_every_epoch_has_every_sample_once_in_another_order_and_a_short_last_batch():
    dataset = _dataset(_flat(10))
    batches = _order(train_batches(dataset, (8, 8), 4, augment=False), 6)
    assert steps_per_epoch(dataset, 4) == 3
    assert [len(batch) for batch in batches] == [4, 4, 2, 4, 4, 2]
    first, second = (list(itertools.chain(*batches[i : i + 3])) for i in (0, 3))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_less_samples_than_a_batch_make_one_batch():
    assert [len(batch) for batch in _order(train_batches(_dataset(_flat(3)), (8, 8), 8), 2)] == [3, 3]


@pytest.mark.parametrize("cache", [True, False])
def test_a_stream_started_later_goes_on_as_the_whole_one(folder, cache):
    options = {"image_size": (16, 16), "batch_size": 3, "seed": 7, "cache": cache}
    whole = _take(train_batches(folder, **options), 9)
    later = _take(train_batches(folder, **options, start_epoch=2), 3)
    for (images, masks), (later_images, later_masks) in zip(whole[6:], later, strict=True):
        np.testing.assert_array_equal(images, later_images)
        np.testing.assert_array_equal(masks, later_masks)
    assert not np.array_equal(whole[0][0], whole[3][0])


@pytest.mark.parametrize("global_seed", [0, 5])
def test_the_stream_does_not_depend_on_the_global_seed(global_seed):
    dataset = _dataset(_flat(10))
    before = _order(train_batches(dataset, (8, 8), 10, 0), 2)
    tf.random.set_seed(global_seed)
    assert _order(train_batches(dataset, (8, 8), 10, 0), 2) == before


def test_the_cache_changes_nothing_but_time(folder):
    cached, read = (train_batches(folder, (16, 16), 3, 1, cache=cache) for cache in (True, False))
    for (images, masks), (read_images, read_masks) in zip(_take(cached, 5), _take(read, 5), strict=True):
        np.testing.assert_array_equal(images, read_images)
        np.testing.assert_array_equal(masks, read_masks)


def test_another_seed_gives_another_order():
    dataset = _dataset(_flat(10))
    orders = [_order(train_batches(dataset, (8, 8), 10, seed, augment=False), 1) for seed in (0, 1)]
    assert orders[0] != orders[1]


def test_a_data_set_beyond_the_memory_is_not_cached(folder, monkeypatch):
    headers = [read_header(sample) for sample in folder.split("train")]
    size = len(headers) * 30 * 40 * 4
    monkeypatch.setattr(pipeline, "available_memory", lambda: 4 * size + 4)
    assert pipeline._fits(headers, RGB)
    assert not pipeline._fits(headers, ImageKind(5))
    assert not pipeline._fits(headers, ImageKind(1, "uint16"))
    monkeypatch.setattr(pipeline, "available_memory", lambda: 4 * size)
    assert not pipeline._fits(headers, RGB)


def test_types_and_shapes_are_what_models_take(folder):
    images, masks = next(iter(train_batches(folder, (17, 23), 4)))
    assert (images.shape, images.dtype, masks.shape, masks.dtype) == (
        (4, 17, 23, 3),
        "uint8",
        (4, 17, 23),
        "int32",
    )
    assert set(np.unique(masks)) <= {0, 1, 2, IGNORE}


def test_without_augmentation_masks_are_resized_by_nearest_neighbor():
    mask = np.array([[0, 1], [2, IGNORE]], np.uint8)
    image = np.stack([mask * 20] * 3, -1)
    _, masks = next(
        iter(train_batches(_dataset([ArraySample(image, mask, "a")] * 2), (6, 4), 1, augment=False))
    )
    np.testing.assert_array_equal(masks[0], mask.repeat(3, 0).repeat(2, 1))


def test_evaluation_sees_whole_pictures_in_order_at_their_own_size():
    sizes = [(8, 8), (8, 8), (8, 8), (5, 9), (8, 8), (1, 1)]
    samples = [_flat(index + 1, size)[index] for index, size in enumerate(sizes)]
    stream = eval_batches(_dataset(samples), max_pixels=2 * 64)
    batches = _take(stream, -1)
    assert [images.shape[:3] for images, _ in batches] == [
        (2, 8, 8),
        (1, 8, 8),
        (1, 5, 9),
        (1, 8, 8),
        (1, 1, 1),
    ]
    assert list(itertools.chain(*(images[:, 0, 0, 0] for images, _ in batches))) == [0, 1, 2, 3, 4, 5]
    assert stream.cardinality() == 5


def test_a_limited_evaluation_spreads_over_the_split():
    stream = eval_batches(_dataset(_flat(9)), limit=3, max_pixels=0)
    assert [images[0, 0, 0, 0] for images, _ in _take(stream, -1)] == [0, 3, 6]
    assert len(_take(eval_batches(_dataset(_flat(2)), limit=3, max_pixels=0), -1)) == 2


def test_evaluation_of_files_gives_what_is_stored(folder):
    samples = folder.split("val")
    found = [
        pair for images, masks in _take(eval_batches(folder), -1) for pair in zip(images, masks, strict=True)
    ]
    for (image, mask), sample in zip(found, samples, strict=True):
        expected_image, expected_mask = read_sample(sample, folder)
        np.testing.assert_array_equal(image, expected_image)
        np.testing.assert_array_equal(mask, expected_mask)


def test_a_file_name_that_is_no_text_is_read(tmp_path):
    write_folder(tmp_path, 2)
    for path in (tmp_path / "images/0.jpg", tmp_path / "masks/0.png"):
        path.rename(path.with_name("gr\udcfcn" + path.suffix))
    dataset = load_dataset(tmp_path)
    assert len(_take(eval_batches(dataset, "train"), -1) + _take(eval_batches(dataset), -1)) == 2


def test_phone_pictures_meet_masks_of_the_upright_view(tmp_path):
    write_folder(tmp_path, 3)
    for name in ("0", "1", "2"):
        jpeg = encode(picture(12, 16), ".jpg")
        (tmp_path / f"images/{name}.jpg").write_bytes(with_exif_orientation(jpeg, 6))
        (tmp_path / f"masks/{name}.png").write_bytes(png(np.arange(16 * 12).reshape(16, 12) % 3))
    dataset = load_dataset(tmp_path)
    shapes = [images.shape for images, _ in _take(eval_batches(dataset, "train"), -1)]
    assert shapes == [(2, 16, 12, 3)]


def test_a_value_that_is_no_class_stops_the_stream():
    dataset = _dataset([ArraySample(picture(), np.full((12, 16), 3, np.uint8), "a")])
    with pytest.raises(tf.errors.InvalidArgumentError, match="not a class"):
        _take(eval_batches(dataset), -1)


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"image_size": (0, 8)}])
def test_impossible_sizes_are_refused(options):
    with pytest.raises(InputError, match="at least 1"):
        train_batches(_dataset(_flat(2)), **{"image_size": (8, 8), "batch_size": 2, **options})


def _augmented(axis, count=60):
    """Augmented versions of a grey ramp, 60 to 123, along an axis; its mask is 1 in the brighter half."""
    ramp = np.moveaxis(np.broadcast_to(np.arange(64, dtype=np.uint8), (64, 64)), -1, axis)
    image = np.stack([ramp + 60] * 3, -1)
    sources = tf.data.Dataset.from_tensors((image, np.uint8(ramp >= 32))).repeat(count).enumerate()
    stream = sources.map(lambda step, pair: augment(*pair, (48, 48), tf.stack([0, step])))
    return [(new_image.numpy().astype(int), new_mask.numpy()) for new_image, new_mask in stream]


@pytest.fixture(scope="module")
def augmented():
    return _augmented(axis=1, count=200)


@pytest.mark.parametrize("axis", [0, 1])
def test_image_and_mask_move_together(axis):
    for image, mask in _augmented(axis):
        dark, bright = image[mask == 0], image[mask == 1]
        if dark.size and bright.size:
            assert dark.max() <= bright.min()


def test_pictures_are_flipped_and_scaled_both_ways(augmented):
    slopes = []
    for image, mask in augmented:
        columns = np.flatnonzero(mask[mask.min(1).argmin()] != IGNORE)
        row = image[mask.min(1).argmin(), columns].mean(-1)
        slopes.append(np.polyfit(columns, row, 1)[0])
    # An image that is twice as large has half the slope; contrast and brightness add a factor 0.6 to 1.6.
    assert min(slopes) < -1.5
    assert max(slopes) > 1.5
    assert min(np.abs(slopes)) < 0.6


def test_what_is_outside_of_the_picture_is_ignored_and_of_its_mean_color(augmented):
    padded = [(image, mask) for image, mask in augmented if (mask == IGNORE).any()]
    assert 20 < len(padded) < 180
    for image, mask in padded:
        outside = image[mask == IGNORE]
        assert np.ptp(outside) == 0
        assert abs(outside[0, 0] - image[mask != IGNORE].mean()) <= 1


def test_brightness_stays_within_its_bounds(augmented):
    whole = [image[mask != IGNORE].mean() / 91.5 for image, mask in augmented if (mask == IGNORE).any()]
    low, high = DEFAULT.color_factors
    assert low - 0.02 < min(whole) < 0.85
    assert 1.15 < max(whole) < high + 0.02


def test_contrast_and_saturation_follow_their_definitions():
    # By hand: a pixel of luma 0.299 R + 0.587 G + 0.114 B = 100 in an image of mean luma 80.
    image = np.array([[[100, 100, 100], [60, 60, 60]], [[130, 100, 21.3157895], [60, 60, 60]]], np.float32)
    luma = image[1, 0] @ [0.299, 0.587, 0.114]
    mean = (100 + 60 + luma + 60) / 4
    expected = 1.1 * (0.8 * (1.2 * image[1, 0] - 0.2 * luma) + 0.2 * mean)
    color = tf.constant(image.mean((0, 1)))
    matrix, offset = _color_map(color, brightness=1.1, contrast=0.8, saturation=1.2)
    result = image @ matrix.numpy() + offset.numpy()
    np.testing.assert_allclose(result[1, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(result[0, 0], [1.1 * (80 + 0.2 * mean)] * 3, rtol=1e-5)


def test_shapes_flow_through_the_same_pipeline():
    dataset = draw_shapes(counts={"train": 5, "val": 3}, size=(32, 32))
    images, masks = next(iter(train_batches(dataset, (32, 32), 4)))
    assert images.shape == (4, 32, 32, 3)
    assert masks.shape == (4, 32, 32)
    ((images, masks),) = _take(eval_batches(dataset), -1)
    np.testing.assert_array_equal(images, [sample.image for sample in dataset.split("val")])
    np.testing.assert_array_equal(masks, [sample.mask for sample in dataset.split("val")])
