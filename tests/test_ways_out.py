"""Whoever follows the way out that a message prints gets out: flags and keys are read from the message."""

import argparse
import ast
import json
import re
from pathlib import Path

import numpy as np
import pytest

import keras_seg
from keras_seg import InputError, Run, TrainConfig
from keras_seg.cli import main
from keras_seg.cli.inference_flags import add_inference_flags, predictor_options
from keras_seg.cli.main import COMMANDS, command_module
from keras_seg.data import check_dataset, load_dataset
from keras_seg.training.optim.class_weights import class_weights
from keras_seg.training.run_state.resume import recorded_config
from keras_seg.training.run_state.run_folder import check_output
from keras_seg.training.settings.checks import check_updates
from tests.data.helpers import PALETTE, RGBA, encode, picture, png, write_folder

IDS = np.arange(12 * 16).reshape(12, 16) % 3
COLORS = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]])
NAMED = {"classes": ["x", "y", "z"]}
FLAG = re.compile(r"--([a-z]+(?:-[a-z]+)*)")


def _with(value, ids=IDS):
    ids = ids.copy()
    ids[0, :5] = value
    return ids


def _colored(ids):
    return np.append(COLORS, [[9, 8, 7]], axis=0)[ids]


def _refusal(call, *arguments, **options):
    with pytest.raises(InputError) as error:
        call(*arguments, **options)
    return error.value.command_line


def _load(root, **options):
    """Loads and checks a data set as training does; returns its warnings."""
    return check_dataset(load_dataset(root, **options))


def _follow(text, root):
    """Does what a message says of a data folder: returns options, or writes keys into dataset.json."""
    if found := re.search(r'"(mask_values|ignore_labels)": (\[[\d, \[\]]+\]) in', text):
        path = root / "dataset.json"
        described = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**described, found[1]: json.loads(found[2])}))
        return {}
    if found := re.search(r"--ignore-label (\d+)", text):
        return {"ignore_label": int(found[1])}
    if "--mask-colors FILE" in text:
        table = root.with_name("colors.txt")
        lines = zip("xyz", COLORS.tolist(), strict=True)
        table.write_text("".join(f"{red} {green} {blue} {name}\n" for name, (red, green, blue) in lines))
        return {"mask_colors": table}
    assert "--reduce-zero-label" in text
    return {"reduce_zero_label": True}


@pytest.mark.parametrize(
    ("description", "mask", "odd", "way_out"),
    [
        (NAMED, png(IDS), png(_with(11)), "ignore it with --ignore-label 11"),
        ({**NAMED, "ignore_label": 12}, png(IDS), png(_with(11)), 'ignore it too with "ignore_labels": [11]'),
        (NAMED, png(IDS * 50), None, '"mask_values": [0, 50, 100] into dataset.json'),
        (NAMED, png(IDS + 1), None, "--reduce-zero-label makes 1 the first class"),
        ({"classes": ["x", "y"]}, png(IDS % 2 * 255), None, 'put "mask_values": [0, 255] into dataset.json'),
        (None, png(IDS % 2), png(IDS % 2 * 255), 'put "ignore_labels": [255] into dataset.json'),
        ({"mask_colors": COLORS.tolist()}, encode(_colored(IDS)), encode(_colored(_with(3))),
         'ignore it with "ignore_labels": [[9, 8, 7]] in dataset.json'),
        (None, encode(_colored(IDS)), None, "give the color of each class with --mask-colors FILE"),
        (None, png(IDS, PALETTE, 8, COLORS), png((IDS + 1) % 3, PALETTE, 8, np.roll(COLORS, 1, axis=0)),
         "read masks by color with --mask-colors FILE"),
    ],
)  # fmt: skip
def test_masks_are_read_as_the_message_says(tmp_path, description, mask, odd, way_out):
    root = write_folder(tmp_path / "data", 6, description=description)
    for path in (root / "masks").iterdir():
        path.write_bytes(odd if odd and path.stem == "3" else mask)
    text = _refusal(_load, root)
    assert way_out in text
    _load(root, **_follow(text, root))


def test_a_warning_of_a_class_that_is_not_there_says_how_to_read_ids_from_one(tmp_path):
    root = write_folder(tmp_path / "data", 6, masks=IDS + 1)
    (text,) = (line for line in _load(root) if "Do the ids start at 1?" in line)
    assert not any("holds no pixel" in line for line in _load(root, **_follow(text, root)))


@pytest.mark.parametrize("key", ["mask_values", "classes"])
def test_values_that_are_no_ids_are_classes_once_they_are_listed(tmp_path, key):
    root = write_folder(tmp_path, 6, masks=IDS * 38)
    assert "list the value of each class in dataset.json as `mask_values`, or all names as `cl" in _refusal(
        _load, root
    )
    values = [0, 38, 76] if key == "mask_values" else [f"thing {value}" for value in range(77)]
    (root / "dataset.json").write_text(json.dumps({key: values}))
    _load(root)


def test_a_stray_value_beside_one_class_can_be_ignored_as_the_message_says(tmp_path):
    root = write_folder(tmp_path / "data", 6, masks=IDS % 2)
    mask = IDS % 2
    mask[0, 0] = 30
    (root / "masks" / "3.png").write_bytes(png(mask))
    text = _refusal(_load, root, binary=True)
    assert "masks/3.png: 1 pixel has the value 30, which no other of the 6 masks holds" in text
    assert _load(root, binary=True, **_follow(text, root)) == []


@pytest.mark.parametrize(("factor", "values"), [(1, [0, 1]), (7, [0, 7])])
def test_other_values_than_those_of_one_class_are_listed_or_trained_without_the_flag(
    tmp_path, factor, values
):
    ids = IDS if factor == 1 else IDS % 2
    root = write_folder(tmp_path / "data", 6, masks=ids * factor)
    text = _refusal(_load, root, binary=True)
    assert "list its two values as `mask_values` in dataset.json" in text
    assert ("or drop --binary" in text) == (factor == 1)  # Else the values would be refused as ids.
    if factor == 1:
        _load(root)
    described = {"mask_values": values, "ignore_labels": [2]}
    (root / "dataset.json").write_text(json.dumps(described))
    _load(root, binary=True)


def _add_mask(root, text):
    name, folder = re.search(r"has no mask (\S+) in (\S+); add the mask", text).groups()
    (Path(folder) / name).write_bytes(png(IDS))


def _describe_subfolder(root, text):
    name = re.search(r"name its folder (\S+) under `splits` in dataset.json", text)[1]
    split = {"images": f"images/{name}", "masks": f"masks/{name}"}
    (root / "dataset.json").write_text(json.dumps({**NAMED, "splits": {"train": split}}))


def _move_into(root):
    for kind in ("images", "masks"):
        (root / kind).rename(root / "ulm")
        (root / kind).mkdir()
        (root / "ulm").rename(root / kind / "ulm")


@pytest.mark.parametrize(
    ("spoil", "way_out", "mend"),
    [
        (lambda root: (root / "masks/3.png").unlink(), "add the mask or take the image out", _add_mask),
        (lambda root: (root / "masks/3.png").unlink(), "add the mask or take the image out",
         lambda root, _: (root / "images/3.jpg").unlink()),
        (lambda root: (root / "images/3.jpg").unlink(), "add the image or take the mask out",
         lambda root, _: (root / "masks/3.png").unlink()),
        (lambda root: (root / "images/3.png").write_bytes(encode(picture())), "keep one of them",
         lambda root, _: (root / "images/3.png").unlink()),
        (_move_into, "name its folder ulm under `splits` in dataset.json", _describe_subfolder),
        (lambda root: (root / "train.txt").write_text("Kaggle 1 2 3"), "move the file to another folder if",
         lambda root, _: (root / "train.txt").rename(root / "images" / "train.txt")),
        (lambda root: (root / "images/3.jpg").write_bytes(b""), "put the image there or leave the file out",
         lambda root, _: [(root / path).unlink() for path in ("images/3.jpg", "masks/3.png")]),
        (lambda root: (root / "masks/3.png").write_bytes(png(IDS.T)), "turn the mask",
         lambda root, _: (root / "masks/3.png").write_bytes(png(IDS))),
        (lambda root: (root / "masks/3.png").write_bytes(encode(IDS, ".jpg")), "save masks as PNG",
         lambda root, _: (root / "masks/3.png").write_bytes(png(IDS))),
    ],
)  # fmt: skip
def test_a_folder_is_mended_as_the_message_says(tmp_path, spoil, way_out, mend):
    root = write_folder(tmp_path / "data", 6, masks=IDS, description=NAMED)
    spoil(root)
    text = _refusal(_load, root)
    assert way_out in text
    mend(root, text)
    _load(root)


@pytest.mark.parametrize(
    ("mask", "way_out"),
    [(IDS, "keep one, unless it should count twice"), ((IDS + 1) % 3, "keep the pair that is right")],
)
def test_a_doubtful_image_is_told_and_can_be_taken_out(tmp_path, mask, way_out):
    root = write_folder(tmp_path / "data", 6, masks=IDS, description=NAMED)
    lists = {"train": "01234", "val": "5"}
    for split, names in lists.items():
        lines = [f"images/{name}.jpg,masks/{name}.png\n" for name in names]
        (root / f"{split}.csv").write_text("".join(lines))
    (root / "images/3.jpg").write_bytes((root / "images/2.jpg").read_bytes())
    (root / "masks/3.png").write_bytes(png(mask))
    assert way_out in _refusal(check_dataset, load_dataset(root), strict=True)
    assert any(way_out in line for line in _load(root))
    lines = [f"images/{name}.jpg,masks/{name}.png\n" for name in "0124"]
    (root / "train.csv").write_text("".join(lines))
    assert check_dataset(load_dataset(root), strict=True) == []
    (root / "val.csv").write_text("images/2.jpg,masks/2.png\nimages/5.jpg,masks/5.png\n")
    assert "take it out of one" in _refusal(check_dataset, load_dataset(root), strict=True)
    (root / "val.csv").write_text("images/5.jpg,masks/5.png\n")
    assert check_dataset(load_dataset(root), strict=True) == []


@pytest.mark.parametrize("suffix", ["npy", "png"])
def test_images_of_other_channels_are_read_as_the_message_says(tmp_path, suffix):
    root = write_folder(tmp_path / "data", 4, masks=IDS, description=NAMED)
    for index, path in enumerate(sorted((root / "images").iterdir())):
        path.unlink()
        image = np.random.default_rng(index).integers(0, 256, (12, 16, 4)).astype(np.uint8)
        if suffix == "npy":
            np.save(path.with_suffix(".npy"), image)
        else:
            path.with_suffix(".png").write_bytes(png(image, RGBA))
    if suffix == "npy":
        assert "is a NumPy array; read it with --channels" in _refusal(_load, root)
    text = _refusal(_load, root, channels=3)
    assert "correct --channels" in text
    assert _load(root, channels=int(re.search(r"holds uint8 of (\d+) channels", text)[1])) == []


def test_a_folder_with_one_pair_needs_another_as_the_message_says(tmp_path):
    root = write_folder(tmp_path / "data", 1, masks=IDS, description=NAMED)
    assert "at least two pairs are needed" in _refusal(_load, root)
    _load(write_folder(root, 2, masks=IDS))


@pytest.mark.parametrize(
    "settings",
    [
        {"momentum": 0.9},
        {"power": 0.9, "schedule": "cosine"},
        {"drop_epochs": 2},
        {"decay_all": True},
        {"aux_weight": 0.4},
        {"freeze_epochs": 2, "freeze_encoder": True},
        {"augment": False, "blur": 2.0},
        {"init_from": "RUN", "weights": "imagenet"},
        {"warmup_epochs": 2, "schedule": "plateau"},
        {"accumulate": 2, "distribute": "mirrored"},
    ],
    ids=lambda settings: "-".join(settings),
)
def test_settings_that_a_message_says_to_drop_can_be_dropped(settings):
    text = _refusal(TrainConfig, **settings)
    named = {"augment" if name == "no-augment" else name.replace("-", "_") for name in FLAG.findall(text)}
    first = next(iter(settings))
    assert first in named
    assert TrainConfig(**{name: value for name, value in settings.items() if name != first})
    if "drop one" in text:
        assert named == set(settings)
        assert TrainConfig(**{first: settings[first]})


@pytest.mark.parametrize(
    ("settings", "said", "change"),
    [
        ({"momentum": 0.9}, "--optimizer sgd", {"optimizer": "sgd"}),
        ({"power": 0.9, "schedule": "cosine"}, "--schedule poly", {"schedule": "poly"}),
        ({"drop_factor": 0.5}, "--schedule step or plateau", {"schedule": "plateau"}),
        ({"decay_all": True}, "--weight-decay", {"weight_decay": 0.1}),
        (
            {"aux_rate": 2.0, "model": "pspnet"},
            "--model-option aux_head=true",
            {"model_options": {"aux_head": True}},
        ),
        ({"schedule": "plateau", "warmup_epochs": 2}, "fixed, poly, cosine or step", {"schedule": "cosine"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_settings_that_a_message_says_to_change_can_be_changed(settings, said, change):
    assert said in _refusal(TrainConfig, **settings)
    assert TrainConfig(**{**settings, **change})


@pytest.mark.parametrize("change", [{"accumulate": 3}, {"epochs": 2}])
def test_a_training_without_an_update_can_be_mended_both_ways(change):
    settings = {"accumulate": 5, "epochs": 1}
    text = _refusal(check_updates, TrainConfig(**settings).resolve(), 3)
    assert "lower it, or ask for more --epochs" in text
    check_updates(TrainConfig(**{**settings, **change}).resolve(), 3)


def test_weights_for_as_many_classes_as_the_message_says_are_taken(tmp_path):
    dataset = load_dataset(write_folder(tmp_path, 4, masks=IDS, description=NAMED))
    (count,) = re.findall(r"must be (\d+) numbers, for x, y, z", _refusal(class_weights, "1,2", dataset))
    assert len(class_weights(",".join(["1"] * int(count)), dataset)) == 3


def test_a_missing_run_is_trained_where_the_message_says(tmp_path, monkeypatch):
    text = _refusal(Run.open, tmp_path / "run")
    asked = []
    monkeypatch.setattr("keras_seg.training.train", asked.append)
    assert main(text.split("train one with train.py ")[1].split(), program="train.py") == 0
    check_output(asked[0])
    assert asked[0].output == str(tmp_path / "run")


def test_a_run_that_is_there_goes_on_or_is_left_as_the_message_says(tmp_path):
    config = {**TrainConfig(output=str(tmp_path)).resolve().to_dict(), "num_classes": 1, "classes": ["x"]}
    (tmp_path / "config.json").write_text(json.dumps({**config, "colors": [[0, 0, 0]]}))
    for text in (
        _refusal(check_output, TrainConfig(output=str(tmp_path))),
        _refusal(Run.open(tmp_path).load_model),
    ):
        (folder,) = re.findall(r"resume it with --resume (\S+)", text)
        check_output(recorded_config(folder), resume=folder)
    check_output(TrainConfig(output=str(tmp_path / "another")))


def _inference(*argv):
    parser = argparse.ArgumentParser()
    add_inference_flags(parser)
    return predictor_options(parser.parse_args(argv))


@pytest.mark.parametrize("flag", [("--overlap", "0.5"), ("--blend", "gaussian")])
def test_windows_are_asked_for_as_the_message_says(flag):
    assert "add --sliding H W, or drop it" in _refusal(_inference, *flag)
    assert _inference(*flag, "--sliding", "64", "96")["averaging"].window == (64, 96)
    assert _inference()["averaging"].window is None


@pytest.fixture
def annotated(tmp_path):
    """A file of labelme whose image lies in another folder."""
    (tmp_path / "json").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(encode(picture(20, 30), ".jpg"))
    shape = {"label": "dog", "points": [[5, 4], [15, 4], [15, 14]], "shape_type": "polygon"}
    content = {"imagePath": "a.jpg", "imageHeight": 20, "imageWidth": 30, "shapes": [shape]}
    (tmp_path / "json" / "a.json").write_text(json.dumps(content))
    return tmp_path


def test_annotations_are_converted_as_the_messages_say(annotated, capsys):
    def convert(*flags):
        status = main(["convert", str(annotated / "json"), "--output", str(annotated / "out"), *flags])
        return status, capsys.readouterr().err

    status, text = convert()
    assert status == 2 and "give --images FOLDER" in text
    images = ("--images", str(annotated / "images"))
    status, text = convert(*images, "--classes", "dog", "cat")
    assert status == 2 and "put background before it" in text
    assert convert(*images, "--classes", "background", "dog", "cat")[0] == 0
    status, text = convert(*images)
    assert status == 2 and "name another --split or --output" in text
    assert convert(*images, "--split", "val")[0] == 0
    assert convert(*images, "--output", str(annotated / "other"))[0] == 0


def test_every_flag_that_a_text_names_is_a_flag():
    known = {"version", "rm"}  # The last one is of docker.
    for module in map(command_module, COMMANDS):
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        known |= {option.removeprefix("--") for action in parser._actions for option in action.option_strings}
    for path in Path(keras_seg.__file__).parent.rglob("*.py"):
        if "report" in path.parts:  # Variables of CSS
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                named = re.findall(r"(?<![\w-])--([a-z][a-z-]*[a-z])(?![\w-])", node.value)
                assert set(named) <= known, f"{path}: {node.value}"
