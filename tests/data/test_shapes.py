import numpy as np
import pytest

from keras_seg.data import IGNORE, check_dataset, draw_shapes, load_dataset, read_sample, write_shapes
from keras_seg.errors import InputError

COUNTS = {"train": 30, "val": 6}


@pytest.fixture(scope="module")
def shapes():
    return draw_shapes(counts=COUNTS, seed=5)


def test_the_same_seed_draws_the_same(shapes):
    again = draw_shapes(counts={"train": 3}, seed=5)
    for one, other in zip(shapes.split("train"), again.split("train"), strict=False):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.mask, other.mask)


def test_no_two_pictures_are_the_same(shapes):
    pictures = [sample.image.tobytes() for split in shapes.splits.values() for sample in split]
    pictures += [sample.image.tobytes() for sample in draw_shapes(counts=COUNTS, seed=6).split("train")]
    assert len(set(pictures)) == len(pictures)


def test_all_classes_and_a_void_outline_occur(shapes):
    masks = np.stack([sample.mask for sample in shapes.split("train")])
    values, counts = np.unique(masks, return_counts=True)
    assert values.tolist() == [0, 1, 2, 3, 4, IGNORE]
    assert counts.min() > 0.01 * masks.size


def test_no_two_classes_touch_without_a_void_outline(shapes):
    for sample in shapes.split("train"):
        left, right = sample.mask[:, :-1], sample.mask[:, 1:]
        assert not np.any((left != right) & (left != IGNORE) & (right != IGNORE))


@pytest.mark.parametrize("size", [(64, 64), (40, 120), (1, 1), (33, 7)])
def test_the_size_can_be_chosen(size):
    sample = draw_shapes(counts={"train": 1}, size=size).split("train")[0]
    assert sample.image.shape == (*size, 3)
    assert sample.mask.shape == size
    assert sample.image.dtype == sample.mask.dtype == np.uint8


def test_written_shapes_read_back_the_same(tmp_path, shapes):
    folder = write_shapes(tmp_path / "new" / "shapes", counts=COUNTS, seed=5)
    dataset = load_dataset(folder)
    check_dataset(dataset)
    assert (dataset.classes, dataset.colors) == (shapes.classes, shapes.colors)
    for split, samples in shapes.splits.items():
        for drawn, stored in zip(samples, dataset.split(split), strict=True):
            image, ids = read_sample(stored, dataset)
            np.testing.assert_array_equal(image, drawn.image)
            np.testing.assert_array_equal(ids, drawn.mask)
    assert [path.name for path in folder.parent.iterdir()] == ["shapes"]


def test_a_folder_that_holds_something_is_not_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        write_shapes(tmp_path, counts={"train": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
