"""Every command and block of the guides, as printed and in the printed order."""

import json
import shutil
from functools import partial

import cv2
import pytest

from keras_seg.data import load_dataset, shapes, write_shapes
from tests.tools.typist import Typist, commands, links, own_words
from tools.blocks import DOCS, RUN, blocks, guides

PROJECT = DOCS.parent
READING_ORDER = links(PROJECT / "mkdocs.yml")
# A network of few channels, which learns for one epoch from few small images.
SMALL = (
    "--model unet --model-option widths=[8,16,32] --model-option decoder_widths=[16,8] --weights none"
    " --image-size 32 32 --batch-size 4 --epochs 1"
)
# What is printed, and what is typed instead so that a page takes seconds. All else is typed as it stands.
INSTEAD = (
    ("python train.py --model fcn8\n", f"python train.py {SMALL} --output runs/fcn8-shapes\n"),
    (
        "python train.py --model fcn8 --data photographs --image-size 256 256 --epochs 50\n",
        f"python train.py {SMALL} --data photographs --output runs/fcn8-photographs\n",
    ),
    ("--model unet --data photographs --epochs 50\n", f"{SMALL} --data photographs\n"),
    ("--model unet --data photographs --epochs 50 --loss", f"{SMALL} --data photographs --loss"),
    (
        "--model unet --model-option encoder=mobilenet_v2 --data photographs --epochs 20",
        "--model unet --model-option encoder=mobilenet_v2 --data photographs --epochs 1 --weights none"
        " --image-size 32 32 --batch-size 8 --output runs/mobilenet",
    ),
    (
        "--model deeplabv3plus --data photographs --epochs 50 --freeze-epochs 5",
        "--model deeplabv3plus --model-option encoder=resnet18 --data photographs --epochs 2"
        " --freeze-epochs 1 --weights none --image-size 32 32 --batch-size 8",
    ),
    ("--resume runs/unet-photographs --epochs 60", "--resume runs/unet-photographs --epochs 2"),
    ("--sliding 512 512", "--sliding 32 32"),
    ("--warm-up 64 64", "--warm-up 32 32"),
    (
        'keras_seg.train(model="unet", data="photographs", epochs=20)',
        'keras_seg.train(model="unet", data="photographs", epochs=1, weights="none", image_size=(32, 32),'
        ' batch_size=4, model_options={"widths": [8, 16, 32], "decoder_widths": [16, 8]})',
    ),
)
# Blocks with these train, start processes or convert for long: the long test types them. The other one begins
# with the runs that they would leave.
LONG = ("train.py", "train(", "batch", "--format onnx", "--format litert")
RUNS = ("fcn8-shapes", "fcn8-photographs", "unet-photographs")

pytestmark = pytest.mark.usefixtures("own_registry")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder as the guides suppose it: photographs and masks, other images, and annotations of them."""
    monkeypatch.chdir(tmp_path)
    write_shapes("photographs", counts={"train": 8, "val": 2}, size=(32, 40))
    for folder in ("holiday", "photos"):
        (tmp_path / folder).mkdir()
    samples = load_dataset("photographs").split("val")
    for index, sample in enumerate(samples, 1):
        cv2.imwrite(f"holiday/{index}.jpg", cv2.imread(str(sample.image)))
        shutil.copy(sample.image, "photos")
    annotation = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "segmentation": [[4, 4, 20, 4, 20, 20]],
        "iscrowd": 0,
    }
    image = {"id": 1, "file_name": samples[0].image.name, "height": 32, "width": 40}
    described = {"images": [image], "annotations": [annotation], "categories": [{"id": 1, "name": "leaf"}]}
    (tmp_path / "annotations.json").write_text(json.dumps(described))
    return tmp_path


def few_shapes(monkeypatch):
    """Draws ten of the built-in shapes, at the size that is asked for."""
    few = partial(shapes.draw_shapes, counts={"train": 8, "val": 2})
    monkeypatch.setattr("keras_seg.data.folders.dataset.draw_shapes", few)


def is_left_to_the_long_test(block):
    return any(word in block.text for word in LONG)


def test_the_reading_order_has_every_guide():
    assert {f"guides/{page.name}" for page in guides() if page.parent.name == "guides"} == set(READING_ORDER)


def test_small_settings_stand_for_what_is_printed():
    printed = "".join(block.text for page in guides() for block in blocks(page))
    assert [text for text, _ in INSTEAD if text not in printed] == []


def test_every_command_has_the_flags_that_it_is_typed_with():
    from keras_seg.cli.main import parse

    for page in guides():
        for block in blocks(page):
            for command in commands(block.text) if block.language == "sh" else ():
                own = own_words(command)
                if own:
                    parse(own[1], own[0])  # Else SystemExit, with the flag on standard error.


def test_blocks_run_in_the_printed_order(place, run):
    for name in RUNS:
        shutil.copytree(run.path, place / "runs" / name)
    typed = []
    for name in READING_ORDER:
        typist = Typist(INSTEAD)
        for block in blocks(DOCS / name):
            if block.reason is None and not is_left_to_the_long_test(block):
                typist.type(block)
                typed.append(block.place)
    assert len(typed) > 15
    for name in ("runs/fcn8-shapes/report.html", "masks/1.png", "better/1.png", "preview.png", "data/masks"):
        assert (place / name).exists(), name


@pytest.mark.long
def test_every_block_runs_in_the_printed_order(place, monkeypatch):
    few_shapes(monkeypatch)
    for name in READING_ORDER:
        typist = Typist(INSTEAD)
        for block in blocks(DOCS / name):
            if block.reason is None:
                typist.type(block)
    for name in (
        "runs/fcn8-shapes/export/2",
        "runs/again/best.keras",
        "labeled/manifest.parquet",
        "zoo/zoo.md",
    ):
        assert (place / name).exists(), name


@pytest.mark.parametrize("page", [*guides(), PROJECT / "README.md"], ids=lambda page: page.name)
def test_what_no_test_runs_says_why(page):
    docs = DOCS if page.is_relative_to(DOCS) else PROJECT
    for block in blocks(page, docs):
        assert block.language in RUN
        assert block.reason is None or len(block.reason) > 10, block.place
