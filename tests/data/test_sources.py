import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from keras_seg.data import check_dataset, eval_batches, load_dataset, read_image, read_mask, read_sample
from keras_seg.errors import InputError
from tests.data.helpers import PALETTE, encode, picture, pillow, png, write_folder

IDS = np.arange(12 * 16).reshape(12, 16) % 3


def _move(root, kind, pattern):
    """Renames the images of a folder; `pattern` holds {stem}."""
    for path in sorted((root / kind).iterdir()):
        target = root / pattern.format(stem=path.stem)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)


@pytest.mark.parametrize(
    "image, mask",
    [
        ("train/{stem}.jpg", "train_masks/{stem}_mask.gif"),
        ("train/{stem}.jpg", "train_labels/{stem}_L.png"),
        ("images/{stem}_sat.jpg", "masks/{stem}_mask.png"),
        ("imgs/{stem}.jpg", "masks/{stem}_gt.png"),
    ],
)
def test_names_may_differ_by_a_known_ending(tmp_path, image, mask):
    write_folder(tmp_path, 4, images="a", labels="b")
    _move(tmp_path, "a", image)
    _move(tmp_path, "b", mask)
    dataset = load_dataset(tmp_path)
    pairs = sorted(sample for split in dataset.splits.values() for sample in split_names(split))
    assert pairs == [(image.format(stem=i), mask.format(stem=i)) for i in range(4)]


def split_names(samples):
    return [("/".join(sample.image.parts[-2:]), "/".join(sample.mask.parts[-2:])) for sample in samples]


def test_images_and_masks_may_share_a_folder(tmp_path):
    splits = {"train": {"images": "all", "masks": "all", "mask_suffix": "-m"}}
    write_folder(tmp_path, 3, images="a", labels="b", description={"splits": splits})
    _move(tmp_path, "a", "all/{stem}.jpg")
    _move(tmp_path, "b", "all/{stem}-m.png")
    dataset = load_dataset(tmp_path)
    names = [pair for split in dataset.splits.values() for pair in split_names(split)]
    assert sorted(names) == [(f"all/{i}.jpg", f"all/{i}-m.png") for i in range(3)]


def test_two_masks_of_one_image_are_refused(tmp_path):
    write_folder(tmp_path, 3)
    _move(tmp_path, "masks", "masks/{stem}_mask.png")
    (tmp_path / "masks/1.png").write_bytes(png(IDS))
    with pytest.raises(InputError, match=r"1_mask\.png: may belong to the same pair as 1\.png"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    "name, line",
    [
        ("train.txt", "/SegNet/CamVid/train/{i}.jpg /SegNet/CamVid/trainannot/{i}.png"),
        ("train.txt", "train/{i}.jpg\ttrainannot/{i}.png"),
        ("train.csv", '"train/{i}.jpg",trainannot/{i}.png'),
        ("train.csv", "train/{i}.jpg;trainannot/{i}.png"),
    ],
)
def test_a_list_of_pairs_says_which_pairs_there_are(tmp_path, name, line):
    write_folder(tmp_path, 5, images="train", labels="trainannot")
    heading = "image,mask\n" if name.endswith("csv") and "," in line else ""
    (tmp_path / name).write_text(heading + "".join(line.format(i=i) + "\n" for i in (0, 1, 3)))
    for source in (tmp_path, tmp_path / name):
        dataset = load_dataset(source)
        names = [sample.name for split in dataset.splits.values() for sample in split]
        assert sorted(names) == ["0", "1", "3"]


def test_a_split_of_the_description_may_be_a_list(tmp_path):
    write_folder(tmp_path, 3, description={"splits": {"train": "my.csv", "val": "other.csv"}})
    (tmp_path / "my.csv").write_text("images/0.jpg,masks/0.png\nimages/1.jpg,masks/1.png\n")
    (tmp_path / "other.csv").write_text("images/2.jpg,masks/2.png\n")
    assert [len(load_dataset(tmp_path).split(name)) for name in ("train", "val")] == [2, 1]


@pytest.mark.parametrize(
    "text, message",
    [
        ("images/0.jpg,masks/9.png", r"train\.csv: line 1 names masks/9\.png, which does not exist"),
        ("images/0.jpg,masks/0.png\nimages/1.jpg,masks/1.png,3", r"line 2 holds 3 columns"),
        ("", r"the train split holds no pairs"),
    ],
)
def test_a_wrong_list_is_named_by_its_line(tmp_path, text, message):
    write_folder(tmp_path, 3, images="images", labels="masks")
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        load_dataset(tmp_path / "train.csv")


@pytest.mark.parametrize("text", ["id,rle_mask\n0,1 4 9 2\n", "id,rle,z\n0,1 4 9 2,7\n"])
def test_a_list_of_something_else_beside_the_folders_can_be_moved_away(tmp_path, text):
    write_folder(tmp_path, 3, images="train/images", labels="train/masks")
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(
        InputError, match=r"train\.csv: line .* or move the file to another folder if it is no"
    ):
        load_dataset(tmp_path)
    (tmp_path / "lists").mkdir()
    (tmp_path / "train.csv").rename(tmp_path / "lists/train.csv")
    assert sum(map(len, load_dataset(tmp_path).splits.values())) == 3


@pytest.mark.parametrize("prefix", ["", "VOC2012/", "VOCdevkit/VOC2012/"])
def test_pascal_voc_is_read_by_its_lists_and_indices(tmp_path, prefix):
    root = tmp_path / prefix
    write_folder(root, 6, images="JPEGImages", labels="SegmentationClass")
    for index, path in enumerate(sorted(root.glob("SegmentationClass/*"))):
        mask = np.full((12, 16), index + 15)
        mask[0], mask[1] = 255, 0
        path.write_bytes(png(mask, PALETTE, 8, np.random.default_rng(0).integers(0, 256, (256, 3))))
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("0\n1\n4\n")
    (lists / "val.txt").write_text("5\n")
    dataset = load_dataset(tmp_path, num_classes=None if prefix else 21)
    assert [sample.name for sample in dataset.split("train")] == ["0", "1", "4"]
    assert dataset.num_classes == 21
    assert (dataset.classes[20] == "tvmonitor") == bool(prefix)
    assert read_sample(dataset.split("val")[0], dataset)[1][:3, 0].tolist() == [255, 0, 20]
    (lists / "val.txt").write_text("5\nnone\n")
    with pytest.raises(InputError, match=r"val\.txt: line 2 names none, which has no image"):
        load_dataset(tmp_path)


def test_cityscapes_is_read_by_its_train_ids(tmp_path):
    write_folder(tmp_path, 3, images="a", labels="b", masks=IDS + 16)
    for split, stems in {"train": ("0", "1"), "val": ("2",)}.items():
        for stem in stems:
            image = tmp_path / f"leftImg8bit/{split}/ulm/ulm_{stem}_leftImg8bit.png"
            mask = tmp_path / f"gtFine/{split}/ulm/ulm_{stem}_gtFine_labelTrainIds.png"
            for path, source in ((image, f"a/{stem}.jpg"), (mask, f"b/{stem}.png")):
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(tmp_path / source, path)
            mask.with_name(f"ulm_{stem}_gtFine_labelIds.png").write_bytes(b"not for us")
    dataset = load_dataset(tmp_path)
    check_dataset(dataset)
    assert [len(dataset.split(name)) for name in ("train", "val")] == [2, 1]
    assert (dataset.num_classes, dataset.classes[18]) == (19, "bicycle")
    mask.unlink()
    with pytest.raises(InputError, match=r"ulm_2_leftImg8bit\.png: has no mask .*createTrainIdLabelImgs"):
        load_dataset(tmp_path)


def test_the_decoder_goes_by_content_and_not_by_name(tmp_path):
    image = picture(12, 16)
    contents = [
        encode(image, ".png"),
        encode(image, ".bmp"),
        encode(image, ".tiff"),
        png(image.astype(int) * 257, 2, 16),
        pillow(Image.fromarray(image), "webp", lossless=True),
    ]
    masks = [
        png(IDS),
        encode(np.stack([IDS] * 3, -1), ".bmp"),
        encode(IDS, ".tiff"),
        png(IDS, 0, 16),
        pillow(Image.fromarray(np.stack([IDS.astype(np.uint8)] * 3, -1)), "webp", lossless=True),
    ]
    write_folder(tmp_path, len(contents))
    for index, pair in enumerate(zip(contents, masks, strict=True)):
        (tmp_path / f"images/{index}.jpg").write_bytes(pair[0])
        (tmp_path / f"masks/{index}.png").write_bytes(pair[1])
    dataset = load_dataset(tmp_path, num_classes=3)
    for split in ("train", "val"):
        for images, ids in eval_batches(dataset, split):
            np.testing.assert_array_equal(images, np.broadcast_to(image, images.shape))
            np.testing.assert_array_equal(ids, np.broadcast_to(IDS, ids.shape))


def _palette_tiff(ids):
    picture = Image.fromarray(np.uint8(ids)).convert("P")
    picture.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    return picture


@pytest.mark.parametrize(
    "image, expected",
    [
        (Image.fromarray(np.uint8(IDS)), IDS),
        (Image.fromarray(np.uint16(IDS * 300)), IDS * 300),
        (Image.fromarray(np.stack([np.uint8(IDS)] * 3, -1)), IDS),
        (Image.fromarray(np.uint8([[[1, 2, 3], [4, 4, 4]]])), [[-1 - 0x010203, 4]]),
        (_palette_tiff(IDS), IDS),
    ],
)
def test_tiff_masks_give_their_values(tmp_path, image, expected):
    (tmp_path / "mask.tif").write_bytes(pillow(image, "tiff"))
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif"), expected)


@pytest.mark.parametrize(
    "image, options, message",
    [
        (Image.fromarray(np.float32(IDS)), {}, r"TIFF of mode F"),
        (Image.fromarray(np.uint8(IDS)), {"compression": "jpeg"}, r"lossy compression"),
    ],
)
def test_tiff_masks_of_no_ids_are_refused(tmp_path, image, options, message):
    (tmp_path / "mask.tif").write_bytes(pillow(image, "tiff", **options))
    with pytest.raises(InputError, match=message):
        read_mask(tmp_path / "mask.tif")


def test_tiff_images_of_any_layout_become_rgb(tmp_path):
    image = picture(12, 16)
    path = tmp_path / "a.tif"
    for stored in (image, image.astype(np.uint16) * 257, np.dstack([image, image[..., 0]])):
        order = [2, 1, 0, 3][: stored.shape[2]]
        path.write_bytes(cv2.imencode(".tiff", stored[..., order])[1].tobytes())
        np.testing.assert_array_equal(read_image(path), image)
    path.write_bytes(cv2.imencode(".tiff", np.float32(image))[1].tobytes())
    with pytest.raises(InputError, match=r"a\.tif: is a TIFF of float32 samples"):
        read_image(path)
    path.write_bytes(encode(image, ".tiff")[:100])
    with pytest.raises(InputError, match=r"a\.tif: is a truncated or damaged TIFF"):
        read_image(path)


def test_a_lossy_webp_mask_is_refused(tmp_path):
    (tmp_path / "mask.webp").write_bytes(pillow(Image.fromarray(picture()), "webp", quality=80))
    with pytest.raises(InputError, match=r"is a lossy WebP, whose compression changes class ids"):
        read_mask(tmp_path / "mask.webp")


def test_a_carvana_gif_of_0_and_255_is_binary(tmp_path):
    write_folder(tmp_path, 3, images="train", labels="train_masks")
    _move(tmp_path, "train_masks", "train_masks/{stem}_mask.gif")
    for path in tmp_path.glob("train_masks/*"):
        path.write_bytes(pillow(Image.fromarray(np.uint8(IDS == 1) * 255), "gif"))
    dataset = load_dataset(tmp_path)
    np.testing.assert_array_equal(read_sample(dataset.split("train")[0], dataset)[1], IDS == 1)
