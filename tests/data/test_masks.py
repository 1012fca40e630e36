import json

import cv2
import numpy as np
import pytest

from keras_seg.data import IGNORE, check_dataset, eval_batches, load_dataset, read_sample
from keras_seg.data.folders.color_tables import read_color_table
from keras_seg.errors import InputError
from tests.data.helpers import GREY, PALETTE, RGB, encode, picture, png, write_folder

COLORS = [[128, 128, 128], [128, 0, 0], [0, 0, 0]]
IDS = np.arange(12 * 16).reshape(12, 16) % 3


def _colored(ids, colors=COLORS):
    return np.asarray(colors, np.uint8)[ids]


def _write(root, mask, description=None, count=4):
    """A folder whose masks are all the same file content."""
    write_folder(root, count, description=description)
    for path in root.glob("masks/*"):
        path.write_bytes(mask)
    return root


def _ids(dataset):
    """The ids of the first mask, once as the graph and once as the checks read it."""
    sample = dataset.split("train")[0]
    _, masks = next(iter(eval_batches(dataset, "train", limit=1)))
    np.testing.assert_array_equal(masks[0], read_sample(sample, dataset)[1])
    return masks[0].numpy()


@pytest.mark.parametrize("key", ["colors", "mask_colors"])
def test_color_masks_are_read_by_the_table_of_the_description(tmp_path, key):
    dataset = load_dataset(_write(tmp_path, encode(_colored(IDS)), {key: COLORS, "classes": ["a", "b", "c"]}))
    check_dataset(dataset)
    np.testing.assert_array_equal(_ids(dataset), IDS)


def test_colors_for_pictures_leave_grey_masks_alone(tmp_path):
    root = _write(tmp_path, png(IDS), {"colors": COLORS, "classes": ["a", "b", "c"]})
    np.testing.assert_array_equal(_ids(load_dataset(root)), IDS)


def test_ids_in_three_equal_channels_are_not_taken_for_colors(tmp_path):
    root = _write(tmp_path, encode(np.stack([IDS] * 3, -1)), {"colors": COLORS, "classes": ["a", "b", "c"]})
    np.testing.assert_array_equal(_ids(load_dataset(root)), IDS)


@pytest.mark.parametrize(
    "text",
    [
        "128,128,128,sky\n128,0,0,house\n0,0,0,ground\n9 9 9 void\n",
        "name,r,g,b\nsky,128,128,128\nhouse,128,0,0\nground,0,0,0\nVoid,9,9,9\n",
        "128 128 128\tsky\n# remark\n128 0 0\thouse\n0 0 0\tground\n9 9 9\tignored\n",
        json.dumps({"sky": COLORS[0], "house": COLORS[1], "ground": COLORS[2], "ignore": [9, 9, 9]}),
    ],
)
def test_a_file_of_colors_names_the_classes(tmp_path, text):
    colored = _colored(IDS)
    colored[0, 0] = 9
    root = _write(tmp_path / "data", encode(colored))
    table = tmp_path / "colors.txt"
    table.write_text(text)
    dataset = load_dataset(root, mask_colors=table)
    check_dataset(dataset)
    assert dataset.classes == ("sky", "house", "ground")
    expected = IDS.copy()
    expected[0, 0] = IGNORE
    np.testing.assert_array_equal(_ids(dataset), expected)


def test_a_list_of_colors_in_json_has_no_names(tmp_path):
    (tmp_path / "colors.json").write_text(json.dumps(COLORS))
    assert read_color_table(tmp_path / "colors.json") == (None, tuple(map(tuple, COLORS)), ())


@pytest.mark.parametrize(
    "text, message",
    [
        ("", r"holds 0 classes"),
        ("1,2,300,sky", r"\[1, 2, 300\] is not a color"),
        ("1,2,3,sky\nhello 5", r"line 2 is 'hello 5'; a line holds red"),
        ("1,2,3,sky\n1,2,3,sea", r"\(1, 2, 3\) is there twice"),
        ("1,2,3,sky\n1,2,4,sky", r"sky is there twice"),
        ("[[1, 2], 3]", r"\[1, 2\] is not a color"),
        ("[[1, 2", r"is not JSON"),
        ('{"c\\ud83d": [1, 2, 3]}', r"the name 'c\\ud83d' is not text"),
    ],
)
def test_a_wrong_color_table_is_refused(tmp_path, text, message):
    path = tmp_path / "colors.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_color_table(path)


def test_a_palette_is_read_by_its_colors_where_colors_count(tmp_path):
    contents = png(IDS, PALETTE, 8, [COLORS[2], COLORS[0], COLORS[1]])
    dataset = load_dataset(_write(tmp_path, contents), mask_colors=COLORS)
    np.testing.assert_array_equal(_ids(dataset), (IDS + 2) % 3)


def test_colors_can_be_ignored(tmp_path):
    colored = _colored(IDS)
    colored[1] = (224, 224, 192)
    root = _write(tmp_path, encode(colored), {"mask_colors": COLORS, "ignore_labels": [[224, 224, 192]]})
    dataset = load_dataset(root)
    check_dataset(dataset)
    assert (_ids(dataset)[1] == IGNORE).all()


def test_a_color_cannot_be_ignored_in_masks_of_values(tmp_path):
    root = _write(tmp_path, png(IDS), {"classes": ["a", "b", "c"], "ignore_labels": [[2, 2, 2]]})
    with pytest.raises(InputError, match=r"color \[2, 2, 2\] is ignored, but the masks hold values; write"):
        load_dataset(root)


def test_a_color_that_is_no_class_is_named(tmp_path):
    colored = _colored(IDS)
    colored[1] = (224, 224, 192)
    root = _write(tmp_path, encode(colored), {"mask_colors": COLORS})
    with pytest.raises(InputError, match=r"16 pixels have the color RGB \(224, 224, 192\), .*4 of 4 masks"):
        check_dataset(load_dataset(root))


def test_white_is_no_class_and_not_ignored_where_colors_count(tmp_path):
    root = _write(tmp_path, encode(_colored(IDS) | 255), {"mask_colors": COLORS})
    with pytest.raises(InputError, match=r"color RGB \(255, 255, 255\)"):
        check_dataset(load_dataset(root))


def test_color_masks_without_a_table_tell_the_flag(tmp_path):
    root = _write(tmp_path, encode(_colored(IDS)), {"classes": ["a", "b", "c"]})
    with pytest.raises(InputError, match=r"is a color image.* --mask-colors FILE"):
        check_dataset(load_dataset(root))


def test_the_zero_label_can_be_reduced(tmp_path):
    root = _write(tmp_path, png(np.array([[0, 1, 2, 3, 255]] * 2)))
    for path in root.glob("images/*"):
        path.write_bytes(encode(picture(2, 5), ".png"))
    dataset = load_dataset(root, reduce_zero_label=True)
    assert dataset.num_classes == 3
    np.testing.assert_array_equal(_ids(dataset)[0], [IGNORE, 0, 1, 2, IGNORE])
    (root / "dataset.json").write_text('{"classes": ["x", "y", "z"], "reduce_zero_label": true}')
    np.testing.assert_array_equal(_ids(load_dataset(root))[0], [IGNORE, 0, 1, 2, IGNORE])
    with pytest.raises(InputError, match="value 3, which is not a class"):
        check_dataset(load_dataset(root, reduce_zero_label=False))


def test_ids_that_run_from_one_are_told_as_off_by_one(tmp_path):
    root = _write(tmp_path, png(IDS + 1), {"classes": ["x", "y", "z"]})
    with pytest.raises(InputError, match=r"value 3, .*run from 1 to 3, off by one: --reduce-zero-label"):
        check_dataset(load_dataset(root))
    np.testing.assert_array_equal(_ids(load_dataset(root, reduce_zero_label=True)), IDS)


def test_several_values_can_be_ignored(tmp_path):
    root = _write(tmp_path, png(np.where(IDS == 2, 77, IDS)), {"ignore_labels": [77, 99]})
    dataset = load_dataset(root)
    check_dataset(dataset)
    assert dataset.num_classes == 2
    np.testing.assert_array_equal(_ids(dataset), np.where(IDS == 2, IGNORE, IDS))


@pytest.mark.parametrize("kind", [GREY, PALETTE])
def test_a_mask_that_went_through_jpeg_is_recognized(tmp_path, kind):
    ids = cv2.circle(np.zeros((90, 120), np.uint8), (60, 45), 33, 100, cv2.FILLED)
    smeared = cv2.imdecode(np.frombuffer(encode(ids, ".jpg"), np.uint8), cv2.IMREAD_GRAYSCALE)
    root = write_folder(tmp_path, 3, size=ids.shape, description={"mask_values": [0, 100]})
    for path in root.glob("masks/*"):
        path.write_bytes(png(smeared, kind, 8, np.zeros((256, 3))))
    with pytest.raises(InputError, match=r"look like a mask that went through JPEG or smooth scaling"):
        check_dataset(load_dataset(root))


def test_a_colored_mask_that_went_through_jpeg_is_recognized(tmp_path):
    noisy = np.clip(
        _colored(IDS.repeat(9, 0).repeat(9, 1)) + np.random.default_rng(0).integers(0, 9, (108, 144, 3)),
        0,
        255,
    )
    root = write_folder(tmp_path, 3, size=(108, 144), description={"classes": ["a", "b", "c"]})
    (root / "masks/1.png").write_bytes(encode(noisy))
    with pytest.raises(InputError, match=r"1\.png: .* colors look like a mask that went through JPEG"):
        check_dataset(load_dataset(root))


@pytest.mark.parametrize(
    "description, message",
    [
        ({"mask_values": [0, 1], "reduce_zero_label": True}, r"contradict each other"),
        ({"mask_colors": True}, r"there are no 'colors'"),
        ({"mask_colors": [[0, 0, 0], [0, 0, 0]]}, r"same color"),
        ({"ignore_labels": [1, "x"]}, r"'ignore_labels' must be a list of mask values"),
        ({"reduce_zero_label": 1}, r"'reduce_zero_label' must be true or false"),
        ({"classes": ["a"], "mask_colors": COLORS}, r"'mask_colors' has 3 entries and 'classes' has 1"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(tmp_path, description, message):
    with pytest.raises(InputError, match=message):
        load_dataset(write_folder(tmp_path, 3, description=description))


def test_contradicting_options_are_refused(tmp_path):
    with pytest.raises(InputError, match="contradict"):
        load_dataset(write_folder(tmp_path, 3), mask_colors=COLORS, reduce_zero_label=True)


def test_sixteen_bit_colors_keep_the_upper_eight_bits(tmp_path):
    contents = png(_colored(IDS).astype(int) * 257, RGB, 16)
    np.testing.assert_array_equal(_ids(load_dataset(_write(tmp_path, contents), mask_colors=COLORS)), IDS)
