import numpy as np
import pytest

from keras_seg.cli import main
from keras_seg.data import ArraySample, Dataset, check_dataset, find_problems, load_dataset, read_image
from keras_seg.data.doctor.examination import examine
from keras_seg.errors import InputError
from tests.data.helpers import encode, picture, png, with_exif_orientation, write_folder

CLASSES = {"classes": ["x", "y", "z"]}
MASK = np.arange(12 * 16).reshape(12, 16) % 3


def _mask_with(value, pixels):
    mask = MASK.copy()
    mask.flat[:pixels] = value
    return png(mask)


def _truncated(suffix):
    contents = encode(picture(64, 64), suffix)
    return contents[: len(contents) // 2]


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path, 6, masks=MASK, description=CLASSES)


def test_a_sound_folder_passes(folder):
    check_dataset(load_dataset(folder))
    assert find_problems(load_dataset(folder)) == []


@pytest.mark.parametrize(
    "file, contents, message",
    [
        ("images/3.jpg", b"", r"3\.jpg: is empty \(0 bytes\)"),
        (
            "images/3.jpg",
            b"hello, world",
            r"3\.jpg: is not an image .*b'hello, world'.*convert it to JPEG or PNG",
        ),
        ("masks/3.png", b"hello, world", r"3\.png: is not an image .*b'hello, world'"),
        ("images/3.jpg", _truncated(".jpg"), r"3\.jpg: is a truncated or damaged JPEG \(\d+ bytes\)"),
        ("images/3.jpg", _truncated(".png"), r"3\.jpg: is a truncated or damaged PNG"),
        ("masks/3.png", _truncated(".png"), r"3\.png: is a truncated or damaged PNG"),
        ("images/3.jpg", b"II*\0" + bytes(99), r"3\.jpg: is a truncated or damaged TIFF"),
        (
            "masks/3.png",
            encode(picture(), ".jpg"),
            r"3\.png: is a JPEG, whose compression .* save masks as PNG",
        ),
        (
            "masks/3.png",
            encode(picture()),
            r"3\.png: is a color image: \d+ pixels have colors such as RGB \(",
        ),
        ("masks/3.png", png(MASK[:, :15]), r"3\.png: is 15 x 12 pixels, but .*3\.jpg is 16 x 12"),
        (
            "images/3.jpg",
            with_exif_orientation(encode(picture(12, 16), ".jpg"), 6),
            r"3\.png: is 16 x 12 pixels, but .*3\.jpg is 12 x 16 as it is seen \(EXIF",
        ),
        (
            "masks/3.png",
            _mask_with(11, 5),
            r"3\.png: 5 pixels have the value 11, which is not a class"
            r" \(the 3 classes are 0 to 2; ignored: 255\)"
            r"; 1 of 6 masks have it; ignore it with --ignore-label 11, or name its class under `classes`",
        ),
    ],
)
def test_a_defect_is_named_by_file_with_the_way_out(folder, file, contents, message):
    (folder / file).write_bytes(contents)
    with pytest.raises(InputError, match=message) as error:
        check_dataset(load_dataset(folder))
    assert "\n" not in str(error.value)


def test_several_wrong_values_are_counted(folder):
    (folder / "masks/2.png").write_bytes(_mask_with(11, 5))
    mask = MASK.copy()
    mask.flat[:7], mask.flat[7:9] = 11, 40
    (folder / "masks/4.png").write_bytes(png(mask))
    with pytest.raises(InputError, match=r"2 of 6 masks have it, and there are 40; .*\(1 more like it\)"):
        check_dataset(load_dataset(folder))
    problems = find_problems(load_dataset(folder))
    assert sorted(problem.kind for problem in problems) == ["value", "value"]


def test_an_ignore_label_that_is_set_is_not_advised_again(folder):
    (folder / "masks/2.png").write_bytes(_mask_with(11, 5))
    check_dataset(load_dataset(folder, ignore_label=11))
    with pytest.raises(InputError, match=r"ignored: 12, 255\).*`ignore_label` is 12 already"):
        check_dataset(load_dataset(folder, ignore_label=12))


def test_defects_of_different_kinds_are_all_found(folder):
    (folder / "images/0.jpg").write_bytes(b"text")
    (folder / "masks/1.png").write_bytes(_mask_with(9, 1))
    (folder / "masks/2.png").write_bytes(png(MASK[:3]))
    assert [problem.kind for problem in find_problems(load_dataset(folder))] == [
        "unreadable",
        "size",
        "value",
    ]


def test_a_foreground_of_255_that_would_be_ignored_is_refused(tmp_path):
    masks = np.where(MASK == 0, 0, 255)
    root = write_folder(tmp_path, 4, masks=masks, description={"classes": ["ground", "thing"]})
    with pytest.raises(InputError, match=r'hold only 0, 255: no two classes; .*"mask_values": \[0, 255\]'):
        check_dataset(load_dataset(root))


def test_masks_of_one_class_are_refused(tmp_path):
    root = write_folder(tmp_path, 4, masks=MASK * 0, description=CLASSES)
    with pytest.raises(InputError, match=r"hold only 0: no two classes"):
        check_dataset(load_dataset(root))


def test_pictures_in_memory_are_checked_too():
    samples = [
        ArraySample(picture(12, 16), np.uint8(MASK), "p"),
        ArraySample(picture(12, 16), np.uint8(MASK + 1), "q"),
    ]
    colors = ((0, 0, 0),) * 3
    with pytest.raises(InputError, match=r"q: \d+ pixels have the value 3"):
        check_dataset(Dataset("memory", ("x", "y", "z"), colors, None, {"train": samples}))


def test_a_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.png: cannot be read: No such file"):
        read_image(tmp_path / "gone.png")


def _with_stray_pixels(root, *values):
    """A folder of masks of 0 and 1, but for one pixel of the fourth for each of `values`."""
    masks = MASK % 2
    write_folder(root, 6, masks=masks)
    stray = masks.copy()
    stray.flat[: len(values)] = values
    (root / "masks/3.png").write_bytes(png(stray))
    return root


@pytest.mark.parametrize(
    "values, way_out",
    [
        ([30], "or ignore the value with --ignore-label 30, as .* --fix` does; if all of 0, 1, 30 are"),
        (
            [30, 90],
            r'ignore the value with "ignore_labels": \[30, 90\] in dataset\.json, as .* --fix` does; '
            "if all of 0, 1, 30, 90 are",
        ),
    ],
)
def test_a_stray_pixel_among_ids_is_named_by_file_and_count(tmp_path, values, way_out):
    root = _with_stray_pixels(tmp_path, *values)
    named = r"masks/3\.png: 1 pixel has the value 30, which no other of the 6 masks holds: correct the mask, "
    with pytest.raises(InputError, match=named + ".*" + way_out):
        load_dataset(root)


def test_a_stray_pixel_that_could_be_an_id_is_warned_of(tmp_path):
    root = _with_stray_pixels(tmp_path, 2)
    warnings = check_dataset(load_dataset(root))
    (told,) = (line for line in warnings if "3.png: 1 pixel has the value 2, which no other" in line)
    assert "ignore the value with --ignore-label 2; if it is a class, name all under `classes`" in told
    ignored = load_dataset(root, ignore_label=2)
    assert ignored.num_classes == 2
    named = load_dataset(root, classes=("ground", "thing", "dot"))
    assert not any("1 pixel" in line for data in (ignored, named) for line in check_dataset(data))


def test_a_stray_value_is_ignored_by_the_doctors_dataset_json_and_makes_no_class(tmp_path):
    root = _with_stray_pixels(tmp_path, 30)
    (fact,) = (problem for problem in examine(root).errors)
    assert "3.png: 1 pixel has the value 30" in fact.text
    main(["doctor", str(root), "--fix"])
    dataset = load_dataset(root)
    assert (dataset.mask_values, dataset.ignore_labels) == ((0, 1), (30,))
    check_dataset(dataset)
